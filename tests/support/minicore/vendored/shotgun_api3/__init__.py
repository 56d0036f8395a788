"""Reads from a site, and makes entities; enough for a core."""

import json
import urllib.request


class Fault(Exception):
    """The site says no."""


class AuthenticationFault(Fault):
    """It does not know the script."""


class Shotgun(object):
    """A client."""

    def __init__(self, base_url, script_name=None, api_key=None, http_proxy=None, connect=True):
        self.base_url = base_url
        self._auth = {"script_name": script_name, "script_key": api_key}

    @staticmethod
    def _get_certs_file(ca_certs=None):
        return ca_certs

    def close(self):
        pass

    def set_session_uuid(self, session_uuid):
        self._auth["session_uuid"] = session_uuid

    def create(self, entity_type, data):
        fields = [{"field_name": name, "value": value} for name, value in data.items()]
        return self._call("create", {"type": entity_type, "fields": fields, "return_fields": ["id"]})

    def find_one(self, entity_type, filters, fields=None):
        found = self.find(entity_type, filters, fields)
        return found[0] if found else None

    def find(self, entity_type, filters, fields=None):
        self._get_certs_file()
        conditions = [
            {"path": path, "relation": relation, "values": value if isinstance(value, list) else [value]}
            for path, relation, value in filters
        ]
        asked = {
            "type": entity_type,
            "return_fields": ["id"] + list(fields or []),
            "filters": {"logical_operator": "and", "conditions": conditions},
            "return_only": "active",
            "paging": {"entities_per_page": 500, "current_page": 1},
            "sorts": [{"field_name": "id", "direction": "asc"}],
        }
        return self._call("read", asked)["entities"]

    def _call(self, method, asked):
        auth = {name: value for name, value in self._auth.items() if value is not None}
        body = json.dumps({"method_name": method, "params": [auth, asked]}).encode("utf-8")
        request = urllib.request.Request(self.base_url + "/api3/json", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            told = json.loads(answer.read().decode("utf-8"))
        if isinstance(told, dict) and told.get("exception"):
            kind = AuthenticationFault if told.get("error_code") == 102 else Fault
            raise kind(told["message"])
        return told["results"]

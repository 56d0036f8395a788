"""The calls of ``shotgun_api3`` by name: who is let in, what is done, what is answered."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from callsheet.sandbox import auth
from callsheet.sandbox.paths import name_of
from callsheet.sandbox.pretend_site import Site
from callsheet.sandbox.refusal import Refusal, bad_request
from callsheet.sandbox.request import Rendered
from callsheet.sandbox.summarize import summarize

VERSION = [8, 76, 0]
"""The version the site says it has: the client decides by it what it may ask for."""

_WRITES = ("create", "update", "delete", "revive", "batch")


def answer(site: Site, method: object, params: list[Any]) -> str:
    """The JSON text of the answer to a call; a Refusal is an answer too."""
    try:
        if method == "info":
            return json.dumps(info(site))  # bare, and to everybody
        result = _call(site, method, params)
    except Refusal as refusal:
        return json.dumps({"exception": True, "message": str(refusal), "error_code": refusal.code})
    if isinstance(result, Rendered):
        return f'{{"results":{result.text}}}'
    return json.dumps({"results": result}, separators=(",", ":"))


def info(site: Site) -> dict[str, Any]:
    """What a site says of itself before anybody has said who they are."""
    return {
        "version": VERSION,
        "full_version": VERSION,
        "s3_uploads_enabled": False,
        "s3_direct_uploads_enabled": False,
        "api_max_entities_per_page": site.page,
        "user_authentication_method": "default",
        "unified_login_flow_enabled": False,
        "totango_site_id": "0",
        "totango_site_name": "callsheet-sandbox",
    }


def _call(site: Site, method: object, params: list[Any]) -> Any:
    call = _CALLS.get(method) if isinstance(method, str) else None
    with site.store.lock:
        actor = auth.actor(site.store, params[0] if params else None)
        if call is None:
            raise bad_request(
                str(method), f"is not part of the sandbox. It knows: {', '.join(_CALLS)}. Test this against a real site."
            )
        asked = params[1] if len(params) > 1 else None
        result = call(site, actor, asked)
        if method in _WRITES:
            _note(site, actor, str(method), asked, result)
        return result


def _note(site: Site, actor: auth.Actor, method: str, asked: Any, result: Any) -> None:
    """Keep what a client wrote, each request of a batch for itself."""
    if method == "batch":
        for one, outcome in zip(asked, result, strict=True):
            _note(site, actor, one["request_type"], one, outcome)
        return
    fields = asked.get("fields") or ()
    site.writes.append(
        {
            "method": method,
            "type": asked["type"],
            "id": result["id"] if isinstance(result, dict) else asked["id"],
            "fields": {one["field_name"]: copy.deepcopy(one.get("value")) for one in fields},
            "modes": {one["field_name"]: one["multi_entity_update_mode"] for one in fields if "multi_entity_update_mode" in one},
            "script": actor.script,
            "user": actor.name,
        }
    )


def _text_search(site: Site, _actor: auth.Actor, asked: Any) -> dict[str, Any]:
    """Entities whose names contain all words of a text."""
    words = str(asked.get("text", "")).lower().split()
    matches = []
    for entity_type, filters in dict(asked.get("entity_types") or {}).items():
        site.store.schema.entity_type(entity_type, "query_display_name_cache")
        for one in site.reader.matching(entity_type, filters, site.clock(), "query_display_name_cache"):
            name = name_of(site.store, one)
            if all(word in name.lower() for word in words):
                project = one.values.get("project")
                matches.append({"id": one.id, "type": one.type, "name": name, "project_id": project.id if project else None})
    return {"matches": matches[: asked.get("max_results") or 10], "terms": words}


def _preferences(_site: Site, _actor: auth.Actor, asked: Any) -> dict[str, Any]:
    wanted = (asked or {}).get("prefs") or _PREFERENCES
    return {name: value for name, value in _PREFERENCES.items() if name in wanted}


def _project_accessed(site: Site, _actor: auth.Actor, asked: Any) -> dict[str, Any]:
    """Nobody's last projects are kept; a project that exists is enough."""
    found = site.reader.matching("Project", None, site.clock(), "update_project_last_accessed_by_current_user")
    if not isinstance(asked, Mapping) or asked.get("project_id") not in [one.id for one in found]:
        raise bad_request("update_project_last_accessed_by_current_user", f"no such project: {asked!r}")
    return {"type": "Project", "id": asked["project_id"]}


_PREFERENCES: dict[str, Any] = {
    "date_component_order": "year_month_day",
    "duration_units": "days",
    "enable_rv_integration": True,
    "format_currency_fields_decimal_options": "$1,000.99",
    "format_date_fields": "2026-08-31",
    "format_float_fields": "9,999.99",
    "format_time_hour_fields": "24 hour",
    "hours_per_day": 8.0,
    "support_local_storage": False,
}

Call = Callable[[Site, auth.Actor, Any], Any]

_CALLS: dict[str, Call] = {
    "read": lambda site, _actor, asked: site.reader.read(asked, site.clock()),
    "create": lambda site, actor, asked: site.writer(actor).create(asked),
    "update": lambda site, actor, asked: site.writer(actor).update(asked),
    "delete": lambda site, actor, asked: site.writer(actor).delete(asked),
    "revive": lambda site, actor, asked: site.writer(actor).revive(asked),
    "batch": lambda site, actor, asked: site.writer(actor).batch(asked),
    "summarize": lambda site, _actor, asked: summarize(site.store, site.reader, asked, site.clock()),
    "schema_read": lambda site, _actor, asked: site.schema_calls.read(asked),
    "schema_entity_read": lambda site, _actor, asked: site.schema_calls.entity_read(asked),
    "schema_field_read": lambda site, _actor, asked: site.schema_calls.field_read(asked),
    "schema_field_create": lambda site, _actor, asked: site.schema_calls.field_create(asked),
    "schema_field_update": lambda site, _actor, asked: site.schema_calls.field_update(asked),
    "schema_field_delete": lambda site, _actor, asked: site.schema_calls.field_delete(asked),
    "get_session_token": lambda site, actor, _asked: {"session_id": auth.open_session(site.store, actor)},
    "query_display_name_cache": _text_search,
    "preferences_read": _preferences,
    "update_project_last_accessed_by_current_user": _project_accessed,
}

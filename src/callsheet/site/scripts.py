"""What a site knows of its scripts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from callsheet.site.client import SiteClient


class SiteScripts:
    """Asks over a connection of its own, which is opened by the first question. Not for several threads at once."""

    def __init__(self, client: SiteClient) -> None:
        self._client = client

    def silent(self, names: Collection[str]) -> frozenset[str]:
        """Those of these scripts of which the site says that their writes make no events. Raises SiteError."""
        filters = [["firstname", "in", sorted(names)]]
        fields = ["firstname", "generate_event_log_entries"]
        found: list[Any] = self._client.ask(lambda client: client.find("ApiUser", filters, fields)) if names else []
        # Where the script may not see the field, or has no answer, nothing is known.
        return frozenset(one["firstname"] for one in found if one.get("generate_event_log_entries") is False)

"""A ``read`` as the client asks for it, and a result that needs no further rendering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callsheet.sandbox.refusal import bad_request
from callsheet.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result that is JSON text already."""

    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A read as the client asks for it."""

    entity_type: str
    filters: Any
    fields: list[str]
    sorts: list[Mapping[str, Any]]
    offset: int
    limit: int
    page: int
    retired: bool
    archived: bool
    has_next: bool
    counts: bool

    @classmethod
    def of(cls, params: Any, store: Store, most: int) -> Request:
        """The request in ``params``, pages of up to ``most``; Refusal for one that makes no sense."""
        if not isinstance(params, Mapping):
            raise bad_request("read", f"expected [Hash] data type(s) but got {params!r}")
        paging = params.get("paging") or {}
        size, page = paging.get("entities_per_page", most), paging.get("current_page", 1)
        if not isinstance(size, int) or not isinstance(page, int) or size < 1 or page < 1:
            raise bad_request("read", f"invalid/missing integer 'paging' 'entities_per_page': {paging!r}")
        size = min(size, most)
        fields = params.get("return_fields") or ["id"]
        if not isinstance(fields, list) or not all(isinstance(one, str) for one in fields):
            raise bad_request("read", f"invalid/missing 'return_fields': {fields!r}")
        if params.get("additional_filter_presets"):
            raise bad_request("read", "'additional_filter_presets' are not part of the sandbox. Test this against a real site.")
        without_counts = "return_paging_info_without_counts" in params
        return cls(
            store.schema.entity_type(params.get("type"), "read").name,
            params.get("filters"),
            fields,
            [one for one in params.get("sorts") or () if isinstance(one, Mapping)],
            (page - 1) * size,
            size,
            page,
            params.get("return_only") == "retired",
            params.get("include_archived_projects", True) is not False,
            bool(params.get("return_paging_info_without_counts")),
            bool(params.get("return_paging_info", not without_counts)),
        )

    def info(self, found: int) -> dict[str, Any]:
        """The paging_info for that many entities found; without counts it is enough to have found one more than the page."""
        info: dict[str, Any] = {"current_page": self.page, "entities_per_page": self.limit}
        if self.counts:
            return info | {"page_count": -(-found // self.limit), "entity_count": found}
        return info | {"has_next_page": found > self.offset + self.limit}

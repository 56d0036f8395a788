"""What an answer of the API looks like, call by call; anything else was said by somebody else.

``shotgun_api3`` returns whatever came with HTTP 200: a login page is then the result of ``update``, and a write that never happened
looks done.
"""

from typing import Any, Callable, Dict, Optional
from xmlrpc.client import ProtocolError

Check = Callable[[Any, Any], bool]


class UnusableAnswer(ProtocolError):  # noqa: N818 - it is one of those, for whoever catches them
    """Something answered with success, but not as the API does. ``errcode`` is the HTTP status, ``errmsg`` says what came."""

    def __str__(self) -> str:
        return f"{self.url}: {self.errmsg}"


def problem(method: Any, params: Any, answer: Any) -> Optional[str]:
    """Why that is no answer of the API to the call; None if it is one, be it a refusal. ``answer``: decoded JSON, or raw text."""
    if not isinstance(answer, dict):
        return "it is no JSON object"
    if answer.get("exception"):
        return None if isinstance(answer.get("message"), str) else "it is a fault without a message"
    if method == "info":  # the one answer that is bare
        return None if answer.get("version") else "it names no version of the API"
    if "results" not in answer:
        return "it has no results"
    check = _RESULTS.get(method)
    if check is not None and not check(params, answer["results"]):
        return f"its results are not those of {method}()"
    return None


def _page(_params: Any, results: Any) -> bool:
    if not isinstance(results, dict) or not isinstance(results.get("entities"), list):
        return False
    return all(isinstance(one, dict) for one in results["entities"])


def _entity(_params: Any, results: Any) -> bool:
    first = results[0] if isinstance(results, list) and results else results  # as older sites send it
    return isinstance(first, dict) and "id" in first


def _each(params: Any, results: Any) -> bool:
    return isinstance(results, list) and (not isinstance(params, (list, tuple)) or len(results) == len(params))


def _session(_params: Any, results: Any) -> bool:
    return isinstance(results, dict) and isinstance(results.get("session_id"), str)


def _mapping(_params: Any, results: Any) -> bool:
    return isinstance(results, dict)


def _flag(_params: Any, results: Any) -> bool:
    return isinstance(results, (bool, int))


_RESULTS: Dict[Any, Check] = {
    "read": _page,
    "create": _entity,
    "update": _entity,
    "delete": _flag,
    "revive": _flag,
    "batch": _each,
    "summarize": _mapping,
    "schema_read": _mapping,
    "schema_entity_read": _mapping,
    "schema_field_read": _mapping,
    "get_session_token": _session,
}
"""Of the calls whose results are of one kind always. Others may mean null."""

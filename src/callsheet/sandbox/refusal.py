"""How the pretend site says no: an error code and a message, as the client turns into its exceptions."""

from __future__ import annotations

from callsheet.errors import CallsheetError

NOT_AUTHENTICATED = 102
"""The client raises AuthenticationFault for it."""
BAD_REQUEST = 103
"""The request names something that does not exist or has the wrong type; the client raises Fault."""
FAILED = 104
"""The request was understood, and could not be carried out; the client raises Fault."""


class Refusal(CallsheetError):  # noqa: N818 - a refusal is an answer, not a fault of the sandbox
    """An answer of ``{"exception": true, "message": …, "error_code": …}`` with HTTP status 200."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def not_authenticated(message: str) -> Refusal:
    """Nobody is let in with that name, key, password or token."""
    return Refusal(NOT_AUTHENTICATED, message)


def bad_request(method: str, message: str) -> Refusal:
    """``method`` was called with something the site does not know."""
    return Refusal(BAD_REQUEST, f"API {method}() {message}")


def failed(method: str, message: str) -> Refusal:
    """``method`` could not be carried out."""
    return Refusal(FAILED, f"API {method}() CRUD ERROR: {message}")

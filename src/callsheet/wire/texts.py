"""Texts that can be kept, printed and sent. Also in the agent's archive, so this runs on Python 3.7.

A Python string may hold what no encoding has a form for: half a character (a lone surrogate, as of a file name that is not UTF-8,
or of an emoji cut in two), and NUL, which ends a text for much that is written in C. Here both become visible escapes.
"""

from __future__ import annotations

import hashlib
import re
from typing import List, Optional
from urllib.parse import unquote

LONGEST_NAME = 200
"""Letters of a name by which something is found again: of a callback, of a lane."""

LONGEST_RECORD = 1_000_000
"""Letters of a log record's text; one that holds a whole answer of a server must not fill the daemon's memory, nor the disk."""

CALLBACK_FAILED = "An error occured processing an event.\n\n%s\n\nLocal variables at outer most frame in plugin:\n\n%s"
"""How shotgunEvents logs a failure, with traceback and local variables; operators look for it."""

_DIGITS = 12
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
STEERING = re.compile(f"[{_CONTROLS}]")
"""What moves a cursor, rings a bell, ends a line or turns the direction of what follows; save tab and LF."""
_LOGIN = re.compile(r"//[^/\s]*@")
_PASSWORD = re.compile(r"(?:^|//)[^/:]*:([^/]*)@")
_STEERING_OR_END = re.compile(rf"[{_CONTROLS}\n]")


def storable(text: str, most: int | None = None) -> str:
    r"""``text`` with half characters as ``\udce9`` and NULs as ``\x00``; cut behind ``most`` letters."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if most is None else cut_short(text, most)


def printable(text: str, *, lines: bool = False) -> str:
    r"""``text`` as a terminal and a log may show it, whoever wrote it: what would steer them is a visible escape such as ``\x1b``.

    ``lines``: it may have several, and keeps its line ends.
    """
    if text.isprintable():
        return text
    if lines:
        return STEERING.sub(_escape, text.replace("\r\n", "\n"))
    return _STEERING_OR_END.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def without_passwords(text: str) -> str:
    """``text`` with stars for what stands before the ``@`` of each URL in it."""
    return _LOGIN.sub("//***@", text)


def passwords(address: Optional[str]) -> List[str]:
    """The password in a URL, or in a proxy ``user:password@host``: as it is written there, and as it is meant; [] for none."""
    found = _PASSWORD.search(address or "")
    return list(dict.fromkeys((found[1], unquote(found[1])))) if found else []


def cut_short(text: str, most: int) -> str:
    """``text``, or its first ``most`` letters and how many are missing."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most} letters more)"


def short_name(text: str, most: int = LONGEST_NAME) -> str:
    """``text`` as a name: storable, of ``most`` letters at most. A longer one ends in a digest, so that no other has the same."""
    text = storable(text)
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS]
    return f"{text[: most - _DIGITS - 1]}-{digest}"

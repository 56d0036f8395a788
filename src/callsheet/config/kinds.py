"""The kinds of values that settings have: what each expects, and how it reads a value of a TOML file or text of a conf.

``parse`` gets TOML values; ``of_text`` turns the text of a conf into one first, as far as the text allows, so that both files are
checked by the same rules. Kinds of files and secrets are in ``places``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from callsheet.config.mistakes import BadValueError, unfit
from callsheet.wire.durations import seconds_of, written

YES = frozenset({"1", "yes", "true", "on"})
NO = frozenset({"0", "no", "false", "off"})
_PROXY = re.compile(r"(?!\w+://)(?:[^@]*:[^@]*@)?[A-Za-z0-9._-]+(?::\d{1,5})?")


@dataclass(slots=True)
class ParseContext:
    """What a value is read in: the folder of the file, the environment, and where remarks of a kind go."""

    base: Path
    environ: Mapping[str, str]
    conf: bool = False
    """The file is a shotgunEventDaemon.conf: names it refers to stay as they are where they are unknown."""
    remarks: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    """The environment variables that secrets were read from."""


class Kind(Protocol):
    """One sort of value."""

    @property
    def expected(self) -> str:
        """What a value must be, in words that go on from "expected"."""

    def of_text(self, text: str) -> object:
        """The text of a conf as the TOML value that it means; the text itself where it means none."""

    def parse(self, value: object, around: ParseContext) -> Any:
        """The value as Settings hold it. Raises BadValueError."""


@dataclass(frozen=True, slots=True)
class Text:
    """Any text but an empty one."""

    expected: str = "a text"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> str:  # noqa: ARG002 - all kinds have one signature
        """See Kind."""
        if not isinstance(value, str) or not value.strip():
            raise unfit(self.expected, value)
        return value.strip()


@dataclass(frozen=True, slots=True)
class Words:
    """A list of texts, comma-separated in a conf; at least one."""

    expected: str = 'a list of texts such as ["a", "b"]'

    def of_text(self, text: str) -> object:
        """See Kind."""
        return [word.strip() for word in text.split(",") if word.strip()]

    def parse(self, value: object, around: ParseContext) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """See Kind."""
        if not isinstance(value, list):
            raise unfit(self.expected, value)
        words = [word.strip() for word in value if isinstance(word, str) and word.strip()]
        if not words or len(words) < len(value):
            found = "other things in it" if value else "an empty one"
            raise BadValueError(f"expected {self.expected}, found {found}", cured=False)
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``least`` to ``most``, both allowed; ``whole``: without a fraction."""

    least: float
    most: float
    whole: bool = True

    @property
    def expected(self) -> str:
        """See Kind."""
        return f"a {'whole ' if self.whole else ''}number from {self.least:g} to {int(self.most) if self.whole else self.most}"

    def of_text(self, text: str) -> object:
        """See Kind."""
        try:
            return int(text) if self.whole else float(text)
        except ValueError:
            return text

    def parse(self, value: object, around: ParseContext) -> float:  # noqa: ARG002 - as above
        """See Kind."""
        wanted = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not self.least <= value <= self.most:
            raise unfit(self.expected, value)
        return value if self.whole else float(value)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds, as a number or as text with a unit; from ``least`` to ``most`` seconds."""

    least: float
    most: float

    @property
    def expected(self) -> str:
        """See Kind."""
        span = f"{written(self.least)} to {written(self.most)}"
        return f'a time from {span}, in seconds or as text such as "5s", "2m", "1h", "14d"'

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> float:  # noqa: ARG002 - as above
        """See Kind."""
        seconds = seconds_of(value)
        if seconds is None or not self.least <= seconds <= self.most:
            raise unfit(self.expected, value)
        return seconds


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false; in a conf the words that ConfigParser knows, or ``only`` one that means true, and any other false."""

    only: str | None = None
    expected: str = "true or false"

    def of_text(self, text: str) -> object:
        """See Kind."""
        if self.only is not None:
            return text == self.only
        word = text.strip().lower()
        return True if word in YES else False if word in NO else text

    def parse(self, value: object, around: ParseContext) -> bool:  # noqa: ARG002 - as above
        """See Kind."""
        if not isinstance(value, bool):
            raise unfit(self.expected, value)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few texts or numbers."""

    options: tuple[str | int, ...]

    @property
    def expected(self) -> str:
        """See Kind."""
        return " or ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in self.options)

    def of_text(self, text: str) -> object:
        """See Kind."""
        return next((one for one in self.options if str(one) == text.strip()), text)

    def parse(self, value: object, around: ParseContext) -> str | int:  # noqa: ARG002 - as above
        """See Kind."""
        for one in self.options:
            if one == value and not isinstance(value, bool):
                return one
        raise unfit(self.expected, value)


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the logging library, by name or number."""

    expected: str = 'a log level such as "debug", "info", "warning", "error", or its number from 1 to 100'

    def of_text(self, text: str) -> object:
        """See Kind."""
        try:
            return int(text)
        except ValueError:
            return text

    def parse(self, value: object, around: ParseContext) -> int:  # noqa: ARG002 - as above
        """See Kind."""
        number = logging.getLevelNamesMapping().get(value.strip().upper()) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 100:  # noqa: PLR2004 - as `expected` says
            raise unfit(self.expected, value)
        return number


@dataclass(frozen=True, slots=True)
class Url:
    """The address of a site."""

    expected: str = "an address that begins with https://"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> str:
        """See Kind."""
        text = value.strip().rstrip("/") if isinstance(value, str) else ""
        try:
            parts = urlsplit(text)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", text)
            parts.port  # noqa: B018 - raises ValueError where the port is no number
        except ValueError:
            good = False
        if not good and re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?(/[\w/.-]*)?", text):
            raise BadValueError(f'expected {self.expected}, found "{text}"; write https://{text}')
        if not good:
            raise unfit(self.expected, without_password(value) if isinstance(value, str) else value)
        if parts.query or parts.fragment or parts.path.startswith(("/page", "/detail", "/projects")):
            raise BadValueError(
                f'expected the address of the site alone, found that of a page, "{without_password(text)}"; '
                f"write {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            )
        if parts.scheme == "http" and not _is_here(str(parts.hostname)):
            around.remarks.append(f"{parts.hostname} is asked without encryption, script key included; write https://")
        return text


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy as shotgun_api3 wants it: without a scheme. An empty text means none."""

    expected: str = "a proxy as host:port or user:password@host:port, without http://"

    def of_text(self, text: str) -> object:
        """See Kind."""
        return text

    def parse(self, value: object, around: ParseContext) -> str | None:  # noqa: ARG002 - as above
        """See Kind."""
        if value == "":
            return None
        if not isinstance(value, str) or not _PROXY.fullmatch(value.strip()):
            raise unfit(self.expected, without_password(value) if isinstance(value, str) else value)
        return value.strip()


def _is_here(host: str) -> bool:
    """Whether the host is this machine, by its address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def without_password(address: str) -> str:
    """An address as it may be shown: what stands before an ``@`` is cut out."""
    return re.sub(r"(^|//)[^/]*@", r"\1***@", address)

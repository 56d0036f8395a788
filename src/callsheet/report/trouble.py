"""What a trouble is, and how the cures write command lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is not well, and its cure; each a sentence, or some.

    ``kind``, ``site``, ``plugin`` and ``place`` (a lane, a project, a callback, a folder, a service) tell which one it is, the same
    for as long as it lasts. ``since``: seconds since the epoch, None where that is not known.
    """

    what: str
    cure: str
    kind: str
    site: str = ""
    plugin: str = ""
    place: str = ""
    since: float | None = None

    @property
    def key(self) -> str:
        """``plugin-held:studio:mailer``: what tells it from all others."""
        return f"{self.kind}:{self.site}:{self.plugin}:{self.place}".rstrip(":")


def command(words: str, config: str, rest: str = "") -> str:
    """A command line to be typed: ``callsheet status studio.toml``."""
    return " ".join(part for part in ("callsheet", words, config, rest) if part)

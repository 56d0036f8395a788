"""Configuration: from a TOML file or a shotgunEventDaemon.conf to ``settings.Settings``, every mistake said at once."""

from __future__ import annotations

from callsheet.config.reading import Loaded, load, load_with_notes
from callsheet.config.sections import legacy_sections

__all__ = ["Loaded", "legacy_sections", "load", "load_with_notes"]

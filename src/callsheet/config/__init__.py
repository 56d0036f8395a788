"""Configuration: from a TOML file or a shotgunEventDaemon.conf to ``settings.Settings``, every mistake said at once."""

from __future__ import annotations

from callsheet.config.legacy_sections import legacy_sections
from callsheet.config.load import Loaded, load, load_with_notes

__all__ = ["Loaded", "legacy_sections", "load", "load_with_notes"]

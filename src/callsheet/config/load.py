"""From a path to Settings: the one way in, whichever kind of file it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callsheet.config.build_settings import build
from callsheet.config.document import Document
from callsheet.config.legacy_conf import read_conf
from callsheet.config.mistakes import Findings
from callsheet.config.toml_file import read_toml
from callsheet.errors import ConfigError
from callsheet.settings import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and remarks on it: a line each, none of which stops anybody."""

    settings: Settings
    notes: tuple[str, ...] = ()
    document: Document | None = None

    def place(self, table: str, key: str = "") -> str:
        """Where the file says that, as messages name it: ``studio.toml:7: [log] file``. The file alone where it doesn't say it."""
        found = self.document.tables.get(table) if self.document else None
        entry = found.entries.get(key) if found and key else found
        source = self.document.path if self.document else self.settings.source
        return f"{source}:{entry.line}: {entry.label}" if entry else str(source)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in a TOML file (``*.toml``) or an unmodified shotgunEventDaemon.conf (any other name).

    Raises ConfigError with every mistake at once.
    """
    return load_with_notes(path, environ).settings


def load_with_notes(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """As ``load``, with remarks such as unknown options of a conf, or a key file that others can read."""
    findings = Findings(path)
    text = read_text(path)
    document = read_toml(path, text, findings) if is_toml(path) else read_conf(path, text, environ, findings)
    settings = build(document, environ, findings)
    return Loaded(settings, findings.notes, document)


def is_toml(path: Path) -> bool:
    """Whether the file's name says TOML."""
    return path.suffix.lower() == ".toml"


def read_text(path: Path) -> str:
    """The file's text. Raises ConfigError where there is none. A conf may be older than UTF-8."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; name a TOML file or a shotgunEventDaemon.conf"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{path}: a folder, expected a file; name the TOML file or shotgunEventDaemon.conf in it"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be read ({error.strerror}); fix it for the user who runs callsheet"]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not is_toml(path):
            return data.decode("latin-1")
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise ConfigError([f"{path}:{line}: expected UTF-8 text, found {found}; save the file as UTF-8"]) from None

"""The sections that legacy plugins see as ``logger.config``. They hold the site's key: they go to workers and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callsheet.config.conf_file import read_conf_file
from callsheet.config.legacy_conf import OURS
from callsheet.config.load import is_toml, load, read_text
from callsheet.config.mistakes import Findings
from callsheet.config.setting_table import SETTINGS
from callsheet.settings import Secret, Settings


def legacy_sections(
    config: Settings | Path, site: str | None = None, environ: Mapping[str, str] = os.environ
) -> dict[str, dict[str, str]]:
    """Section → option (lower-case, as ConfigParser has it) → value with all references filled in.

    Of a shotgunEventDaemon.conf: all of its sections, custom ones included, read anew from the file. Of a TOML file: what a conf
    for ``site`` (None: the first) would say. Values are final: read them without interpolation.
    """
    source = config if isinstance(config, Path) else config.source
    if not is_toml(source):
        findings = Findings(source)
        conf = read_conf_file(source, read_text(source), findings)
        findings.raise_if_any()
        return conf.resolved(environ)
    return _made_up(config if isinstance(config, Settings) else load(config, environ), site)


def _made_up(settings: Settings, site: str | None) -> dict[str, dict[str, str]]:
    chosen = next(one for one in settings.sites if site is None or one.name == site)
    holders: dict[str, Any] = {"": settings, "sites.*": chosen, "log": settings.log, "mail": settings.mail}
    sections: dict[str, dict[str, str]] = {"daemon": {}, "shotgun": {}, "plugins": {}, "emails": {}}
    for setting in SETTINGS:
        if setting.conf is None or setting.conf[0] == OURS or setting.to is None:
            continue
        value = getattr(holders[setting.table], setting.to, None)
        if value is not None:
            section, option = setting.conf
            sections[section][option.lower()] = _text(value, on="on" if option == "timing_log" else "True")
    sections["shotgun"]["server"] = chosen.full_url
    sections["emails"]["enabled"] = str(settings.mail is not None)
    return sections


def _text(value: Any, on: str) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, bool):
        return on if value else {"on": "off"}.get(on, "False")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(str(one) for one in value)
    return str(value)

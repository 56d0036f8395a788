"""Reads an unmodified shotgunEventDaemon.conf into a Document: each option goes to the table and key that mean the same in TOML."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from callsheet.config.conf_file import DEFAULT, ConfFile, UnsetError, read_conf_file
from callsheet.config.document import PLUGINS, PROJECTS, SITES, TOOLKIT, Document, Entry, Table
from callsheet.config.mistakes import Findings, did_you_mean
from callsheet.config.path_kinds import SecretValue
from callsheet.config.setting_table import SETTINGS, Setting, of_section, of_table

THEIRS = ("daemon", "shotgun", "plugins", "emails")
"""The sections without which shotgunEvents doesn't start: where one is missing, a name much like it is a slip."""

OURS = "callsheet"
"""The one section that only Callsheet reads."""


def read_conf(path: Path, text: str, environ: Mapping[str, str], findings: Findings) -> Document:
    """What the file says. Options that are not known are noted in the sections we read, and are the plugins' own elsewhere."""
    conf = read_conf_file(path, text, findings)
    _sections(conf, findings)
    document = Document(path, conf=True, headers={name: conf.line(name) for name in conf.sections})
    off = mail_is_off(conf, environ)
    site = SITES + _site_name(conf, environ)
    for table, section in (("", "callsheet"), (site, "shotgun"), ("log", "daemon"), ("mail", "emails"), ("crew", "callsheet")):
        if section in conf.sections or table in {"", site}:
            document.tables[table] = Table(conf.line(section), f"[{section}]")
    for setting in SETTINGS:
        table = site if setting.table == "sites.*" else setting.table
        if setting.conf is None or (off and setting.table == "mail"):
            continue
        entry = _entry(conf, setting, setting.conf, environ, findings)
        if entry is not None:
            document.tables.setdefault(table, Table(entry.line, "")).entries[setting.key] = entry
    for section in conf.sections:
        if _is_ours(section):
            document.tables[section] = _ours(conf, section, environ, findings)
    if off:
        document.tables.pop("mail", None)
    return document


def mail_is_off(conf: ConfFile, environ: Mapping[str, str]) -> bool:
    """Whether the conf asks for no mail: then nothing else in its section matters, not even names that aren't set."""
    try:
        text = conf.text("emails", "enabled", environ)
    except UnsetError:
        return False
    return "emails" not in conf.sections or (text or "").strip().lower() in {"0", "no", "false", "off"}


def _is_ours(section: str) -> bool:
    """Whether a section that shotgunEvents ignores is the table of that name: it has the keys of TOML."""
    return section == TOOLKIT or section.startswith((PLUGINS, PROJECTS))


def _ours(conf: ConfFile, section: str, environ: Mapping[str, str], findings: Findings) -> Table:
    table = Table(conf.line(section), f"[{section}]")
    known = of_table(section)
    for option in conf.sections[section]:
        if option not in known:
            meant = did_you_mean(option, known)
            cure = f"did you mean {meant}?" if meant else "nothing reads it but plugins"
            findings.note(conf.line(section, option), f"[{section}] {option}", f"unknown option; {cure}")
            continue
        entry = _entry(conf, known[option], (section, option), environ, findings)
        if entry is not None:
            table.entries[option] = entry
    return table


def _entry(
    conf: ConfFile, setting: Setting, place: tuple[str, str], environ: Mapping[str, str], findings: Findings
) -> Entry | None:
    section, option = place
    label, line = f"[{section}] {option}", conf.line(section, option.lower())
    try:
        text = conf.text(section, option.lower(), environ)
    except UnsetError as error:
        cure = f"export {error.name}=… before starting callsheet, or write the value here"
        findings.problem(line, label, f"environment variable {error.name} is not set; {cure}")
        return Entry(None, line, label)
    if text is None:
        return None
    if option == "timing_log" and text.lower() in {"1", "yes", "true", "on"} and text != "on":
        findings.note(line, label, f'only the word "on" switches it on, so "{text}" leaves it off; write timing_log: on')
    if isinstance(setting.kind, SecretValue):
        _warn_of_readers(conf, section, option.lower(), findings)
    if not text.strip() and not setting.required:
        return None  # an empty option counts as one that isn't there, as in the example conf's proxy_server
    return Entry(setting.kind.of_text(text), line, label)


def _warn_of_readers(conf: ConfFile, section: str, option: str, findings: Findings) -> None:
    raw = conf.sections.get(section, {}).get(option, "")
    if raw and "%(" not in raw and conf.path.stat().st_mode & stat.S_IROTH:
        cure = "chmod 600 it, or write %(NAME)s and export NAME"
        findings.note(conf.line(section, option), f"[{section}] {option}", f"every user of this machine can read this file; {cure}")


def _sections(conf: ConfFile, findings: Findings) -> None:
    """Misspelt sections and options of ours. Sections of plugins are nobody's business but theirs."""
    for section, options in conf.sections.items():
        if section in {*THEIRS, OURS}:
            known = of_section(section)
            for option in options:
                if option not in known:
                    meant = did_you_mean(option, [one.conf[1] for one in known.values() if one.conf])
                    cure = f"did you mean {meant}?" if meant else "nothing reads it but plugins"
                    findings.note(conf.line(section, option), f"[{section}] {option}", f"unknown option; {cure}")
        elif section != DEFAULT and not _is_ours(section):
            meant = OURS if section.lower() == OURS else did_you_mean(section, THEIRS)
            if meant and meant not in conf.sections:
                text = f"unknown section, and there is no [{meant}]; did you mean [{meant}]? Case counts"
                findings.problem(conf.line(section), f"[{section}]", text)


def _site_name(conf: ConfFile, environ: Mapping[str, str]) -> str:
    """The first label of the server's host: ``studio`` for https://studio.shotgrid.autodesk.com; a bare address stays whole."""
    try:
        host = urlsplit((conf.text("shotgun", "server", environ) or "").strip()).hostname or "site"
    except (UnsetError, ValueError):
        return "site"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.partition(".")[0]

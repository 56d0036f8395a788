"""Makes Settings of a Document: every entry is read by its kind, what is missing is said, and what must agree is compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callsheet.config.document import PLUGINS, PROJECTS, SITES, Document, Entry, Table
from callsheet.config.kinds import ParseContext
from callsheet.config.mistakes import BadValueError, Findings
from callsheet.config.setting_table import Setting, of_table
from callsheet.domain.callback import RetryPolicy
from callsheet.settings import (
    LogSettings,
    MailSettings,
    PluginSettings,
    Secret,
    Settings,
    SiteSettings,
    ToolkitPin,
    ToolkitSettings,
)

_PATHS = frozenset({"state", "pid_file", "id_file"})
"""Fields of Settings that name a file or folder of the daemon's own."""


def build(document: Document, environ: Mapping[str, str], findings: Findings) -> Settings:
    """The settings that the document means. Raises ConfigError with all that is wrong."""
    builder = _Builder(document, ParseContext(document.path.absolute().parent, environ, conf=document.conf), findings)
    top, crew = builder.values(""), builder.values("crew")
    sites = {name: builder.values(SITES + name) for name in document.named(SITES)}
    plugins = {name: builder.values(PLUGINS + name) for name in document.named(PLUGINS)}
    log, mail, retry = builder.log(), builder.mail(), builder.values("retry")
    toolkit = builder.toolkit()
    builder.sites(list(sites), imports="id_file" in top)
    builder.paths(top, log)
    findings.raise_if_any()
    return Settings(
        source=document.path.absolute(),
        sites=tuple(SiteSettings(name=name, **_without_login(values)) for name, values in sites.items()),
        log=LogSettings(**log, legacy=document.conf),
        mail=MailSettings(**mail) if mail else None,
        legacy=document.conf,
        secret_variables=frozenset(builder.around.secrets),
        retry=RetryPolicy(**retry),
        toolkit=toolkit,
        plugins={name: PluginSettings(**values) for name, values in plugins.items()},
        **{"state": _beside(document.path, top.get("id_file")), **top},
        **crew,
    )


def _without_login(site: dict[str, Any]) -> dict[str, Any]:
    """A site's settings, with what of its address nobody may see apart."""
    scheme, rest = site["url"].split("://", 1)
    login, at, host = rest.rpartition("@")
    return {**site, "url": f"{scheme}://{host}", "login": Secret(login)} if at else site


def _beside(source: Path, id_file: Path | None) -> Path:
    """Where a conf that says nothing keeps its state: beside its id file, which is on a disk meant for that; else beside itself."""
    beside = id_file or source.absolute()
    return beside.with_name(f"{beside.name}.callsheet")


def _same_file(one: Path, other: Path) -> bool:
    """Whether both paths lead to one file, through links, too."""
    try:
        return os.path.realpath(one) == os.path.realpath(other) or one.samefile(other)
    except (OSError, ValueError):  # one of them isn't there, or can't be
        return False


@dataclass(slots=True)
class _Builder:
    document: Document
    around: ParseContext
    findings: Findings

    def values(self, table: str) -> dict[str, Any]:
        """Field → value of one table; what is wrong or missing is said and left out."""
        if table not in self.document.tables:
            return {}
        here = self.document.tables[table]
        values = {}
        for key, setting in of_table(table).items():
            entry = here.entries.get(key)
            if entry is None:
                self._missing(here, setting)
            elif entry.value is not None and (value := self._parsed(entry, setting)) is not None and setting.to:
                values[setting.to] = value
        return values

    def log(self) -> dict[str, Any]:
        """The log table; a file always has a folder."""
        values = self.values("log")
        if "file" in values:
            values.setdefault("path", self.around.base)
            return values
        entries = self.document.tables["log"].entries if "log" in self.document.tables else {}
        wanted = of_table("log")["file"].written(conf=self.document.conf)
        for key, why in (("path", "says where log files go"), ("mode", "writes a file per plugin"), ("timing", "writes a file")):
            if values.get(key) and key in entries and "file" not in entries:
                self._say(entries[key], f"{why}, but no log file is named; add {wanted}")
        return values

    def toolkit(self) -> ToolkitSettings:
        """The toolkit table and those of its projects; SHOTGUN_BASE is where the how-to for shotgunEvents has configurations."""
        values = self.values("toolkit")
        base = self.around.environ.get("SHOTGUN_BASE")
        if base:
            values.setdefault("configs", Path(base).absolute())
        pins = {name: ToolkitPin(**self.values(PROJECTS + name)) for name in self.document.named(PROJECTS)}
        return ToolkitSettings(projects=pins, **values)

    def mail(self) -> dict[str, Any] | None:
        """The mail table; None where no mail is asked for, or where a conf leaves the section incomplete.

        shotgunEvents sends no mail when one of the four that matter is empty, and doesn't start when one isn't there.
        """
        table = self.document.tables.get("mail")
        if table is None or self.document.value("mail", "enabled") is False:
            return None
        needed = [one for one in of_table("mail").values() if one.required]
        if not self.document.conf:
            return self.values("mail")
        empty = [one for one in needed if one.key in table.entries and table.entries[one.key].value in ("", [])]
        absent = [one for one in needed if one.key not in table.entries]
        if not empty and (not absent or "enabled" in table.entries):
            return self.values("mail")
        names = ", ".join(one.conf[1] for one in [*absent, *empty] if one.conf)
        self.findings.note(table.line, table.label, f"no mail will be sent, since these are empty or missing: {names}")
        return None

    def sites(self, names: list[str], *, imports: bool) -> None:
        """What the sites must have in common, and apart."""
        if not names:
            self.findings.problem(1, "[sites]", "no site given; add [sites.NAME] with url, script, key and plugins")
        first: dict[str, str] = {}
        for name in names:
            other = first.setdefault(name.lower(), name)
            if other != name:
                table, before = (self.document.tables[SITES + one] for one in (name, other))
                text = f"the same name as {before.label} in line {before.line}, since case does not count; give each site its own"
                self.findings.problem(table.line, table.label, text)
        if imports and len(names) > 1:
            entry = self.document.tables[""].entries["import_state"]
            self._say(entry, "an id file is of one site, and there are several; remove this and run callsheet import-state --site")

    def paths(self, top: Mapping[str, Any], log: Mapping[str, Any]) -> None:
        """No file may be named for two things: one of them would be written over the other."""
        named = [
            (self.document.tables[""].entries[one.key], top[one.to])
            for one in of_table("").values()
            if one.to in _PATHS & top.keys()
        ]
        if "file" in log:
            entry = self.document.tables["log"].entries["file"]
            path = Path(log["path"], log["file"])
            named += [(entry, path), *([(entry, path.with_name(f"{path.name}.timing"))] if log.get("timing") else [])]
        named.sort(key=lambda one: one[0].line)
        for place, (entry, path) in enumerate(named):
            if _same_file(path, self.document.path):
                self._say(entry, f"{path} is this configuration itself; name another file")
            for other, before in named[:place]:
                if _same_file(path, before):
                    self._say(entry, f"{path} is what {other.label} names in line {other.line}; give each a file of its own")

    def _parsed(self, entry: Entry, setting: Setting) -> Any:
        try:
            value = setting.kind.parse(entry.value, self.around)
        except BadValueError as error:
            cure = "" if error.cured else f"; write for example {setting.written(conf=self.document.conf)}"
            for text in error.texts:
                self._say(entry, text + cure)
            return None
        for remark in self.around.remarks:
            self.findings.note(entry.line, entry.label, remark)
        self.around.remarks.clear()
        return value

    def _missing(self, table: Table, setting: Setting) -> None:
        conf = self.document.conf
        if not setting.required or (conf and setting.key == "state"):
            return
        section, option = setting.conf if conf and setting.conf else (table.label.strip("[]"), setting.key)
        label = f"[{section}] {option}" if section else option
        line = self.document.headers.get(section, 1) if conf else table.line
        self.findings.problem(line, label, f"missing; add for example {setting.written(conf=conf)}")

    def _say(self, entry: Entry, text: str) -> None:
        self.findings.problem(entry.line, entry.label, text)

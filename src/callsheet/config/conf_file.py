"""A shotgunEventDaemon.conf as text: sections, options, their lines, and ``%(NAME)s`` filled in.

Reads what Python's ConfigParser reads. Two things are meant differently from shotgunEvents, which hands the whole environment to
the parser: the environment counts only where it is referred to, and a ``%`` that refers to nothing is a ``%``.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callsheet.config.mistakes import Findings

DEFAULT = "DEFAULT"
_HEADER = re.compile(r"\[(?P<name>.+)\]")
_OPTION = re.compile(r"(?P<name>.*?)\s*[=:]")
_REFERENCE = re.compile(r"%%|%\(([^)]*)\)s")
_NO_OPTION = 'expected "name: value", found text without ":"; add one, or begin the line with #'
"""Doesn't repeat the text: it may hold a key."""


class UnsetError(Exception):
    """``%(NAME)s`` refers to no option of the section and to no environment variable that is set."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@dataclass(slots=True)
class ConfFile:
    """Sections → options (lower-case) → text as written; ``lines`` says where sections ``(name, "")`` and options stand."""

    path: Path
    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def line(self, section: str, option: str = "") -> int:
        """The line of an option, else of its section, else 1."""
        return self.lines.get((section, option), self.lines.get((section, ""), 1))

    def text(self, section: str, option: str, environ: Mapping[str, str]) -> str | None:
        """The option's text with all references filled in; None if there is none. Raises UnsetError."""
        own = self._options(section)
        return None if option not in own else self._filled(option, own, environ)

    def resolved(self, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """All sections with references filled in; text whose references can't be filled stays as written."""
        filled: dict[str, dict[str, str]] = {}
        for section, options in self.sections.items():
            filled[section] = {}
            for option, raw in options.items():
                try:
                    filled[section][option] = self.text(section, option, environ) or ""
                except UnsetError:
                    filled[section][option] = raw
        return filled

    def _options(self, section: str) -> dict[str, str]:
        return {**self.sections.get(DEFAULT, {}), **self.sections.get(section, {})}

    def _filled(self, option: str, own: Mapping[str, str], environ: Mapping[str, str]) -> str:
        # An option does not refer to itself: `key: %(KEY)s` means the variable.
        others = {name: text for name, text in own.items() if name != option}

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return "%"
            if name.lower() in others:
                return self._filled(name.lower(), others, environ)
            value = environ.get(name)
            if value is None:
                value = next((one for key, one in environ.items() if key.lower() == name.lower()), None)
            if value is None:
                raise UnsetError(name)
            return value  # as it is: a % in the environment is a % too

        return _REFERENCE.sub(fill, own[option])


def read_conf_file(path: Path, text: str, findings: Findings) -> ConfFile:
    """The file's sections. Lines that can't be read and names given twice go to ``findings``."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    conf = ConfFile(path)
    _scan(lines, conf, findings)
    said = False
    while True:
        parser = configparser.RawConfigParser(strict=False, default_section="")  # [DEFAULT] is ConfFile's business
        try:
            parser.read_string("\n".join(lines))
        except configparser.MissingSectionHeaderError as error:
            findings.problem(error.lineno, "", "expected a section first, found other text; begin with [daemon]")
            return conf
        except configparser.ParsingError as error:
            for number, _ in error.errors:
                if not said:  # what goes wrong once a line is away is no mistake of the file's
                    findings.problem(number, "", _NO_OPTION)
                lines[number - 1] = ""
            said = True
        else:
            if said:  # a line that continued one that is away now stands for itself
                conf.lines.clear()
                _scan(lines, conf, Findings(path))
            conf.sections.update({section: dict(parser.items(section)) for section in parser.sections()})
            return conf


def _scan(lines: list[str], conf: ConfFile, findings: Findings) -> None:
    """Where sections and options stand, by ConfigParser's rules for comments, headers and continued lines."""
    section, open_option, indent = "", False, 0
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", ";")):
            continue
        depth = len(line) - len(line.lstrip())
        if open_option and depth > indent:
            continue
        indent = depth
        if header := _HEADER.match(stripped):
            section, open_option = header["name"], False
            place, label = (section, ""), f"[{section}]"
        elif option := _OPTION.match(stripped):
            open_option = True
            place, label = (section, option["name"].rstrip().lower()), f"[{section}] {option['name']}"
        else:
            continue
        if place in conf.lines and section != DEFAULT:
            findings.problem(number, label, f"given before, in line {conf.lines[place]}; keep one of the two")
        conf.lines.setdefault(place, number)

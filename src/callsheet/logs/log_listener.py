"""The one listener that turns signals into log records; nothing else in Callsheet writes to a log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from callsheet.domain.callback import PluginKey
from callsheet.logs.log_files import LogFiles
from callsheet.logs.log_messages import CALLBACK, ENGINE, PLUGIN, TABLE, Line
from callsheet.logs.output_throttle import OutputThrottle
from callsheet.telemetry import Signal, subscribe, unsubscribe
from callsheet.wire.texts import printable

SHORTEST_SECRET = 6
"""A shorter secret is not cut out of lines: it would star ordinary words out too."""

_LONG = frozenset({"error", "problem", "why"})
"""Facts that may be texts of several lines."""

Alarm = Callable[[logging.LogRecord, PluginKey | None], None]
"""Gets each record of level ERROR and above, with the plugin it came from (None: the engine)."""


class LogListener:
    """Writes signals to ``files`` from the moment it is made until ``close``.

    ``several``: more than one site is served, so lines name theirs. ``ids``: lines about an event or a delivery say which.
    ``secrets`` are cut out of every line, whoever wrote it.
    """

    def __init__(
        self,
        files: LogFiles,
        level: int,
        *,
        several: bool,
        ids: bool = False,
        secrets: Sequence[str] = (),
        alarm: Alarm | None = None,
    ) -> None:
        self._files = files
        self._level = level
        self._several = several
        self._ids = ids
        self._secrets = tuple(one for one in secrets if len(one) >= SHORTEST_SECRET)
        self._alarm = alarm
        self._output = OutputThrottle()
        # A signal whose lines would all be dropped is not listened to: emitting it then costs nothing.
        names = [name for name, entry in TABLE.items() if entry.most >= level]
        subscribe(self, *names, "plugin.record", *(("plugin.output",) if level <= logging.INFO else ()))

    def __call__(self, signal: Signal) -> None:
        """Write what ``signal`` says."""
        try:
            self._tell(signal)
        except Exception as error:  # noqa: BLE001 - a listener that raises is dropped: one odd signal must not end all logging
            text = (
                f"The signal {signal.name} could not be put into words ({error!r}). Please report it. Its facts: {signal.facts!r}"
            )
            self.say(Line(logging.ERROR, text), {}, signal.name, signal.at)

    def say(self, line: Line, facts: Mapping[str, Any], signal: str, at: float | None = None) -> None:
        """Write ``line``; ``facts`` name its site, plugin and callback. ``signal`` stands as the function in mails."""
        if line.level < self._level:
            return
        name, plugin = ENGINE, None
        if line.logger != ENGINE:
            plugin = facts["plugin"]
            name = f"plugin.{plugin}" + (f".{facts['callback']}" if line.logger == CALLBACK else "")
        record = logging.LogRecord(name, line.level, facts.get("path") or "callsheet", 0, line.text, None, None, signal)
        if at is not None:
            _date(record, at)
        self._write(record, facts, plugin)

    def close(self) -> None:
        """Stop listening; say what is still folded."""
        unsubscribe(self)
        for facts, text in self._output.rest():
            self.say(Line(logging.INFO, text, PLUGIN), facts, "plugin.output")

    def _tell(self, signal: Signal) -> None:
        facts = signal.facts
        if signal.name == "plugin.record":  # its level was decided in the worker, where the plugin may have changed it
            record = record_from_worker(facts["record"], facts["plugin"])
            where = {"site": facts.get("site"), **{name: facts["record"].get(name) for name in ("event_id", "delivery_id")}}
            self._write(record, where, None if record.name == ENGINE else facts["plugin"])
        elif signal.name == "plugin.output":
            for text in self._output.admit(facts, signal.at):
                self.say(Line(logging.INFO, text, PLUGIN), facts, signal.name, signal.at)
        else:
            if signal.name in ("plugin.loading", "plugin.reloading"):
                self._files.open_for(facts["plugin"])  # its file is there from the start, as operators know it
            line = TABLE[signal.name].tell(Signal(signal.name, _in_one_line(facts), signal.at))
            if line is not None:
                self.say(line, facts, signal.name, signal.at)

    def _write(self, record: logging.LogRecord, facts: Mapping[str, Any], plugin: str | None) -> None:
        site = facts.get("site")
        if self._ids:
            record.msg = _with_ids(record.msg, facts)
        for secret in self._secrets:
            if secret in record.msg:
                record.msg = record.msg.replace(secret, "***")
        if self._several and site:
            record.msg = f"[{site}] {record.msg}"
        self._files.write(record, plugin)
        if record.levelno >= logging.ERROR and self._alarm is not None:
            self._alarm(record, None if plugin is None else PluginKey(site or "", plugin))


def _with_ids(text: str, facts: Mapping[str, Any]) -> str:
    """The text, its first line followed by the event and the delivery that it is about and does not name."""
    first, *rest = text.split("\n", 1)
    named = {"event": facts.get("event_id"), "delivery": facts.get("delivery_id")}
    told = [f"{what} {number}" for what, number in named.items() if type(number) is int]
    missing = [one for one in told if re.search(rf"\b{one}\b", first, re.IGNORECASE) is None]
    return "\n".join([f"{first} [{', '.join(missing)}]", *rest]) if missing else text


def _in_one_line(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts whose texts end no line: names are whatever somebody wrote. What is long, a traceback perhaps, keeps its lines."""
    return {name: value if name in _LONG else _escaped(value) for name, value in facts.items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return [_escaped(one) for one in value] if type(value) in (list, tuple) else value


def record_from_worker(data: Mapping[str, Any], plugin: str) -> logging.LogRecord:
    """The record a worker sent: name, levelno, message, created, pathname, funcName, lineno. What is missing gets a default."""
    record = logging.LogRecord(
        str(data.get("name") or f"plugin.{plugin}"),
        int(data.get("levelno") or logging.INFO),
        str(data.get("pathname") or ""),
        int(data.get("lineno") or 0),
        str(data.get("message") or ""),
        None,
        None,
        str(data.get("funcName") or ""),
    )
    if data.get("levelname"):
        record.levelname = str(data["levelname"])  # the plugin may have named levels of its own
    if data.get("created"):
        _date(record, float(data["created"]))
    return record


def _date(record: logging.LogRecord, created: float) -> None:
    record.created = created
    record.msecs = float(int((created - int(created)) * 1000))

"""Log records of a worker, on their way to the daemon's logs."""

import logging
import threading
from contextvars import ContextVar
from typing import Any, Callable, Dict, List, Optional, Type

from callsheet.agent.failures import Secrets
from callsheet.wire.frames import Message
from callsheet.wire.texts import LONGEST_RECORD, cut_short

_plain = logging.Formatter()
_PREFIX = "plugin."
_SAID = "said_to_callsheet"


class _AtWork:
    """What is known of the code that runs here: in this thread, or in this task of an event loop and the threads that it calls."""

    def __init__(self) -> None:
        self._plugin: ContextVar[str] = ContextVar("plugin", default="")
        self._mark: ContextVar[str] = ContextVar("mark", default="")
        self._event: ContextVar[Optional[int]] = ContextVar("event", default=None)
        self._delivery: ContextVar[Optional[int]] = ContextVar("delivery", default=None)

    @property
    def plugin(self) -> str:
        """Whose code it is; records of loggers that are nobody's, such as a library's, are that plugin's. Empty: unknown."""
        return self._plugin.get()

    @plugin.setter
    def plugin(self, name: str) -> None:
        self._plugin.set(name)

    @property
    def mark(self) -> str:
        """The session uuid of what it writes, also in other processes; empty if none was set."""
        return self._mark.get()

    @mark.setter
    def mark(self, session_uuid: str) -> None:
        self._mark.set(session_uuid)

    @property
    def event(self) -> Optional[int]:
        """The id of the event that it handles; None: none, or unknown."""
        return self._event.get()

    @event.setter
    def event(self, number: Optional[int]) -> None:
        self._event.set(number)

    @property
    def delivery(self) -> Optional[int]:
        """The id of the delivery that it handles; of several that are handled together, the last one's. None as above."""
        return self._delivery.get()

    @delivery.setter
    def delivery(self, number: Optional[int]) -> None:
        self._delivery.set(number)


at_work = _AtWork()


class RecordHandler(logging.Handler):
    """Says each record as a message, once; the daemon decides on formats, files and mails."""

    def __init__(self, say: Callable[[Message], None], secrets: Secrets) -> None:
        super().__init__()
        self._say = say
        self._secrets = secrets
        self.plugins: List[str] = []
        """The names of the plugins that were loaded, in that order."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the record; whatever goes wrong is printed, as with any handler."""
        if getattr(record, _SAID, False):
            return
        setattr(record, _SAID, True)
        try:
            self._say(self._message(record))
        except Exception:  # noqa: BLE001 - logging's rule: a log line must not fail its author
            self.handleError(record)

    def _message(self, record: logging.LogRecord) -> Dict[str, Any]:
        text = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = _plain.formatException(record.exc_info)
        for more in (record.exc_text, record.stack_info):
            if more:
                text = f"{text}\n{more}"
        return {
            "is": "record",
            "plugin": at_work.plugin or self._owner(record.name),
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "message": cut_short(self._secrets.cut(text), LONGEST_RECORD),
            "created": record.created,
            "pathname": record.pathname,
            "funcName": record.funcName,
            "lineno": record.lineno,
            "event_id": at_work.event,
            "delivery_id": at_work.delivery,
        }

    def _owner(self, name: str) -> str:
        """Of a thread that a plugin started: by the logger's name, else the plugin that was loaded first."""
        fits = [one for one in self.plugins if name == _PREFIX + one or name.startswith(f"{_PREFIX}{one}.")]
        return max(fits, key=len) if fits else next(iter(self.plugins), "")


class Unmutable(logging.Logger):
    """Mixed into the loggers whose records the daemon gets at first hand, whatever plugins do to logging.

    A plugin, or a library that it imports, may set logging up anew: take the root's handlers away, put others there, disable all
    loggers that exist (``dictConfig`` does), end propagation, shut logging down. Such a logger's level counts, its filters do, and
    the handlers that the plugin has added get its records as well.
    """

    records: RecordHandler

    @property
    def disabled(self) -> bool:
        """Never."""
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        """Has no effect."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """By the logger's level alone: ``logging.disable`` is for all of a process, which a plugin does not own."""
        return level >= self.getEffectiveLevel()

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The daemon's first, then those that logging finds."""
        self.records.emit(record)
        if self.hasHandlers():
            super().callHandlers(record)


def reach(records: RecordHandler) -> None:
    """Have the records of this process's loggers said: of ``engine``, ``plugin.*`` for certain, of others through the root's
    handlers, which are the plugin's to replace.
    """
    logging.getLogger().addHandler(records)
    manager = logging.Logger.manager
    get = manager.getLogger
    turn = threading.Lock()

    def get_reaching(name: str) -> logging.Logger:
        logger = get(name)
        if name == "engine" or name.startswith(_PREFIX):
            with turn:
                if not isinstance(logger, Unmutable):
                    # Its own class comes second: a library may have set another one for all loggers.
                    kind: Type[logging.Logger] = type("PluginLogger", (Unmutable, type(logger)), {"records": records})
                    logger.__class__ = kind
        return logger

    manager.getLogger = get_reaching  # type: ignore[method-assign] # each way to a logger leads through it

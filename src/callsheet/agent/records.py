"""Log records of a worker, on their way to the daemon's logs."""

import logging
import threading
from typing import Any, Callable, Dict, List

from callsheet.agent.failures import Secrets
from callsheet.agent.protocol import Message

_plain = logging.Formatter()
_PREFIX = "plugin."

at_work = threading.local()
"""``at_work.plugin``: whose code this thread runs; records of loggers that are nobody's, such as a library's, are that plugin's."""


class RecordHandler(logging.Handler):
    """Says each record as a message; the daemon decides on formats, files and mails."""

    def __init__(self, say: Callable[[Message], None], secrets: Secrets) -> None:
        super().__init__()
        self._say = say
        self._secrets = secrets
        self.plugins: List[str] = []
        """The names of the plugins that were loaded, in that order."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the record; whatever goes wrong is printed, as with any handler."""
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
            "plugin": getattr(at_work, "plugin", "") or self._owner(record.name),
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "message": self._secrets.cut(text),
            "created": record.created,
            "pathname": record.pathname,
            "funcName": record.funcName,
            "lineno": record.lineno,
        }

    def _owner(self, name: str) -> str:
        """Of a thread that a plugin started: by the logger's name, else the plugin that was loaded first."""
        fits = [one for one in self.plugins if name == _PREFIX + one or name.startswith(f"{_PREFIX}{one}.")]
        return max(fits, key=len) if fits else next(iter(self.plugins), "")

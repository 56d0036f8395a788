"""Log records of a worker, on their way to the daemon's logs."""

import logging
from typing import Any, Callable, Dict

from callsheet.agent.failures import Secrets
from callsheet.agent.protocol import Message

_plain = logging.Formatter()


class RecordHandler(logging.Handler):
    """Says each record as a message; the daemon decides on formats, files and mails."""

    def __init__(self, say: Callable[[Message], None], secrets: Secrets) -> None:
        super().__init__()
        self._say = say
        self._secrets = secrets

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
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "message": self._secrets.cut(text),
            "created": record.created,
            "pathname": record.pathname,
            "funcName": record.funcName,
            "lineno": record.lineno,
        }

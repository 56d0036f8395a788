"""What a mail says, and which errors are the same one. Pure."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from callsheet.wire.texts import printable

LONGEST_BODY = 200_000  # characters; the locals of one frame can be hundreds of megabytes

_NUMBER = re.compile(r"\b0x[0-9a-f]+|\d+", re.IGNORECASE)
_FRAME = re.compile(r'^ *File ".+", line \d+, in .+$', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MailMessage:
    """One log record on its way to ``to``. ``more``: it stands for that many records like it, the first at ``first``."""

    to: tuple[str, ...]
    level: int
    logger: str
    created: float
    pathname: str
    function: str
    lineno: int
    text: str
    more: int = 0
    first: float = 0.0

    @classmethod
    def of(cls, record: logging.LogRecord, to: tuple[str, ...]) -> MailMessage:
        """The letter that tells of ``record``."""
        return cls(
            to=to,
            level=record.levelno,
            logger=printable(record.name),
            created=record.created,
            pathname=printable(record.pathname),
            function=printable(record.funcName or ""),
            lineno=record.lineno,
            text=printable(record.getMessage(), lines=True),
        )

    def likeness(self) -> tuple[object, ...]:
        """Equal for letters about the same error: readers, logger, level, first line without its numbers, place and type raised.

        Numbers differ from event to event; the place is the last frame of the traceback.
        """
        told = self.text.partition("\n\nLocal variables")[0]  # locals are long, and differ from event to event
        first_line = _NUMBER.sub("#", told.partition("\n")[0])
        frames = list(_FRAME.finditer(told))
        place = frames[-1].group().strip() if frames else ""
        raised = _RAISED.search(told, frames[-1].end()) if frames else None
        return (self.to, self.logger, self.level, first_line, place, raised.group(1) if raised else "")

    def summing_up(self, more: int, first: float) -> MailMessage:
        """The same letter, saying that it came ``more`` times since ``first``."""
        return replace(self, more=more, first=first)


def message(letter: MailMessage, sender: str, subject: str, lost: int = 0) -> EmailMessage:
    """The mail as it goes out, UTF-8. ``lost``: how many earlier mails never went. Raises ValueError for unusable addresses."""
    word = "CRITICAL" if letter.level >= logging.CRITICAL else "ERROR"
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(letter.to)
    mail["Subject"] = " ".join(f"{subject} {word} - SG event daemon.{_more(letter.more)}".split())
    mail["Date"] = formatdate(letter.created, localtime=True)
    mail["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or "callsheet.invalid")
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps vacation notices from answering
    mail.set_content(_body(letter, lost).encode("utf-8", "replace").decode())
    return mail


def _more(count: int) -> str:
    return f" ({count} more)" if count else ""


def _body(letter: MailMessage, lost: int) -> str:
    head = ""
    if lost:
        head += (
            f"{lost} earlier mails were dropped, since the mail server did not take them in time; the log has what they said.\n\n"
        )
    if letter.more:
        when = f"between {_clock(letter.first)} and {_clock(letter.created)}. The last one:"
        head += "This error came once more:\n\n" if letter.more == 1 else f"This error came {letter.more} times more {when}\n\n"
    text = letter.text
    if len(text) > LONGEST_BODY:
        text = f"{text[:LONGEST_BODY]}\n… cut here: {len(text) - LONGEST_BODY} more characters are in the log."
    return (
        f"{head}Time: {_clock(letter.created)}\nLogger: {letter.logger}\nPath: {letter.pathname}\n"
        f"Function: {letter.function}\nLine: {letter.lineno}\n\n{text}\n"
    )


def _clock(at: float) -> str:
    """As in the log: ``2026-11-22 03:40:10,123``."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))},{int(at % 1 * 1000):03d}"

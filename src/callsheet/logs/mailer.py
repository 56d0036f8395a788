"""The post: one thread that brings letters to the mail server, so that nothing else ever waits for it."""

from __future__ import annotations

import contextlib
import smtplib
import threading
import time
from collections import deque

from callsheet.logs.error_dedup import ErrorDedup
from callsheet.logs.mail_message import MailMessage, message
from callsheet.settings import MailSettings
from callsheet.telemetry import emit

TIMEOUT = 5.0
"""Seconds for each answer of the server, as in shotgunEvents."""
MOST_WAITING = 200
"""Letters that wait for a dead server; beyond it the oldest is dropped and counted."""
PERMANENT = 500


class Mailer:
    """Takes letters at any rate, from any thread, and sends them in order.

    A server that fails is tried again after ``first_wait`` seconds, then after twice as long each time, ``longest_wait`` at most;
    each failure is a ``mail.failed``. A letter that the server refuses for good is dropped, which is a ``mail.failed`` too.
    """

    def __init__(self, settings: MailSettings, *, first_wait: float = 2.0, longest_wait: float = 300.0) -> None:
        self._settings = settings
        self._first_wait, self._longest_wait = first_wait, longest_wait
        self._changed = threading.Condition()
        self._folding = ErrorDedup(settings.fold)
        self._waiting: deque[MailMessage] = deque()
        self._lost = 0
        self._closing = False
        self._wait, self._not_before = 0.0, 0.0  # backoff: seconds, and the monotonic time before which the server is left alone
        self._thread = threading.Thread(target=self._deliver, name="mail", daemon=True)
        self._thread.start()

    def offer(self, letter: MailMessage) -> None:
        """Take ``letter``; returns at once."""
        with self._changed:
            if not self._closing and self._folding.admit(letter, time.monotonic()):
                self._enqueue(letter)
                self._changed.notify()

    def close(self, grace: float) -> None:
        """Send what waits and what is folded, for up to ``grace`` seconds; what is left then is said in a ``mail.failed``."""
        with self._changed:
            self._closing = True
            for letter in self._folding.rest():
                self._enqueue(letter)
            self._not_before = 0.0
            self._changed.notify()
        self._thread.join(grace)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left or self._thread.is_alive():
            emit(
                "mail.failed",
                server=self._server,
                error=f"{left or 'some'} mails were not sent before the end",
                waiting=0,
                dropped=left,
            )

    @property
    def _server(self) -> str:
        return f"{self._settings.server}:{self._settings.port}"

    def _enqueue(self, letter: MailMessage) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(letter)

    def _deliver(self) -> None:
        """The thread: wait until there is something to send, send all of it over one connection, again."""
        while self._await_work():
            try:
                smtp = _connected(self._settings)
                try:
                    while (letter := self._next()) is not None:
                        self._send(smtp, letter)
                    with contextlib.suppress(OSError):  # all is delivered: how the server says goodbye is its own affair
                        smtp.quit()
                finally:
                    smtp.close()
            except Exception as error:  # noqa: BLE001 - whatever it was, later mails are still to go
                self._back_off(error)
            else:
                self._wait = 0.0

    def _await_work(self) -> bool:
        """True once letters wait and the server may be tried; False when closing and there is no more to do."""
        with self._changed:
            while True:
                now = time.monotonic()
                for letter in self._folding.due(now):
                    self._enqueue(letter)
                if self._waiting and now >= self._not_before:
                    return True
                if self._closing:
                    return False  # also when the server failed just now: the end does not wait for it
                due = self._not_before if self._waiting else self._folding.next_due()
                self._changed.wait(None if due is None else max(0.0, due - now))

    def _next(self) -> MailMessage | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _send(self, smtp: smtplib.SMTP, letter: MailMessage) -> None:
        """Send one letter, or drop it if it can't ever be sent; other trouble puts it back in front and is raised."""
        lost = self._lost
        try:
            mail = message(letter, self._settings.sender, self._settings.subject, lost)
        except Exception as error:  # noqa: BLE001 - the email package raises all sorts for an address that is none
            self._say(f"no mail can be written to {', '.join(letter.to)}: {error!r}; this one is dropped", dropped=1)
            return
        try:
            refused = smtp.send_message(mail, to_addrs=letter.to)
        except (OSError, ValueError) as error:  # SMTPException is an OSError
            if not _for_good(error):
                self._put_back(letter)
                raise
            with contextlib.suppress(OSError):
                smtp.rset()  # the next letter begins anew
            self._say(f"the mail to {', '.join(letter.to)} was refused and is dropped: {_words(error)}", dropped=1)
            return
        with self._changed:
            self._lost -= lost
        if refused:
            self._say(f"refused for {', '.join(refused)}, delivered to the others")
        else:
            emit("mail.sent", server=self._server)

    def _put_back(self, letter: MailMessage) -> None:
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1  # it is the oldest
            else:
                self._waiting.appendleft(letter)

    def _back_off(self, error: Exception) -> None:
        self._wait = min(self._longest_wait, self._wait * 2 or self._first_wait)
        with self._changed:
            self._not_before = time.monotonic() + self._wait
        self._say(_words(error))

    def _say(self, error: str, *, dropped: int = 0) -> None:
        emit("mail.failed", server=self._server, error=error, waiting=len(self._waiting), dropped=dropped)


def refusal(settings: MailSettings) -> str | None:
    """What the mail server says to a session as configured, in words; None where it takes one."""
    try:
        smtp = _connected(settings)
    except Exception as error:  # noqa: BLE001 - whatever it was, no mail would be sent
        return _words(error)
    with contextlib.suppress(OSError):
        smtp.quit()
    smtp.close()
    return None


def _connected(settings: MailSettings) -> smtplib.SMTP:
    """A session with the server, encrypted and logged in as configured.

    As in shotgunEvents, ``tls`` is STARTTLS without a check of the certificate: studios' own mail servers seldom have a public one.
    With a user name encryption is then required; without one it is used where the server offers it.
    """
    smtp = smtplib.SMTP(settings.server, settings.port, timeout=TIMEOUT)
    try:
        smtp.ehlo_or_helo_if_needed()
        if settings.tls and (settings.username or smtp.has_extn("starttls")):
            smtp.starttls()
            smtp.ehlo()
        if settings.username:
            smtp.login(settings.username, settings.password.reveal() if settings.password else "")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _for_good(error: Exception) -> bool:
    """Whether sending the same letter again is pointless: RFC 5321 calls codes of 500 and above permanent."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= PERMANENT
    # An address beyond ASCII, on a server without SMTPUTF8.
    return isinstance(error, (smtplib.SMTPNotSupportedError, ValueError))


def _words(error: Exception) -> str:
    """The error in words: servers answer in bytes, and some errors have no text."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{to}: {code} {_text(answer)}" for to, (code, answer) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)

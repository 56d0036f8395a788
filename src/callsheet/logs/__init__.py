"""Log lines, mail and timing: listeners of the signals, off the path of a delivery."""

from __future__ import annotations

import logging

from callsheet.errors import ConfigError, in_words
from callsheet.logs.log_files import GRACE, setup
from callsheet.logs.log_listener import LogListener
from callsheet.logs.log_messages import Line
from callsheet.logs.mail_handler import MailHandler
from callsheet.logs.timing_log import TimingLog
from callsheet.settings import Settings


def start(settings: Settings, *, foreground: bool, api_version: str) -> Logging:
    """Log, mail and time as ``settings`` say, until ``close``.

    ``foreground``: lines go to stderr too. Raises ConfigError when a log file can't be written.
    """
    return Logging(settings, foreground=foreground, api_version=api_version)


class Logging:
    """All that listens on behalf of the log."""

    def __init__(self, settings: Settings, *, foreground: bool, api_version: str) -> None:
        try:
            self._files = setup(settings.log, foreground=foreground, group=settings.group)
        except ConfigError as error:
            raise ConfigError([f"{settings.source}: {problem}" for problem in error.problems]) from error
        self._timing: TimingLog | None = None
        if settings.log.timing and settings.log.file is not None:
            try:
                self._timing = TimingLog(settings.log, group=settings.group)
            except OSError as error:
                self._files.close()
                raise ConfigError([f"{settings.source}: the timing log can't be written: {in_words(error)}."]) from error
        self._mail = MailHandler(settings.mail) if settings.mail else None
        secrets = [secret for site in settings.sites for secret in site.secrets()]
        if settings.mail and settings.mail.password:
            secrets.append(settings.mail.password.reveal())
        self._lines = LogListener(
            self._files,
            settings.log.level,
            several=len(settings.sites) > 1,
            ids=not settings.log.legacy,
            secrets=secrets,
            alarm=self._mail,
        )
        self._lines.say(Line(logging.INFO, f"Using SG Python API version {api_version}"), {}, "start")
        if settings.log.timing and self._timing is None:
            text = "No timing log is written, since no log file is named that it could stand beside: name one in [log]."
            self._lines.say(Line(logging.WARNING, text), {}, "start")

    def reopen(self) -> None:
        """Open the log files again, once what was said so far is written: they may have been moved. Returns at once."""
        self._files.reopen()
        if self._timing is not None:
            self._timing.reopen()

    def close(self) -> bool:
        """Send the mails that wait, stop listening, write what is left, close the files; all of it within some seconds.

        False if a file or the terminal hangs: nobody can wait for that, not the end of the process either.
        """
        if self._mail:
            self._mail.close()
        self._files.flush(GRACE)  # what could not be written is told then, and that is to be written, too
        self._lines.close()
        timed = self._timing is None or self._timing.close()
        return self._files.close() and timed

# ruff: noqa: N802 - the names are shotgunEvents', and plugins call them
"""``logger.config``: the configuration as shotgunEvents' plugins see it, custom sections included."""

import configparser
import os
from typing import List, Mapping, Optional

DEFAULT_SMTP_PORT = 25
DEFAULT_BATCH = 500


class _SiteOptions(configparser.ConfigParser):
    """Sections ``shotgun`` and ``plugins``."""

    def getShotgunURL(self) -> str:
        """The site's address."""
        return self.get("shotgun", "server")

    def getEngineScriptName(self) -> str:
        """The daemon's script user."""
        return self.get("shotgun", "name")

    def getEngineScriptKey(self) -> str:
        """Its key."""
        return self.get("shotgun", "key")

    def getEngineProxyServer(self) -> Optional[str]:
        """The proxy; None without one."""
        return self.get("shotgun", "proxy_server", fallback="").strip() or None

    def getPluginPaths(self) -> List[str]:
        """The folders of plugins."""
        return [path.strip() for path in self.get("plugins", "paths").split(",")]


class _MailOptions(_SiteOptions):
    """Section ``emails``."""

    def getSMTPEnabled(self) -> bool:
        """Whether mails are sent."""
        return self.getboolean("emails", "enabled")

    def getSMTPServer(self) -> str:
        """The mail server."""
        return self.get("emails", "server")

    def getSMTPPort(self) -> int:
        """Its port."""
        return self.getint("emails", "port", fallback=DEFAULT_SMTP_PORT)

    def getFromAddr(self) -> str:
        """The sender of mails."""
        return self.get("emails", "from")

    def getToAddrs(self) -> List[str]:
        """The receivers of mails."""
        return [address.strip() for address in self.get("emails", "to").split(",")]

    def getEmailSubject(self) -> str:
        """How subjects begin."""
        return self.get("emails", "subject")

    def getEmailUsername(self) -> Optional[str]:
        """The user at the mail server; None without one."""
        return self.get("emails", "username", fallback=None)

    def getEmailPassword(self) -> Optional[str]:
        """Its password; None without one."""
        return self.get("emails", "password", fallback=None)

    def getSecureSMTP(self) -> bool:
        """Whether STARTTLS is used."""
        return self.getboolean("emails", "useTLS", fallback=False)


class Config(_MailOptions):
    """A ConfigParser of the daemon's resolved values, with the methods that shotgunEvents gives it.

    Values stand for themselves: the daemon resolved what referred to the environment, so a ``%`` is a ``%``. A missing option
    raises ``configparser.NoOptionError``, a missing section ``NoSectionError``, as ever.
    """

    def __init__(self, sections: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(interpolation=None)
        self.read_dict(sections)

    def getEventIdFile(self) -> str:
        """The file in which shotgunEvents kept its state."""
        return self.get("daemon", "eventIdFile")

    def getEnginePIDFile(self) -> str:
        """The file with the daemon's process id."""
        return self.get("daemon", "pidFile")

    def getLogMode(self) -> int:
        """0: one log file for all. 1: one per plugin."""
        return self.getint("daemon", "logMode")

    def getLogLevel(self) -> int:
        """The level of logs, as a number."""
        return self.getint("daemon", "logging")

    def getMaxEventBatchSize(self) -> int:
        """How many events are fetched at a time."""
        return self.getint("daemon", "max_event_batch_size", fallback=DEFAULT_BATCH)

    def getLogFile(self, filename: Optional[str] = None) -> str:
        """The path of the daemon's log file, or of another one beside it."""
        name = self.get("daemon", "logFile") if filename is None else filename
        folder = self.get("daemon", "logPath", fallback=None)
        if folder is None:
            return name
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, name)

    def getTimingLogFile(self) -> Optional[str]:
        """The path of the timing log; None where it is off."""
        if self.get("daemon", "timing_log", fallback="") != "on":
            return None
        return self.getLogFile() + ".timing"

"""What a configuration says, as values, whichever file it came from. Reading and checking the files is the readers' work.

Every field's meaning and default stand here once; the reference page is generated from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from callsheet.domain.callback import RetryPolicy
from callsheet.wire.texts import passwords


class Secret:
    """A value that never shows: ``str``, ``repr``, ``format`` and pickling give stars. ``reveal()`` is the one way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; only for the call that needs it."""
        return self._value

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __reduce__(self) -> str:
        raise TypeError("a Secret can't be pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """One site and how it is read."""

    name: str
    url: str
    script: str
    key: Secret
    plugins: tuple[Path, ...]
    proxy: str | None = None
    ca: Path | None = None
    """A file of certificates (PEM) by which the site's certificate is judged, instead of the client's own."""
    login: Secret | None = None
    """``user:password`` for a web server in front of the site, as it stood in the address; ``url`` is shown, and has none."""
    poll: float = 5.0
    """Seconds between two polls of the event log, when the last one was not full."""
    page: int = 500
    """Events per request."""
    pages_ahead: int = 8
    """Pages asked for at once at most, each over a connection of its own, while there is more to read than one."""
    gaps: Literal["eager", "strict"] = "eager"
    """``strict``: events behind a missing id wait for it, or for the end of its window."""
    order: Literal["plugin", "global"] = "plugin"
    """``global``: legacy plugins run one after another, event by event, in the order of their files, as under shotgunEvents."""
    gap_window: float = 300.0
    """Seconds of answered time for which a missing id is waited for."""
    use_session_uuid: bool = False
    """Hand the event's session_uuid to the connection of legacy callbacks, so that the web page of the user updates at once."""
    retry_sleep: float = 60.0
    """The longest wait, in seconds, between two tries while the site doesn't answer."""
    retries: int = 5
    """After how many failed tries in a row an error, not a warning, is logged."""
    timeout: float = 60.0
    """Seconds after which a silent site counts as not answering."""
    most_waiting: int = 5000
    """A plugin with more open deliveries than this is not routed further until it has caught up; its position waits."""
    max_away: float = 86400.0
    """Seconds that a plugin may be behind when its file is there again after it was gone; past that an operator has to decide."""

    @property
    def ca_file(self) -> str | None:
        """``ca`` as the vendor's client takes it."""
        return None if self.ca is None else str(self.ca)

    @property
    def full_url(self) -> str:
        """The address with ``login``; only for the client that needs it."""
        return self.url if self.login is None else self.url.replace("://", f"://{self.login.reveal()}@", 1)

    def secrets(self) -> list[str]:
        """What of it must never be shown."""
        return [self.key.reveal(), *passwords(self.full_url), *passwords(self.proxy)]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where log lines go. ``mode`` and file names as in shotgunEvents."""

    level: int = 20
    mode: Literal[0, 1] = 0
    """0: one file for all. 1: one for the engine, and ``plugin.<name>`` for each plugin, in the same folder."""
    path: Path | None = None
    file: str | None = None
    """None: no log file, only stderr."""
    timing: bool = False
    """Write ``<file>.timing``: a line per callback that ran, with its duration and delay."""
    size: int | None = None
    """Bytes from which on a log file is rotated before the day is over."""
    legacy: bool = False
    """Lines exactly as shotgunEvents writes them: on stderr without the time, and without ids of events and deliveries."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Where log files are written."""
        return () if self.file is None or self.path is None else (str(Path(self.path, self.file).parent),)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Mail for log records of level ERROR and above."""

    server: str
    sender: str
    to: tuple[str, ...]
    subject: str
    port: int = 25
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    fold: float = 60.0
    """Seconds for which further mails of the same error are folded into one, with a count."""


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """What the configuration says of one plugin by name."""

    timeout: float | None = None
    group: str | None = None
    """It shares a worker with the other plugins of this group."""
    toolkit: bool = False
    """All its callbacks run in the Toolkit session of their event's project."""


@dataclass(frozen=True, slots=True)
class ToolkitPin:
    """What the configuration says of one project's Toolkit, over what the site says."""

    config: Path | None = None
    """The folder of its centralized configuration."""
    configuration: str | None = None
    """Name, or id, of its PipelineConfiguration on the site."""
    descriptor: str | None = None
    """Where its distributed configuration comes from, without asking the site."""
    python: str | None = None
    engine: str | None = None
    apps: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ToolkitSettings:
    """How projects get their Toolkit. Without any of it, centralized configurations that the site names are found all the same."""

    configs: Path = Path("/mnt/sgtk/configs")
    """The folder of centralized configurations: ``<configs>/<project>``."""
    studio: Path | None = None
    """Root of the core for centralized configurations that say nothing of theirs. None: such a configuration is an error."""
    starter: Path | None = None
    """The core, by itself and not in a configuration, that distributed configurations are prepared with."""
    plugin_id: str = "basic.callsheet"
    """Whom a PipelineConfiguration's plugin ids must let in, for distributed ones."""
    engine: str = "tk-shell"
    apps: tuple[str, ...] = ()
    """Apps without which a session is not used."""
    python: str | None = None
    """The interpreter of sessions whose configuration names none. None: that of the workers."""
    app_store: bool = True
    """False: Toolkit never asks the app store."""
    sessions: int = 8
    """How many there are at once; the one used longest ago makes room."""
    idle: float = 1800.0
    """Seconds after which a session that has nothing to do ends."""
    memory: int | None = None
    """Bytes past which a session is replaced; None: no limit."""
    opening: float = 120.0
    """Seconds that a session may take to open."""
    prewarm: tuple[str, ...] = ()
    """Projects, by id or name, whose sessions are opened when the daemon starts."""
    projects: dict[str, ToolkitPin] = field(default_factory=dict)
    """Pins by the project's id, name or folder."""

    def pin(self, *names: str) -> ToolkitPin:
        """What is said of the project of these names; nothing, if nothing is."""
        return next((self.projects[one] for one in names if one in self.projects), ToolkitPin())


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration."""

    source: Path
    """The file it was read from."""
    state: Path
    """The folder of ledger, agent archives and plugin output."""
    sites: tuple[SiteSettings, ...]
    log: LogSettings = field(default_factory=LogSettings)
    mail: MailSettings | None = None
    legacy: bool = False
    """The source is a shotgunEventDaemon.conf."""
    secret_variables: frozenset[str] = field(default=frozenset(), compare=False)
    """Environment variables that a TOML file names as secrets: workers do not get them. Those of a conf they get as ever."""
    group: int | None = None
    """The number of the group that may read the state folder and log files, and operate; None: their owner alone."""
    pid_file: Path | None = None
    """Written at start; the daemon stops when it is removed."""
    id_file: Path | None = None
    """An id file of shotgunEvents to import once, when the ledger knows nothing yet."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """For new-style callbacks that name no policy of their own."""
    timeout: float | None = None
    """Seconds that a callback may run, where neither it nor its plugin says otherwise. None: as long as it likes."""
    plugins: dict[str, PluginSettings] = field(default_factory=dict)
    history: float = 14 * 86400.0
    """Seconds for which finished deliveries are kept."""
    grace: float = 30.0
    """Seconds given to running callbacks at SIGTERM."""
    python: str | None = None
    """The interpreter of workers; None: the daemon's own."""
    toolkit: ToolkitSettings = field(default_factory=ToolkitSettings)
    workers: int | None = None
    """How many workers there are for plugins of no group; None: one each."""
    loading: float = 60.0
    """Seconds that a plugin may take to load."""
    memory: int | None = None
    """Bytes past which a worker is replaced; None: no limit."""
    cascade: int = 8
    """How many plugins' writes may stand behind one another before an event is taken for one of plugins that answer each other."""

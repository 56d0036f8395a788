"""Every setting, once: reading, checking, "did you mean" and the reference page all go by this table.

Defaults are not here but with the fields of ``settings``; a setting without one is required.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from callsheet.config.kinds import Choice, Duration, Flag, Kind, Level, Number, Proxy, Text, Url, Words
from callsheet.config.path_kinds import File, FilePath, Folders, Group, Program, SecretValue
from callsheet.config.sizes import Size

DAY = 86400.0
_BARE = re.compile(r'^\[(?=")|(?<=")\]$|"')


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its ``table`` (``sites.*`` stands for each ``[sites.NAME]``, "" for the top), ``key`` and ``kind``."""

    table: str
    key: str
    kind: Kind
    doc: str
    example: str
    """A value as TOML writes it."""
    field: str = ""
    """Field of the settings class, where it differs from the key; ``-``: none, it is used while reading."""
    conf: tuple[str, str] | None = None
    """Section and option in a shotgunEventDaemon.conf. ``[callsheet]`` is our own section there."""
    required: bool = False

    @property
    def to(self) -> str | None:
        """The field of the settings class that takes the value."""
        return None if self.field == "-" else self.field or self.key

    def written(self, *, conf: bool) -> str:
        """The example as the file would write it."""
        if not conf:
            return f"{self.key} = {self.example}"
        option = self.conf[1] if self.conf else self.key
        text = f"%({self.kind.variable})s" if isinstance(self.kind, SecretValue) else _BARE.sub("", self.example)
        return f"{option}: {text}"


# A setting reads better in two or three lines than with a line per argument.
# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("", "state", FilePath(), "Folder of the ledger, worker archives and plugin output. Made with mode 0700.",
            '"/var/lib/callsheet"', conf=("callsheet", "state"), required=True),
    Setting("", "group", Group(),
            "A group of this machine whose members may look and operate without being the user that runs Callsheet, who must be in "
            "it: they may read the state folder and the log files, and write the ledger. Without it, only that user may.",
            '"pipeline"', conf=("callsheet", "group")),
    Setting("", "history", Duration(0, 3650 * DAY), "How long finished deliveries are kept.", '"14d"',
            conf=("callsheet", "history")),
    Setting("", "grace", Duration(0, 3600), "How long running callbacks may go on after SIGTERM.", '"30s"',
            conf=("callsheet", "grace")),
    Setting("", "pid_file", FilePath(), "Written at start. Removing it stops the daemon.", '"/run/callsheet.pid"',
            conf=("daemon", "pidFile")),
    Setting("", "import_state", FilePath(),
            "An id file of shotgunEvents, read once, when the ledger knows nothing of the site yet. For a single site.",
            '"/var/log/shotgunEventDaemon/shotgunEventDaemon.id"', field="id_file", conf=("daemon", "eventIdFile")),
    Setting("sites.*", "url", Url(), "The site's address.", '"https://studio.shotgrid.autodesk.com"',
            conf=("shotgun", "server"), required=True),
    Setting("sites.*", "script", Text("a script name"), "Name of the script user that reads the event log.", '"event_daemon"',
            conf=("shotgun", "name"), required=True),
    Setting("sites.*", "key", SecretValue("SG_EVENT_KEY"), "The script's key. Never printed, never logged.",
            '{ env = "SG_EVENT_KEY" }', conf=("shotgun", "key"), required=True),
    Setting("sites.*", "plugins", Folders(), "Folders of plugins, in loading order. Not searched deeper.", '["plugins/"]',
            conf=("plugins", "paths"), required=True),
    Setting("sites.*", "proxy", Proxy(), "Proxy for all requests to the site.", '"proxy.studio.com:8080"',
            conf=("shotgun", "proxy_server")),
    Setting("sites.*", "ca", File(),
            "Certificates (PEM) by which the site's is judged, as of a studio's own authority; for daemon, plugins and Toolkit.",
            '"/etc/pki/studio.pem"', conf=("callsheet", "ca")),
    Setting("sites.*", "poll", Duration(0, 3600), "Pause between two looks at the event log, when the last one was not full.",
            "5", conf=("daemon", "fetch_interval")),
    Setting("sites.*", "page", Number(1, 10_000), "Events per request.", "500", conf=("daemon", "max_event_batch_size")),
    Setting("sites.*", "pages_ahead", Number(1, 64),
            "Pages asked for at once at most, each over a connection of its own, while there is more to read than one page.", "8",
            conf=("callsheet", "pages_ahead")),
    Setting("sites.*", "gaps", Choice(("eager", "strict")),
            "`strict`: events behind a missing id wait for it, or for the end of its window. `eager`: they don't.", '"eager"',
            conf=("callsheet", "gaps")),
    Setting("sites.*", "order", Choice(("plugin", "global")),
            "`plugin`: legacy plugins run beside each other, each in order. `global`: one after another, event by event, in the "
            "order of their files, as under shotgunEvents; for plugins that rely on what another one did for the same event.",
            '"plugin"', conf=("callsheet", "order")),
    Setting("sites.*", "gap_window", Duration(0, DAY),
            "How long a missing id is waited for, in time in which the site answered.", '"5m"',
            conf=("callsheet", "gap_window")),
    Setting("sites.*", "use_session_uuid", Flag(),
            "Hand an event's session_uuid to the connection of legacy callbacks, so that the user's open page updates at once.",
            "true", conf=("shotgun", "use_session_uuid")),
    Setting("sites.*", "retry_sleep", Duration(0, DAY), "Longest pause between two tries while the site doesn't answer.",
            '"1m"', conf=("daemon", "conn_retry_sleep")),
    Setting("sites.*", "retries", Number(0, 1_000_000),
            "Failed tries in a row after which an error, not a warning, is logged.", "5", conf=("daemon", "max_conn_retries")),
    Setting("sites.*", "timeout", Duration(0.1, 3600), "A site silent for this long counts as not answering.", '"1m"',
            conf=("callsheet", "site_timeout")),
    Setting("sites.*", "most_waiting", Number(1, 10_000_000),
            "A plugin with more open deliveries than this gets no more until it has caught up; its place in the log waits.",
            "5000", conf=("callsheet", "most_waiting")),
    Setting("sites.*", "max_away", Duration(0, 3650 * DAY),
            "A plugin whose file was gone, and that comes back further behind than this, is held until an operator says whether it "
            "gets all events since, or none of them.", '"1d"', conf=("callsheet", "max_away")),
    Setting("log", "level", Level(), "Lines below this level are left out.", '"info"', conf=("daemon", "logging")),
    Setting("log", "mode", Choice((0, 1)), "0: one file for all. 1: one for the engine and `plugin.<name>` for each plugin.",
            "1", conf=("daemon", "logMode")),
    Setting("log", "path", FilePath(), "Folder of log files; made at start. Without it: the folder of the configuration.",
            '"/var/log/callsheet"', conf=("daemon", "logPath")),
    Setting("log", "file", Text("a file name"), "Name of the log file. Without it there are no log files, only stderr.",
            '"callsheet.log"', conf=("daemon", "logFile")),
    Setting("log", "timing", Flag(only="on"), "Write `<file>.timing`: a line per callback that ran.", "true",
            conf=("daemon", "timing_log")),
    Setting("log", "size", Size(2**20), "A log file of this size is rotated before the day is over; ten are kept.", '"100MB"',
            conf=("callsheet", "log_size")),
    Setting("mail", "enabled", Flag(), "false: send no mail, whatever else is said here.", "true", field="-",
            conf=("emails", "enabled")),
    Setting("mail", "server", Text("a host name"), "The SMTP server.", '"smtp.studio.com"', conf=("emails", "server"),
            required=True),
    Setting("mail", "port", Number(1, 65535), "Its port.", "587", conf=("emails", "port")),
    Setting("mail", "tls", Flag(), "Use STARTTLS.", "true", conf=("emails", "useTLS")),
    Setting("mail", "username", Text("a user name"), "User name at the server.", '"callsheet"', conf=("emails", "username")),
    Setting("mail", "password", SecretValue("SMTP_PASSWORD"), "The user's password.", '{ env = "SMTP_PASSWORD" }',
            conf=("emails", "password")),
    Setting("mail", "from", Text("an address"), "The sender's address.", '"pipeline@studio.com"', field="sender",
            conf=("emails", "from"), required=True),
    Setting("mail", "to", Words('a list of addresses such as ["td@studio.com"]'), "Who gets the mails.", '["td@studio.com"]',
            conf=("emails", "to"), required=True),
    Setting("mail", "subject", Text(), "What subjects begin with.", '"[SG]"', conf=("emails", "subject"), required=True),
    Setting("mail", "fold", Duration(0, DAY), "Mails of one and the same error within this time become one, with a count.",
            '"1m"', conf=("callsheet", "mail_fold")),
    Setting("retry", "attempts", Number(1, 1000), "Tries of a failing delivery, the first included.", "5"),
    Setting("retry", "first", Duration(0, DAY), "Pause before the second try.", '"1s"'),
    Setting("retry", "factor", Number(1, 100, whole=False), "By what each further pause is longer.", "4"),
    Setting("retry", "longest", Duration(0, 7 * DAY), "The longest pause.", '"15m"'),
    Setting("retry", "jitter", Number(0, 1, whole=False), "How far pauses are spread; 0.2 is 20 % either way.", "0.2"),
    Setting("retry", "max_age", Duration(0, 365 * DAY), "No further try once the event is older than this.", '"1d"'),
    Setting("retry", "crashes", Number(1, 1000), "Times a delivery may take its worker down before it counts as failed.", "3"),
    Setting("crew", "python", Program(), "The Python that plugins run in. Without it: the daemon's own.",
            '"/usr/bin/python3.9"', conf=("callsheet", "python")),
    Setting("crew", "timeout", Duration(0.1, 30 * DAY),
            "How long a callback may run, where neither it nor its plugin says otherwise. Without it: as long as it likes.",
            '"10m"', conf=("callsheet", "timeout")),
    Setting("crew", "loading", Duration(0.1, DAY),
            "How long a plugin may take to be imported and to register; past it, its worker is killed and the plugin is broken.",
            '"1m"', conf=("callsheet", "loading")),
    Setting("crew", "workers", Number(1, 10_000),
            "How many worker processes there are at most; with more plugins than that, plugins share them. Without it: one each.",
            "16", conf=("callsheet", "workers")),
    Setting("crew", "memory", Size(32 * 2**20),
            "A worker that has grown past this is replaced after what it runs; past twice as much it is killed.",
            '"1GB"', conf=("callsheet", "worker_memory")),
    Setting("crew", "cascade", Number(1, 200),
            "How many plugins' writes may stand behind one another. What comes after that of a plugin that had a part in it "
            "already is dead: these plugins would answer each other's writes for ever.", "8",
            conf=("callsheet", "cascade")),
    Setting("plugins.*", "group", Text("a name"),
            "Plugins of the same group share one worker, and so their modules, environment and working directory.", '"lighting"'),
    Setting("plugins.*", "toolkit", Flag(),
            "Run all of the plugin's callbacks in the Toolkit session of their event's project, where `import sgtk` is that "
            "project's core. For plugins that can't say `toolkit=True` themselves.", "true"),
    Setting("plugins.*", "timeout", Duration(0.1, 30 * DAY), "How long callbacks of the plugin NAME may run.", '"10m"'),
    Setting("toolkit", "configs", FilePath(),
            "Folder of centralized configurations, each in a folder named as its project's. Without it: `$SHOTGUN_BASE`, if set.",
            '"/mnt/sgtk/configs"'),
    Setting("toolkit", "studio", FilePath(),
            "Root of the core for centralized configurations that have none and name none; such a one is opened through links to "
            "its files, in the state folder. Without it, such a one is an error.",
            '"/mnt/sgtk/configs/studio"'),
    Setting("toolkit", "starter", FilePath(),
            "A Toolkit core outside of any configuration, the newest there is: what distributed configurations are prepared with.",
            '"/mnt/sgtk/cores/v0.24.0"'),
    Setting("toolkit", "plugin_id", Text("a plugin id"), "Whom the plugin ids of distributed configurations must let in.",
            '"basic.callsheet"'),
    Setting("toolkit", "engine", Text("an engine's name"), "The engine of sessions.", '"tk-shell"'),
    Setting("toolkit", "apps", Words('a list of apps such as ["tk-multi-publish2"]'),
            "Apps without which a session is not used.", '["tk-multi-publish2"]'),
    Setting("toolkit", "python", Program(),
            "The Python of sessions whose configuration names none. Without it: that of the workers.", '"/usr/bin/python3.9"'),
    Setting("toolkit", "app_store", Flag(), "false: Toolkit never asks the app store.", "false"),
    Setting("toolkit", "sessions", Number(1, 1000), "How many sessions there are at once; the one used longest ago makes room.",
            "8"),
    Setting("toolkit", "idle", Duration(1, 30 * DAY), "A session that has nothing to do for so long ends.", '"30m"'),
    Setting("toolkit", "memory", Size(32 * 2**20),
            "A session that has grown past this is replaced after what it runs; past twice as much it is killed.", '"1GB"'),
    Setting("toolkit", "opening", Duration(1, DAY), "How long a session may take to open.", '"2m"'),
    Setting("toolkit", "prewarm", Words('a list of projects such as ["Moth", "70"]'),
            "Projects, by name or id, whose sessions are opened when the daemon starts.", '["Moth"]'),
    Setting("toolkit.projects.*", "config", FilePath(), "The folder of its centralized configuration.",
            '"/mnt/sgtk/configs/lighthouse_next"'),
    Setting("toolkit.projects.*", "configuration", Text("a name or an id"), "Its PipelineConfiguration on the site.", '"Staging"'),
    Setting("toolkit.projects.*", "descriptor", Text("a descriptor"),
            "Where its distributed configuration comes from, without asking the site.",
            '"sgtk:descriptor:path?path=/mnt/sgtk/lighthouse"'),
    Setting("toolkit.projects.*", "python", Program(), "The Python of its sessions, whatever its configuration names.",
            '"/usr/bin/python3.9"'),
    Setting("toolkit.projects.*", "engine", Text("an engine's name"), "The engine of its sessions.", '"tk-batch"'),
    Setting("toolkit.projects.*", "apps", Words('a list of apps such as ["tk-multi-publish2"]'),
            "Apps without which its sessions are not used.", '["tk-multi-publish2"]'),
)
# fmt: on

TABLES: tuple[str, ...] = tuple(dict.fromkeys(one.table for one in SETTINGS))


def of_table(table: str) -> dict[str, Setting]:
    """The settings of a table by key; ``sites.studio`` is one of ``sites.*``."""
    group = next((one for one in TABLES if one.endswith(".*") and table.startswith(one[:-1])), table)
    return {one.key: one for one in SETTINGS if one.table == group}


def of_section(section: str) -> dict[str, Setting]:
    """The settings of a section of a shotgunEventDaemon.conf, by lower-case option."""
    return {one.conf[1].lower(): one for one in SETTINGS if one.conf and one.conf[0] == section}

"""TOML configurations: what a whole one means, and the exact words for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.composition import worker_setups
from callsheet.config import load, load_with_notes
from callsheet.config.toml_file import toml_lines
from callsheet.domain.callback import RetryPolicy
from callsheet.errors import ConfigError
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import (
    LogSettings,
    MailSettings,
    PluginSettings,
    Secret,
    Settings,
    SiteSettings,
    ToolkitPin,
    ToolkitSettings,
)

ENVIRON = {"SG_EVENT_KEY": "s3cret-key", "SMTP_PASSWORD": "hunter2", "HOME": "/home/td", "SHOW": "/mnt/show"}

SMALL = """\
state = "state"

[sites.studio]
url = "https://studio.shotgrid.autodesk.com"
script = "event_daemon"
key = { env = "SG_EVENT_KEY" }
plugins = ["plugins"]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "plugins").mkdir(exist_ok=True)
    path = folder / "callsheet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """The lines that loading ``text`` raises, with the test's folder cut out."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON if environ is None else environ)
    return [line.replace(f"{folder}/", "") for line in caught.value.problems]


def test_the_smallest_file_gets_every_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SMALL), ENVIRON)

    assert settings == Settings(
        source=tmp_path / "callsheet.toml",
        state=tmp_path / "state",
        sites=(
            SiteSettings(
                name="studio",
                url="https://studio.shotgrid.autodesk.com",
                script="event_daemon",
                key=Secret("s3cret-key"),
                plugins=(tmp_path / "plugins",),
            ),
        ),
    )


def test_every_setting_reaches_its_field(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    text = """\
state = "~/state"
history = "7d"
grace = 12.5
pid_file = "$SHOW/callsheet.pid"
import_state = "${SHOW}/old.id"

[sites.studio]
url = "http://127.0.0.1:8000/"
script = "event_daemon"
key = { env = "SG_EVENT_KEY" }
plugins = ["plugins", "more/", "plugins"]
proxy = "me:pw@proxy:8080"
poll = "500ms"
page = 250
gaps = "strict"
gap_window = "10m"
use_session_uuid = true
retry_sleep = "2m"
retries = 3
timeout = "90s"
most_waiting = 100

[log]
level = "Warning"
mode = 1
path = "logs"
file = "engine"
timing = true

[mail]
server = "smtp"
port = 587
tls = true
username = "me"
password = { env = "SMTP_PASSWORD" }
from = "a@b.c"
to = ["x@y.z", "u@v.w"]
subject = "[SG]"
fold = "2m"

[retry]
attempts = 9
first = 2
factor = 3
longest = "1h"
jitter = 0
max_age = "1d"
crashes = 1

[crew]
python = "./python"
timeout = "10m"

[plugins.slow]
timeout = "1h"

[toolkit]
configs = "/mnt/sgtk"
studio = "/mnt/sgtk/studio"
starter = "cores/newest"
plugin_id = "basic.events"
engine = "tk-batch"
apps = ["tk-multi-publish2"]
python = "./python"

[toolkit.projects.97]
config = "lighthouse"
engine = "tk-shell"


[toolkit.projects."Night Ferry 1.5"]
configuration = "Staging"
python = "./python"
"""

    settings = load(write(tmp_path, text), ENVIRON)

    assert settings == Settings(
        source=tmp_path / "callsheet.toml",
        state=Path("/home/td/state"),
        sites=(
            SiteSettings(
                name="studio",
                url="http://127.0.0.1:8000",
                script="event_daemon",
                key=Secret("s3cret-key"),
                plugins=(tmp_path / "plugins", tmp_path / "more"),
                proxy="me:pw@proxy:8080",
                poll=0.5,
                page=250,
                gaps="strict",
                gap_window=600.0,
                use_session_uuid=True,
                retry_sleep=120.0,
                retries=3,
                timeout=90.0,
                most_waiting=100,
            ),
        ),
        log=LogSettings(level=30, mode=1, path=tmp_path / "logs", file="engine", timing=True),
        mail=MailSettings(
            server="smtp",
            sender="a@b.c",
            to=("x@y.z", "u@v.w"),
            subject="[SG]",
            port=587,
            username="me",
            password=Secret("hunter2"),
            tls=True,
            fold=120.0,
        ),
        pid_file=Path("/mnt/show/callsheet.pid"),
        id_file=Path("/mnt/show/old.id"),
        retry=RetryPolicy(attempts=9, first=2.0, factor=3.0, longest=3600.0, jitter=0.0, max_age=86400.0, crashes=1),
        timeout=600.0,
        plugins={"slow": PluginSettings(timeout=3600.0)},
        toolkit=ToolkitSettings(
            configs=Path("/mnt/sgtk"),
            studio=Path("/mnt/sgtk/studio"),
            starter=tmp_path / "cores" / "newest",
            plugin_id="basic.events",
            engine="tk-batch",
            apps=("tk-multi-publish2",),
            python=str(tmp_path / "python"),
            projects={
                "97": ToolkitPin(config=tmp_path / "lighthouse", engine="tk-shell"),
                "Night Ferry 1.5": ToolkitPin(configuration="Staging", python=str(tmp_path / "python")),
            },
        ),
        history=7 * 86400.0,
        grace=12.5,
        python=str(tmp_path / "python"),
    )


def test_configurations_are_where_the_how_to_has_them(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)

    assert load(path, ENVIRON).toolkit.configs == Path("/mnt/sgtk/configs")
    assert load(path, {**ENVIRON, "SHOTGUN_BASE": "/shows/sgtk"}).toolkit.configs == Path("/shows/sgtk")


def test_several_sites_keep_their_order(tmp_path: Path) -> None:
    text = SMALL + SMALL[SMALL.index("[sites") :].replace("studio]", "lab]")

    assert [site.name for site in load(write(tmp_path, text), ENVIRON).sites] == ["studio", "lab"]


def test_mail_that_is_not_enabled_may_be_incomplete(tmp_path: Path) -> None:
    assert load(write(tmp_path, SMALL + "[mail]\nenabled = false\n"), ENVIRON).mail is None


SITE_MISTAKES = [
    (
        'poll = "often"',
        (
            'poll: expected a time from 0 to 1h, in seconds or as text such as "5s", "2m", "1h", "14d", found "often"; '
            "write for example poll = 5"
        ),
    ),
    (
        "poll = true",
        (
            'poll: expected a time from 0 to 1h, in seconds or as text such as "5s", "2m", "1h", "14d", found true; '
            "write for example poll = 5"
        ),
    ),
    (
        "poll = -1",
        (
            'poll: expected a time from 0 to 1h, in seconds or as text such as "5s", "2m", "1h", "14d", found -1; '
            "write for example poll = 5"
        ),
    ),
    ("page = 0", "page: expected a whole number from 1 to 10000, found 0; write for example page = 500"),
    ("page = 10001", "page: expected a whole number from 1 to 10000, found 10001; write for example page = 500"),
    ('page = "500"', 'page: expected a whole number from 1 to 10000, found "500"; write for example page = 500'),
    ("page = 1.5", "page: expected a whole number from 1 to 10000, found 1.5; write for example page = 500"),
    ("page = [5]", "page: expected a whole number from 1 to 10000, found a list; write for example page = 500"),
    ("page = 2026-01-01", "page: expected a whole number from 1 to 10000, found a date or time; write for example page = 500"),
    ('gaps = "lazy"', 'gaps: expected "eager" or "strict", found "lazy"; write for example gaps = "eager"'),
    (
        'use_session_uuid = "yes"',
        'use_session_uuid: expected true or false, found "yes"; write for example use_session_uuid = true',
    ),
    (
        'proxy = "http://me:pw@host:1"',
        (
            "proxy: expected a proxy as host:port or user:password@host:port, without http://, "
            'found "http://***@host:1"; write for example proxy = "proxy.studio.com:8080"'
        ),
    ),
    ("pol = 5", "pol: unknown key; did you mean poll?"),
    ("attempts = 5", "attempts: unknown key here; move it below [retry]"),
    (
        "zzz = 5",
        (
            "zzz: unknown key; known here: url, script, key, plugins, proxy, ca, poll, page, pages_ahead, gaps, order, "
            "gap_window, use_session_uuid, retry_sleep, retries, timeout, most_waiting, max_away"
        ),
    ),
]


@pytest.mark.parametrize(("line", "said"), SITE_MISTAKES, ids=[line for line, _ in SITE_MISTAKES])
def test_a_wrong_line_in_a_site_is_said_with_its_cure(tmp_path: Path, line: str, said: str) -> None:
    assert mistakes(tmp_path, f"{SMALL}\n\n{line}\n") == [f"callsheet.toml:10: [sites.studio] {said}"]


REPLACED = [
    (
        'url = "https://studio.shotgrid.autodesk.com"',
        "url = 5",
        4,
        (
            "url: expected an address that begins with https://, found 5; "
            'write for example url = "https://studio.shotgrid.autodesk.com"'
        ),
    ),
    (
        '"https://studio.shotgrid.autodesk.com"',
        '"studio.shotgrid.autodesk.com"',
        4,
        (
            'url: expected an address that begins with https://, found "studio.shotgrid.autodesk.com"; '
            "write https://studio.shotgrid.autodesk.com"
        ),
    ),
    (
        '"https://studio.shotgrid.autodesk.com"',
        '"ftp://me:pw@studio"',
        4,
        (
            'url: expected an address that begins with https://, found "ftp://***@studio"; '
            'write for example url = "https://studio.shotgrid.autodesk.com"'
        ),
    ),
    (
        '"https://studio.shotgrid.autodesk.com"',
        '"https://studio:http"',
        4,
        (
            'url: expected an address that begins with https://, found "https://studio:http"; '
            'write for example url = "https://studio.shotgrid.autodesk.com"'
        ),
    ),
    (
        'autodesk.com"',
        'autodesk.com/page/14"',
        4,
        (
            "url: expected the address of the site alone, found that of a page, "
            '"https://studio.shotgrid.autodesk.com/page/14"; write https://studio.shotgrid.autodesk.com'
        ),
    ),
    (
        'script = "event_daemon"',
        'script = " "',
        5,
        'script: expected a script name, found nothing; write for example script = "event_daemon"',
    ),
    (
        '{ env = "SG_EVENT_KEY" }',
        '"s3cret-key"',
        6,
        (
            'key: a secret must not stand in this file, since such files get shared; export it and write { env = "SG_EVENT_KEY" }, '
            'or keep it in a file of its own and write { file = "path" }'
        ),
    ),
    (
        '{ env = "SG_EVENT_KEY" }',
        '{ env = "SG_EVENT_KEY", file = "key" }',
        6,
        "key: expected either env or file, found both; keep one of them",
    ),
    (
        '{ env = "SG_EVENT_KEY" }',
        '{ value = "s3cret-key" }',
        6,
        'key: expected { env = "SG_EVENT_KEY" } or { file = "path" }, found a table with value; write one of them',
    ),
    ('{ env = "SG_EVENT_KEY" }', "5", 6, 'key: expected { env = "SG_EVENT_KEY" } or { file = "path" }; found something else'),
    (
        "SG_EVENT_KEY",
        "SG_OTHER_KEY",
        6,
        "key: environment variable SG_OTHER_KEY is not set; export SG_OTHER_KEY=… for the user who runs callsheet",
    ),
    (
        '{ env = "SG_EVENT_KEY" }',
        '{ file = "event.key" }',
        6,
        "key: file event.key does not exist; create it with the secret as its only line, and chmod 600 it",
    ),
    (
        '["plugins"]',
        '"plugins"',
        7,
        'plugins: expected a list of folders such as ["plugins/"], found "plugins"; write for example plugins = ["plugins/"]',
    ),
    (
        '["plugins"]',
        "[]",
        7,
        'plugins: expected a list of folders such as ["plugins/"], found an empty one; write for example plugins = ["plugins/"]',
    ),
    (
        '["plugins"]',
        "[5]",
        7,
        (
            'plugins: expected a list of folders such as ["plugins/"], found other things in it; '
            'write for example plugins = ["plugins/"]'
        ),
    ),
    (
        '["plugins"]',
        '["callsheet.toml"]',
        7,
        "plugins: callsheet.toml is a file, expected a folder of plugins; name the folder it stands in",
    ),
    (
        '["plugins"]',
        '["$SHOWS/plugins"]',
        7,
        'plugins: environment variable SHOWS in "$SHOWS/plugins" is not set; export SHOWS=… before starting callsheet',
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), REPLACED, ids=[new for _, new, _, _ in REPLACED])
def test_a_wrong_value_is_said_with_its_cure(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in SMALL
    text = SMALL.replace(old, new)

    assert mistakes(tmp_path, text) == [f"callsheet.toml:{line}: [sites.studio] {said}"]


OTHERS = [
    (
        '[log]\nlevel = "loud"',
        9,
        (
            '[log] level: expected a log level such as "debug", "info", "warning", "error", or its number '
            'from 1 to 100, found "loud"; write for example level = "info"'
        ),
    ),
    ("[log]\nmode = 2", 9, "[log] mode: expected 0 or 1, found 2; write for example mode = 1"),
    ('[log]\npath = "logs"', 9, '[log] path: says where log files go, but no log file is named; add file = "callsheet.log"'),
    ("[log]\nmode = 1", 9, '[log] mode: writes a file per plugin, but no log file is named; add file = "callsheet.log"'),
    ("[log]\ntiming = true", 9, '[log] timing: writes a file, but no log file is named; add file = "callsheet.log"'),
    (
        '[crew]\npython = "no-such-python"',
        9,
        '[crew] python: "no-such-python" is no program that can be run; name a Python interpreter by its full path',
    ),
    ("[retry]\njitter = 2", 9, "[retry] jitter: expected a number from 0 to 1, found 2; write for example jitter = 0.2"),
    ("[plugins.a]\ntimeot = 5", 9, "[plugins.a] timeot: unknown key; did you mean timeout?"),
    ("[plugins]\na = 5", 9, "[plugins] a: expected a table per name; write it below [plugins.NAME]"),
    ("[logs]\nlevel = 5", 8, "[logs]: unknown table; did you mean [log]?"),
    ("[site.lab]\nurl = 5", 8, "[site.lab]: unknown table; did you mean [sites.lab]?"),
    (
        "[zzz]\nurl = 5",
        8,
        (
            "[zzz]: unknown table; known: [sites.NAME], [log], [mail], [retry], [crew], [plugins.NAME], "
            "[toolkit], [toolkit.projects.NAME]"
        ),
    ),
    ('[toolkit.projects.97]\nconfg = "x"', 9, "[toolkit.projects.97] confg: unknown key; did you mean config?"),
    ("[toolkit.projects]\na = 5", 9, "[toolkit.projects] a: expected a table per name; write it below [toolkit.projects.NAME]"),
    (
        "[toolkit]\nprojects = 5",
        9,
        "toolkit.projects: expected a table, found 5; write [toolkit.projects.NAME] in a line of its own",
    ),
    (
        '[sites."a b"]\nurl = "https://x"\nscript = "s"\nkey = { env = "SG_EVENT_KEY" }\nplugins = ["plugins"]',
        8,
        '[sites."a b"]: expected a name of letters, digits, - and _; rename the site',
    ),
    (
        '[sites.Studio]\nurl = "https://x"\nscript = "s"\nkey = { env = "SG_EVENT_KEY" }\nplugins = ["plugins"]',
        8,
        "[sites.Studio]: the same name as [sites.studio] in line 3, since case does not count; give each site its own",
    ),
]


@pytest.mark.parametrize(
    ("added", "line", "said"), OTHERS, ids=[added.splitlines()[0] + " " + said[:40] for added, _, said in OTHERS]
)
def test_a_wrong_table_is_said_with_its_cure(tmp_path: Path, added: str, line: int, said: str) -> None:
    assert mistakes(tmp_path, SMALL + added + "\n") == [f"callsheet.toml:{line}: {said}"]


TOPS = [
    (
        "history = -1",
        (
            'history: expected a time from 0 to 3650d, in seconds or as text such as "5s", "2m", "1h", "14d", found -1; '
            'write for example history = "14d"'
        ),
    ),
    ("python = 'python3'", "python: unknown key here; move it below [crew]"),
    ("stat = 5", "stat: unknown key; did you mean state?"),
    ("log = 5", "log: expected a table, found 5; write [log] in a line of its own"),
    ("plugins = []", "plugins: expected a table, found a list; write [plugins.NAME] in a line of its own"),
]


@pytest.mark.parametrize(("line", "said"), TOPS, ids=[line for line, _ in TOPS])
def test_a_wrong_line_at_the_top_is_said_with_its_cure(tmp_path: Path, line: str, said: str) -> None:
    assert mistakes(tmp_path, f"{line}\n{SMALL}") == [f"callsheet.toml:1: {said}"]


SYNTAX = [
    ("url = https://x", 'invalid value (column 7); put text in quotes and lists in brackets, as in name = "text"'),
    ('url = "https://x', "illegal character '\\n' (column 17); put text in quotes and lists in brackets, as in name = \"text\""),
    (
        "[sites.studio]",
        (
            "cannot declare ('sites', 'studio') twice (column 14); "
            "write each table and each key once, and give each site a name of its own"
        ),
    ),
    (
        'script = "a"',
        "cannot overwrite a value (column 13); write each table and each key once, and give each site a name of its own",
    ),
]


@pytest.mark.parametrize(("line", "said"), SYNTAX, ids=[line for line, _ in SYNTAX])
def test_text_that_is_no_toml_is_said_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    assert mistakes(tmp_path, f"{SMALL}{line}\n") == [f"callsheet.toml:8: not valid TOML: {said}"]


def test_an_empty_file_says_what_it_needs(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "") == [
        'callsheet.toml:1: state: missing; add for example state = "/var/lib/callsheet"',
        "callsheet.toml:1: [sites]: no site given; add [sites.NAME] with url, script, key and plugins",
    ]


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
history = "long"
[sites.lab]
page = 0
plugins = ["nope", "callsheet.toml"]
[mail]
to = "me"
[sites.studio]
url = "https://x"
"""
    assert mistakes(tmp_path, text) == [
        'callsheet.toml:1: state: missing; add for example state = "/var/lib/callsheet"',
        (
            'callsheet.toml:1: history: expected a time from 0 to 3650d, in seconds or as text such as "5s", "2m", "1h", "14d", '
            'found "long"; write for example history = "14d"'
        ),
        'callsheet.toml:2: [sites.lab] url: missing; add for example url = "https://studio.shotgrid.autodesk.com"',
        'callsheet.toml:2: [sites.lab] script: missing; add for example script = "event_daemon"',
        'callsheet.toml:2: [sites.lab] key: missing; add for example key = { env = "SG_EVENT_KEY" }',
        "callsheet.toml:3: [sites.lab] page: expected a whole number from 1 to 10000, found 0; write for example page = 500",
        (
            "callsheet.toml:4: [sites.lab] plugins: callsheet.toml is a file, expected a folder of plugins; "
            "name the folder it stands in"
        ),
        'callsheet.toml:5: [mail] server: missing; add for example server = "smtp.studio.com"',
        'callsheet.toml:5: [mail] from: missing; add for example from = "pipeline@studio.com"',
        'callsheet.toml:5: [mail] subject: missing; add for example subject = "[SG]"',
        (
            'callsheet.toml:6: [mail] to: expected a list of addresses such as ["td@studio.com"], found "me"; '
            'write for example to = ["td@studio.com"]'
        ),
        'callsheet.toml:7: [sites.studio] script: missing; add for example script = "event_daemon"',
        'callsheet.toml:7: [sites.studio] key: missing; add for example key = { env = "SG_EVENT_KEY" }',
        'callsheet.toml:7: [sites.studio] plugins: missing; add for example plugins = ["plugins/"]',
    ]


def test_an_id_file_needs_a_single_site(tmp_path: Path) -> None:
    text = 'import_state = "old.id"\n' + SMALL + SMALL[SMALL.index("[sites") :].replace("studio]", "lab]")

    assert mistakes(tmp_path, text) == [
        (
            "callsheet.toml:1: import_state: an id file is of one site, and there are several; "
            "remove this and run callsheet import-state --site"
        )
    ]


def test_a_file_that_is_not_there_or_no_file_is_said(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "none.toml", "no such file; name a TOML file or a shotgunEventDaemon.conf"),
        (tmp_path, "a folder, expected a file; name the TOML file or shotgunEventDaemon.conf in it"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, ENVIRON)
        assert caught.value.problems == [f"{path}: {said}"]


def test_a_file_that_is_not_utf_8_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "callsheet.toml"
    path.write_bytes(b'state = "x"\n# caf\xe9\n')

    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)

    assert caught.value.problems == [f"{path}:2: expected UTF-8 text, found byte 0xe9; save the file as UTF-8"]


def test_lines_are_found_whatever_way_the_file_is_written() -> None:
    text = """\
# a comment with [brackets] and a = b
sites.studio.url = "x"

[sites.'studio'.deep]   # a comment
"a.b" = [
  1,  # [not] = "a key"
]
text = '''
[log]
level = 5
'''
[log]
level = 5
"""

    lines = toml_lines(text)

    assert lines["sites", "studio", "url"] == 2
    assert lines["sites", "studio", "deep"] == 4
    assert lines["sites", "studio", "deep", "a.b"] == 5
    assert lines["sites", "studio", "deep", "text"] == 8
    assert lines["log",] == 12
    assert lines["log", "level"] == 13


def test_a_folder_of_plugins_that_is_away_is_noted_and_no_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace('["plugins"]', '["plugins", "share"]'))
    loaded = load_with_notes(path, {"SG_EVENT_KEY": "x"})
    assert loaded.settings.sites[0].plugins == (tmp_path / "plugins", tmp_path / "share")
    (note,) = loaded.notes
    assert f"[sites.studio] plugins: folder {tmp_path}/share does not exist; create it, or correct the path." in note


def test_a_key_file_is_read_and_one_that_others_can_read_is_noted(tmp_path: Path) -> None:
    key = tmp_path / "event.key"
    key.write_text("from-a-file\n")
    path = write(tmp_path, SMALL.replace('{ env = "SG_EVENT_KEY" }', '{ file = "event.key" }'))

    for mode, notes in (
        (0o600, ()),
        (0o644, (f"{path}:6: [sites.studio] key: every user of this machine can read {key}; chmod 600 it",)),
    ):
        key.chmod(mode)
        loaded = load_with_notes(path, {})
        assert loaded.settings.sites[0].key.reveal() == "from-a-file"
        assert loaded.notes == notes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 lines, expected the secret as its only line"),
        (b"one\ntwo\n", "has 2 lines, expected the secret as its only line"),
        (b"\xff\xfe", "is not text; expected the secret as its only line"),
    ],
)
def test_a_key_file_that_holds_no_key_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "event.key").write_bytes(content)
    text = SMALL.replace('{ env = "SG_EVENT_KEY" }', '{ file = "event.key" }')

    assert mistakes(tmp_path, text) == [f"callsheet.toml:6: [sites.studio] key: file event.key {said}"]


def test_an_empty_environment_variable_is_no_key(tmp_path: Path) -> None:
    assert mistakes(tmp_path, SMALL, {"SG_EVENT_KEY": ""}) == [
        (
            "callsheet.toml:6: [sites.studio] key: environment variable SG_EVENT_KEY is empty; "
            "export SG_EVENT_KEY=… for the user who runs callsheet"
        )
    ]


def test_no_secret_shows_in_settings_or_mistakes(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SMALL), ENVIRON)
    assert "s3cret-key" not in repr(settings)
    assert "s3cret-key" not in f"{settings}"

    for wrong in ('"s3cret-key"', '["s3cret-key"]', '{ env = "X", value = "s3cret-key" }', '{ env = 5, file = "s3cret-key" }'):
        said = mistakes(tmp_path, SMALL.replace('{ env = "SG_EVENT_KEY" }', wrong))
        assert said
        assert "s3cret-key" not in "\n".join(said)


@pytest.mark.parametrize(
    ("url", "remarked"),
    [
        ("http://studio.example.com", True),
        ("http://10.0.0.7:8080", True),
        ("https://studio.example.com", False),
        ("http://localhost:8080", False),
        ("http://127.0.0.1", False),
    ],
)
def test_a_site_that_is_asked_without_encryption_is_remarked_on(tmp_path: Path, url: str, remarked: bool) -> None:
    (tmp_path / "plugins").mkdir()
    path = tmp_path / "callsheet.toml"
    path.write_text(f'state = "state"\n[sites.studio]\nurl = "{url}"\nscript = "s"\nkey = {{ env = "K" }}\nplugins = ["plugins"]\n')
    notes = load_with_notes(path, {"K": "secret"}).notes
    assert [("without encryption" in one) for one in notes] == ([True] if remarked else [])


def test_a_file_of_certificates_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + 'ca = "studio.pem"\n')
    with pytest.raises(ConfigError, match=r"there is no file .*studio.pem; name the file, or remove this"):
        load(path, {"SG_EVENT_KEY": "secret"})
    (tmp_path / "studio.pem").write_text("certificates")
    assert load(path, {"SG_EVENT_KEY": "secret"}).sites[0].ca == tmp_path / "studio.pem"


def test_what_stands_before_the_host_of_a_site_is_for_the_client_alone(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    path = tmp_path / "callsheet.toml"
    path.write_text(
        'state = "state"\n[sites.studio]\nurl = "https://ada:p%40ss@studio.example/x/"\nscript = "s"\nkey = { env = "A_KEY" }\n'
        'proxy = "bob:word@proxy:8080"\nplugins = ["plugins"]\n[mail]\nserver = "s"\nfrom = "a@b"\nto = ["a@b"]\nsubject = "x"\n'
        'password = { env = "MAIL_WORD" }\n'
    )

    settings = load(path, {"A_KEY": "the-key", "MAIL_WORD": "the-mail-word", "OTHER": "x"})

    (site,) = settings.sites
    assert site.url == "https://studio.example/x"
    assert site.full_url == "https://ada:p%40ss@studio.example/x"
    assert "p%40ss" not in repr(settings)
    assert set(site.secrets()) == {"the-key", "p%40ss", "p@ss", "word"}
    assert settings.secret_variables == {"A_KEY", "MAIL_WORD"}
    (setup,) = worker_setups(settings).values()
    assert setup.url == site.full_url
    assert setup.hidden == settings.secret_variables


def test_workers_get_the_environment_without_what_names_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "the-key")
    monkeypatch.setenv("OTHER", "kept")
    setup = WorkerConfig("studio", "https://x", "s", Secret("the-key"), hidden=frozenset({"A_KEY"}), environ={"MORE": "y"})

    assert "A_KEY" not in setup.process_environ()
    assert setup.process_environ()["OTHER"] == "kept"
    assert setup.process_environ()["MORE"] == "y"

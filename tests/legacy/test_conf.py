"""An unmodified shotgunEventDaemon.conf: what it means, and the exact words for each mistake in it."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.config import legacy_sections, load, load_with_notes
from callsheet.config.conf_file import read_conf_file
from callsheet.config.mistakes import Findings
from callsheet.errors import ConfigError
from callsheet.settings import LogSettings, MailSettings, PluginSettings, Secret, Settings, SiteSettings

SMALL = """\
[daemon]
eventIdFile: daemon.id
[shotgun]
server: https://studio.shotgrid.autodesk.com
name: event_daemon
key: %(SG_KEY)s
[plugins]
paths: plugins
"""
ENVIRON = {"SG_KEY": "s3cret-key"}


def write(folder: Path, text: str) -> Path:
    (folder / "plugins").mkdir(exist_ok=True)
    path = folder / "shotgunEventDaemon.conf"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def mistakes(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON if environ is None else environ)
    return [line.replace(f"{folder}/", "").removeprefix("shotgunEventDaemon.conf:") for line in caught.value.problems]


def notes(folder: Path, text: str) -> list[str]:
    loaded = load_with_notes(write(folder, text), ENVIRON)
    return [line.replace(f"{folder}/", "").removeprefix("shotgunEventDaemon.conf:") for line in loaded.notes]


def test_every_option_reaches_its_field(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    text = """\
[daemon]
pidFile = run/daemon.pid
eventIdFile = state/daemon.id
logMode: 1
logPath: logs
logFile: engine
logging: 10
timing_log: on
conn_retry_sleep = 30
max_conn_retries = 7
fetch_interval = 2
max_event_batch_size = 100
[shotgun]
server: http://127.0.0.1:8000
name: event_daemon
key: abc
proxy_server: 10.0.0.1:8080
use_session_uuid: True
[plugins]
paths: plugins, more,
[emails]
enabled: yes
server: smtp
port: 587
useTLS: True
username: me
password: hunter2
from: a@b.c
to: x@y.z, u@v.w
subject: [SG]
"""

    settings = load(write(tmp_path, text), {})

    assert settings == Settings(
        source=tmp_path / "shotgunEventDaemon.conf",
        state=tmp_path / "state" / "daemon.id.callsheet",
        sites=(
            SiteSettings(
                name="127.0.0.1",
                url="http://127.0.0.1:8000",
                script="event_daemon",
                key=Secret("abc"),
                plugins=(tmp_path / "plugins", tmp_path / "more"),
                proxy="10.0.0.1:8080",
                poll=2.0,
                page=100,
                use_session_uuid=True,
                retry_sleep=30.0,
                retries=7,
            ),
        ),
        log=LogSettings(level=10, mode=1, path=tmp_path / "logs", file="engine", timing=True, legacy=True),
        mail=MailSettings(
            server="smtp",
            sender="a@b.c",
            to=("x@y.z", "u@v.w"),
            subject="[SG]",
            port=587,
            username="me",
            password=Secret("hunter2"),
            tls=True,
        ),
        legacy=True,
        pid_file=tmp_path / "run" / "daemon.pid",
        id_file=tmp_path / "state" / "daemon.id",
    )


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("https://studio.shotgrid.autodesk.com", "studio"),
        ("https://STUDIO.shotgunstudio.com/", "studio"),
        ("http://localhost:8000", "localhost"),
        ("http://10.1.2.3", "10.1.2.3"),
    ],
)
def test_the_site_is_named_by_its_host(tmp_path: Path, server: str, name: str) -> None:
    text = SMALL.replace("https://studio.shotgrid.autodesk.com", server)

    assert load(write(tmp_path, text), ENVIRON).sites[0].name == name


def test_without_an_id_file_the_state_stands_beside_the_conf(tmp_path: Path) -> None:
    settings = load(write(tmp_path, SMALL.replace("eventIdFile: daemon.id\n", "")), ENVIRON)

    assert settings.id_file is None
    assert settings.state == tmp_path / "shotgunEventDaemon.conf.callsheet"


def test_a_section_of_our_own_sets_what_shotgunevents_does_not_know(tmp_path: Path) -> None:
    text = SMALL + "[callsheet]\nstate: elsewhere\ngaps: strict\norder: global\ntimeout: 10m\nsite_timeout: 5\nhistory: 1d\n"

    settings = load(write(tmp_path, text), ENVIRON)

    assert settings.state == tmp_path / "elsewhere"
    assert (settings.timeout, settings.history) == (600.0, 86400.0)
    site = settings.sites[0]
    assert (site.gaps, site.order, site.timeout) == ("strict", "global", 5.0)


def test_a_section_per_plugin_has_the_keys_of_the_table(tmp_path: Path) -> None:
    text = SMALL + "[callsheet]\nworkers: 4\nworker_memory: 1GB\n[plugins.lights on]\ngroup: lighting\ntimeout: 2m\n"

    settings = load(write(tmp_path, text), ENVIRON)

    assert settings.plugins == {"lights on": PluginSettings(timeout=120.0, group="lighting")}
    assert (settings.workers, settings.memory) == (4, 2**30)


def test_toolkit_is_set_up_in_sections_of_its_own(tmp_path: Path) -> None:
    text = SMALL + "[toolkit]\nsessions: 3\napps: tk-multi-a, tk-multi-b\n[toolkit.projects.Moth]\nengine: tk-batch\n"

    toolkit = load(write(tmp_path, text), ENVIRON).toolkit

    assert (toolkit.sessions, toolkit.apps) == (3, ("tk-multi-a", "tk-multi-b"))
    assert toolkit.pin("Moth").engine == "tk-batch"


def test_a_slip_in_a_section_per_plugin_is_said(tmp_path: Path) -> None:
    assert notes(tmp_path, f"{SMALL}[plugins.lights]\ngruop: lighting\n") == [
        "10: [plugins.lights] gruop: unknown option; did you mean group?"
    ]
    assert mistakes(tmp_path, f"{SMALL}[plugins.lights]\ntimeout: soon\n")[0].startswith(
        "10: [plugins.lights] timeout: expected a time"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [("1", "found"), ("16MB", "at least 32MB"), ("big", "found"), ("1 TB", "found")],
)
def test_a_size_that_can_not_be_meant_is_said(tmp_path: Path, value: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"{SMALL}[callsheet]\nworker_memory: {value}\n")

    assert 'expected an amount of memory such as "512MB" or "2GB"' in line
    assert said in line


def test_names_of_options_have_no_case_and_both_delimiters_do(tmp_path: Path) -> None:
    text = SMALL.replace("eventIdFile: ", "EVENTIDFILE=").replace("paths: ", "Paths = ").replace("server: ", "SERVER : ")

    assert load(write(tmp_path, text), ENVIRON) == load(write(tmp_path, SMALL), ENVIRON)


def test_comments_blank_lines_and_continued_values_are_read_as_configparser_does(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    text = SMALL.replace("paths: plugins\n", "; a comment: with a colon\n\npaths: plugins,\n  # another = comment\n    more\n")

    assert load(write(tmp_path, text), ENVIRON).sites[0].plugins == (tmp_path / "plugins", tmp_path / "more")


def test_defaults_of_the_file_count_in_every_section(tmp_path: Path) -> None:
    text = "[DEFAULT]\nroot: plugins\nfetch_interval: 9\n" + SMALL.replace("paths: plugins", "paths: %(root)s")

    settings = load(write(tmp_path, text), ENVIRON)

    assert settings.sites[0].plugins == (tmp_path / "plugins",)
    assert settings.sites[0].poll == 9.0


@pytest.mark.parametrize(
    ("value", "on"), [("on", True), ("off", False), ("yes", False), ("True", False), ("", False), ("nonsense", False)]
)
def test_only_the_word_on_switches_timing_on(tmp_path: Path, value: str, on: bool) -> None:
    text = SMALL.replace("[shotgun]", f"logFile: engine\ntiming_log: {value}\n[shotgun]")

    assert load(write(tmp_path, text), ENVIRON).log.timing is on


MAIL = "[emails]\nserver: smtp\nfrom: a@b.c\nto: x@y.z\nsubject: [SG]\n"


@pytest.mark.parametrize(
    ("section", "sent"),
    [
        (MAIL, True),
        (MAIL + "enabled: true\n", True),
        (MAIL + "enabled: 0\n", False),
        (MAIL + "enabled: False\npassword: %(NOT_SET)s\nport: none\n", False),
        (MAIL.replace("to: x@y.z\n", ""), False),
        (MAIL.replace("x@y.z", "") + "enabled: true\n", False),
        ("[emails]\n", False),
        ("", False),
    ],
)
def test_mail_is_sent_where_the_section_is_complete_and_not_switched_off(tmp_path: Path, section: str, sent: bool) -> None:
    assert (load(write(tmp_path, SMALL + section), ENVIRON).mail is not None) is sent


def test_mail_that_will_not_be_sent_is_noted(tmp_path: Path) -> None:
    assert notes(tmp_path, SMALL + MAIL.replace("to: x@y.z\n", "")) == [
        "9: [emails]: no mail will be sent, since these are empty or missing: to"
    ]
    assert notes(tmp_path, SMALL + MAIL + "enabled: no\n") == []


def test_unknown_options_are_noted_in_our_sections_and_left_alone_in_those_of_plugins(tmp_path: Path) -> None:
    text = SMALL.replace("[shotgun]", "fetch_intervall: 5\nspecial: 5\n[shotgun]") + "[my_plugin]\nanything: goes\n"

    assert notes(tmp_path, text) == [
        "3: [daemon] fetch_intervall: unknown option; did you mean fetch_interval?",
        "4: [daemon] special: unknown option; nothing reads it but plugins",
    ]


def test_a_key_in_a_conf_that_others_can_read_is_noted_without_the_key(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("%(SG_KEY)s", "s3cret-key"))
    assert load_with_notes(path, {}).notes == ()

    path.chmod(0o644)

    cure = "every user of this machine can read this file; chmod 600 it, or write %(NAME)s and export NAME"
    assert load_with_notes(path, {}).notes == (f"{path}:6: [shotgun] key: {cure}",)


WRONG = [
    ("logMode: 2", '3: [daemon] logMode: expected 0 or 1, found "2"; write for example logMode: 1'),
    (
        "logging: loud",
        (
            '3: [daemon] logging: expected a log level such as "debug", "info", "warning", "error", or its number from '
            '1 to 100, found "loud"; write for example logging: info'
        ),
    ),
    (
        "fetch_interval: soon",
        (
            '3: [daemon] fetch_interval: expected a time from 0 to 1h, in seconds or as text such as "5s", "2m", '
            '"1h", "14d", found "soon"; write for example fetch_interval: 5'
        ),
    ),
    (
        "max_event_batch_size: 0",
        (
            "3: [daemon] max_event_batch_size: expected a whole number from 1 to 10000, found 0; "
            "write for example max_event_batch_size: 500"
        ),
    ),
    (
        "max_conn_retries: many",
        (
            '3: [daemon] max_conn_retries: expected a whole number from 0 to 1000000, found "many"; '
            "write for example max_conn_retries: 5"
        ),
    ),
    ("logPath: logs", "3: [daemon] logPath: says where log files go, but no log file is named; add logFile: callsheet.log"),
    ("eventIdFile: twice", "3: [daemon] eventIdFile: given before, in line 2; keep one of the two"),
    ("no delimiter", '3: expected "name: value", found text without ":"; add one, or begin the line with #'),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_line_is_said_with_its_cure(tmp_path: Path, line: str, said: str) -> None:
    assert mistakes(tmp_path, SMALL.replace("[shotgun]", f"{line}\n[shotgun]")) == [said]


SHOTGUN = [
    (
        "https://studio.shotgrid.autodesk.com",
        "studio.shotgrid.autodesk.com",
        (
            '4: [shotgun] server: expected an address that begins with https://, found "studio.shotgrid.autodesk.com"; '
            "write https://studio.shotgrid.autodesk.com"
        ),
    ),
    ("name: event_daemon\n", "", "3: [shotgun] name: missing; add for example name: event_daemon"),
    ("event_daemon", "", "5: [shotgun] name: expected a script name, found nothing; write for example name: event_daemon"),
    ("%(SG_KEY)s", "", "6: [shotgun] key: expected the secret, found nothing; write it here, or %(SG_EVENT_KEY)s and export that"),
    (
        "%(SG_KEY)s",
        "%(SG_OTHER)s",
        (
            "6: [shotgun] key: environment variable SG_OTHER is not set; "
            "export SG_OTHER=… before starting callsheet, or write the value here"
        ),
    ),
    (
        "%(SG_KEY)s",
        "%(KEY)s",
        "6: [shotgun] key: environment variable KEY is not set; export KEY=… before starting callsheet, or write the value here",
    ),
    (
        "key: %(SG_KEY)s",
        "key: x\nuse_session_uuid: maybe",
        '7: [shotgun] use_session_uuid: expected true or false, found "maybe"; write for example use_session_uuid: true',
    ),
    (
        "key: %(SG_KEY)s",
        "key: x\nproxy_server: http://proxy:8080",
        (
            "7: [shotgun] proxy_server: expected a proxy as host:port or user:password@host:port, without http://, "
            'found "http://proxy:8080"; write for example proxy_server: proxy.studio.com:8080'
        ),
    ),
    (
        "paths: plugins",
        "paths: plugins, gone, shotgunEventDaemon.conf",
        "8: [plugins] paths: shotgunEventDaemon.conf is a file, expected a folder of plugins; name the folder it stands in",
    ),
    ("paths: plugins", "path: plugins", "7: [plugins] paths: missing; add for example paths: plugins/"),
    (
        "paths: plugins",
        "paths:",
        (
            '8: [plugins] paths: expected a list of folders such as ["plugins/"], found an empty one; '
            "write for example paths: plugins/"
        ),
    ),
    ("[shotgun]", "[shotgun]\n[shotgun]", "4: [shotgun]: given before, in line 3; keep one of the two"),
]


@pytest.mark.parametrize(("old", "new", "said"), SHOTGUN, ids=[new or old for old, new, _ in SHOTGUN])
def test_a_wrong_value_is_said_with_its_cure(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SMALL

    assert mistakes(tmp_path, SMALL.replace(old, new, 1))[0] == said


def test_sections_that_are_missing_or_misspelt_are_said(tmp_path: Path) -> None:
    assert mistakes(tmp_path, SMALL.replace("[shotgun]", "[Shotgun]").replace("[plugins]\npaths: plugins\n", "")) == [
        "1: [shotgun] server: missing; add for example server: https://studio.shotgrid.autodesk.com",
        "1: [shotgun] name: missing; add for example name: event_daemon",
        "1: [shotgun] key: missing; add for example key: %(SG_EVENT_KEY)s",
        "1: [plugins] paths: missing; add for example paths: plugins/",
        "3: [Shotgun]: unknown section, and there is no [shotgun]; did you mean [shotgun]? Case counts",
    ]


def test_a_section_of_a_plugin_may_be_named_much_like_ours(tmp_path: Path) -> None:
    text = SMALL + "[emails]\n[email]\na: b\n[plugin]\na: b\n[spreadsheet]\na: b\n"

    assert load(write(tmp_path, text), ENVIRON).sites[0].name == "studio"
    assert mistakes(tmp_path, SMALL + "[Callsheet]\n") == [
        "9: [Callsheet]: unknown section, and there is no [callsheet]; did you mean [callsheet]? Case counts"
    ]


def test_lines_end_where_python_ends_them_in_files(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(SMALL.replace("name: event_daemon", "name: event\x0cdaemon\u2028x").replace("\n", "\r\n").encode())

    assert load(path, ENVIRON).sites[0].script == "event\x0cdaemon\u2028x"


def test_mail_asked_for_and_not_described_is_said(tmp_path: Path) -> None:
    assert mistakes(tmp_path, SMALL + "[emails]\nenabled: True\nserver: smtp\nfrom: a@b.c\n") == [
        "9: [emails] to: missing; add for example to: td@studio.com",
        "9: [emails] subject: missing; add for example subject: [SG]",
    ]


def test_text_before_the_first_section_is_said(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "hello\n" + SMALL)[0].endswith("1: expected a section first, found other text; begin with [daemon]")


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "[daemon]\nlogMode: 5\nfetch_interval: soon\n[shotgun]\nserver: x\n[plugins]\npaths: a.conf, b.conf\n"
    for name in ("a.conf", "b.conf"):
        (tmp_path / name).touch()

    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in mistakes(tmp_path, text)] == [
        "2: [daemon] logMode",
        "3: [daemon] fetch_interval",
        "4: [shotgun] name",
        "4: [shotgun] key",
        "5: [shotgun] server",
        "7: [plugins] paths",
        "7: [plugins] paths",
    ]


def test_no_mistake_repeats_a_key(tmp_path: Path) -> None:
    text = SMALL.replace("key: %(SG_KEY)s", "key s3cret-key\nkey: s3cret-key\nkey: s3cret-key")

    said = mistakes(tmp_path, text)

    assert len(said) == 2
    assert "s3cret-key" not in "\n".join(said)


def test_a_conf_older_than_utf_8_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"# caf\xe9\n" + SMALL.encode())

    assert load(path, ENVIRON).sites[0].name == "studio"


def test_plugins_see_all_sections_with_references_filled_in(tmp_path: Path) -> None:
    text = SMALL + "[my_plugin]\nRoot: /mnt/%(SHOW)s\nformat: %(asctime)s 100%\nempty:\n"
    path = write(tmp_path, text)
    environ = {**ENVIRON, "SHOW": "demo"}

    expected = {
        "daemon": {"eventidfile": "daemon.id"},
        "shotgun": {"server": "https://studio.shotgrid.autodesk.com", "name": "event_daemon", "key": "s3cret-key"},
        "plugins": {"paths": "plugins"},
        "my_plugin": {"root": "/mnt/demo", "format": "%(asctime)s 100%", "empty": ""},
    }
    assert legacy_sections(path, environ=environ) == expected
    assert legacy_sections(load(path, environ), environ=environ) == expected


def test_a_toml_file_gives_plugins_the_sections_of_a_conf(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    path = tmp_path / "callsheet.toml"
    site = 'url = "https://{0}.x"\nscript = "s"\nkey = {{ env = "SG_KEY" }}\nplugins = ["plugins"]\npoll = 2\n'
    path.write_text(
        'state = "state"\n'
        + "".join(f"[sites.{name}]\n{site.format(name)}" for name in ("one", "two"))
        + '[log]\nfile = "engine"\ntiming = true\n[mail]\nserver = "smtp"\nfrom = "a"\nto = ["b", "c"]\nsubject = "S"\n'
        'password = { env = "SG_KEY" }\n'
    )

    sections = legacy_sections(load(path, ENVIRON), "two")

    assert sections == {
        "daemon": {
            "logging": "20",
            "logmode": "0",
            "logpath": str(tmp_path),
            "logfile": "engine",
            "timing_log": "on",
            "fetch_interval": "2",
            "max_event_batch_size": "500",
            "conn_retry_sleep": "60",
            "max_conn_retries": "5",
        },
        "shotgun": {"server": "https://two.x", "name": "s", "key": "s3cret-key", "use_session_uuid": "False"},
        "plugins": {"paths": str(tmp_path / "plugins")},
        "emails": {
            "enabled": "True",
            "server": "smtp",
            "port": "25",
            "usetls": "False",
            "password": "s3cret-key",
            "from": "a",
            "to": "b, c",
            "subject": "S",
        },
    }


# The accidents of shotgunEvents, which hands the whole environment to the parser (COMPAT H and J10).


def test_variables_named_like_options_change_nothing(tmp_path: Path) -> None:
    accidents = {"PORT": "8000", "USERNAME": "root", "PASSWORD": "x", "SERVER": "y", "NAME": "z", "LOGMODE": "1", "FROM": "w"}
    path = write(tmp_path, SMALL + MAIL)

    assert load(path, {**ENVIRON, **accidents}) == load(path, ENVIRON)


def test_variables_that_differ_in_case_alone_do_no_harm(tmp_path: Path) -> None:
    environ = {**ENVIRON, "http_proxy": "a:1", "HTTP_PROXY": "b:2"}

    assert load(write(tmp_path, SMALL), environ).sites[0].proxy is None
    text = SMALL.replace("[plugins]", "proxy_server: %(http_proxy)s\n[plugins]")
    assert load(write(tmp_path, text), environ).sites[0].proxy == "a:1"
    assert load(write(tmp_path, text.replace("http_proxy", "HTTP_PROXY")), environ).sites[0].proxy == "b:2"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a%b", "a%b"),
        ("100%", "100%"),
        ("a%%b", "a%b"),
        ("%(SG_KEY)s%", "s3cret-key%"),
        ("%(PERCENT)s", "50%(off)s %% 100%"),
        ("%(percent)s", "50%(off)s %% 100%"),
        ("%(", "%("),
        ("%s", "%s"),
    ],
)
def test_a_percent_sign_that_refers_to_nothing_is_a_percent_sign(tmp_path: Path, written: str, meant: str) -> None:
    environ = {**ENVIRON, "PERCENT": "50%(off)s %% 100%"}

    settings = load(write(tmp_path, SMALL.replace("%(SG_KEY)s", written)), environ)

    assert settings.sites[0].key.reveal() == meant


def test_an_option_may_name_the_variable_that_is_called_like_itself(tmp_path: Path) -> None:
    text = SMALL.replace("%(SG_KEY)s", "%(KEY)s").replace("https://studio.shotgrid.autodesk.com", "%(SERVER)s")

    settings = load(write(tmp_path, text), {"KEY": "s3cret-key", "server": "https://lab.shotgrid.autodesk.com"})

    assert settings.sites[0].key.reveal() == "s3cret-key"
    assert settings.sites[0].name == "lab"


def test_a_percent_sign_in_a_variable_that_nobody_names_does_no_harm(tmp_path: Path) -> None:
    assert load(write(tmp_path, SMALL), {**ENVIRON, "PS1": "%n@%m %(", "LS": "%(nothing)s"}).sites[0].name == "studio"


pieces = st.sampled_from(["x", " ", "%%", "%(SG_KEY)s", "%(sg_key)s", "%(name)s", "%(Deeper)s", "http://", "#", ";", "=", ":"])


@given(written=st.lists(pieces, max_size=6), deeper=st.lists(pieces.filter(lambda one: "eeper" not in one), max_size=3))
def test_references_are_filled_in_as_configparser_does(written: list[str], deeper: list[str]) -> None:
    """Wherever shotgunEvents' parser gives a value at all, ours gives the same."""
    text = f"[daemon]\nname: n\ndeeper: {''.join(deeper)}\nvalue: {''.join(written)}\n"
    reference = configparser.ConfigParser(ENVIRON)
    reference.read_string(text)

    conf = read_conf_file(Path("conf"), text, Findings(Path("conf")))

    assert conf.text("daemon", "value", ENVIRON) == reference.get("daemon", "value")


# The example that comes with shotgunEvents.


@pytest.mark.reference
def test_the_example_conf_of_the_reference_works_as_it_is(tmp_path: Path) -> None:
    reference = os.environ.get("CALLSHEET_REFERENCE")
    if not reference:
        pytest.skip("CALLSHEET_REFERENCE names no checkout of shotgunsoftware/shotgunEvents")
    text = (Path(reference) / "src" / "shotgunEventDaemon.conf.example").read_text(encoding="utf-8")
    path = write(tmp_path, text)
    environ = {"SG_ED_SITE_URL": "https://studio.shotgrid.autodesk.com", "SG_ED_SCRIPT_NAME": "daemon", "SG_ED_API_KEY": "a%b"}

    # Its plugin folder is the one thing that this machine lacks.
    lacks = "[plugins] paths: folder /usr/local/shotgun/plugins does not exist; create it, or correct the path."
    assert any(lacks in note for note in load_with_notes(path, environ).notes)

    path.write_text(text.replace("/usr/local/shotgun/plugins", str(tmp_path / "plugins")), encoding="utf-8")
    loaded = load_with_notes(path, environ)
    settings = loaded.settings
    folder = Path("/var/log/shotgunEventDaemon")
    assert loaded.notes == ()
    assert settings.state == folder / "shotgunEventDaemon.id.callsheet"
    assert settings.sites == (
        SiteSettings(
            name="studio",
            url="https://studio.shotgrid.autodesk.com",
            script="daemon",
            key=Secret("a%b"),
            plugins=(tmp_path / "plugins",),
            use_session_uuid=True,
        ),
    )
    assert settings.log == LogSettings(level=20, mode=1, path=folder, file="shotgunEventDaemon")
    assert settings.mail == MailSettings(
        server="smtp.yourdomain.com", sender="support@yourdomain.com", to=("you@yourdomain.com",), subject="[SG]"
    )


def test_a_password_in_the_server_s_address_is_for_the_client_alone_and_variables_stay_for_plugins(tmp_path: Path) -> None:
    text = SMALL.replace("https://studio", "https://ada:%(SG_WORD)s@studio")
    settings = load(write(tmp_path, text), {**ENVIRON, "SG_WORD": "the-word"})

    (site,) = settings.sites
    assert site.name == "studio"
    assert site.url == "https://studio.shotgrid.autodesk.com"
    assert site.full_url == "https://ada:the-word@studio.shotgrid.autodesk.com"
    assert settings.secret_variables == frozenset()

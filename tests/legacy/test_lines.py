"""Log files, and the lines in them that operators grep for: where the reference writes them, and as it writes them."""

from __future__ import annotations

import re
from email import message_from_string, policy
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install

both = pytest.mark.parametrize("daemon", BOTH)

WHEN = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - "

SPEAKING = """
    def seen(sg, logger, event, args):
        logger.debug("too quiet")
        logger.info("event %d", event["id"])
        logger.warning("two\\nlines")
"""


def grep(pattern: str, text: str) -> list[str]:
    """Lines in which the pattern is found, without their time."""
    return [re.sub(WHEN, "", line) for line in text.splitlines() if re.search(pattern, line)]


@both
def test_mode_1_writes_a_file_per_plugin_and_the_lines_that_are_grepped_for(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given
    install = Install(tmp_path, site)
    path = install.plugin("a", install.registering(SPEAKING))
    event = site.add_event("Shotgun_Task_Change")
    install.place(event)
    events = list(site.add_events(3))
    # When
    assert install.drain(daemon).code == 0
    # Then
    engine, plugin = install.log("daemon"), install.log("plugin.a")
    assert grep("Using SG Python API version", engine) == ["engine - INFO - Using SG Python API version 3.10.3"]
    assert grep("Loading plugin at", engine) == [f"engine - INFO - Loading plugin at {path}"]
    assert grep(r"Got \d+ events", engine) == [f"engine - DEBUG - Got 3 events: {events[0]} to {events[-1]}."]
    assert re.search(WHEN + "engine - INFO - Using SG", engine, re.MULTILINE)
    # and what the plugin says stands in its own file, in its words and order, and nowhere else
    said = [line for one in events for line in ("DEBUG - too quiet", f"INFO - event {one}", "WARNING - two")]
    assert [line.removeprefix("plugin.a.seen - ") for line in grep(r"plugin\.a\.seen - ", plugin)] == said
    assert plugin.count("\nlines\n") == 3
    assert [line.rsplit(" ", 1)[0] for line in grep("Dispatching event", plugin)] == [
        f"plugin.a - DEBUG - Dispatching event {one} to callback" for one in events
    ]
    assert "too quiet" not in engine


@both
def test_mode_0_writes_one_file(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given, without a logPath, and at level INFO
    log = {"logMode": "0", "logPath": None, "logFile": str(tmp_path / "logs" / "all.log"), "logging": "20"}
    install = Install(tmp_path, site, options={"daemon": log})
    install.plugin("a", install.registering(SPEAKING))
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(daemon).code == 0
    # Then
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"all.log"}
    text = install.log("all.log")
    assert grep("Using SG|plugin.a.seen", text) == [
        "engine - INFO - Using SG Python API version 3.10.3",
        f"plugin.a.seen - INFO - event {event}",
        "plugin.a.seen - WARNING - two",
    ]


@both
def test_the_foreground_says_it_on_stderr_too(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    install = Install(tmp_path, site, options={"daemon": {"logging": "20"}})
    install.plugin("a", install.registering(SPEAKING))
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    output = install.drain(daemon).output
    for line in (
        "INFO:engine:Using SG Python API version 3.10.3",
        f"INFO:plugin.a.seen:event {event}",
        "WARNING:plugin.a.seen:two",
    ):
        assert line in output.splitlines()


@both
def test_the_timing_log_has_a_line_for_each_call(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin whose second callback fails, and one that is not called
    install = Install(tmp_path, site, options={"daemon": {"timing_log": "on"}})
    body = """
        def well(sg, logger, event, args): pass
        def ill(sg, logger, event, args): 1 / 0
    """
    install.plugin("a", install.registering(body, "well", "ill, stopOnError=False", "well, {'None': None}"))
    install.place()
    event = site.add_event("Shotgun_Task_Change", created_at="2026-01-02T03:04:05Z")
    install.environ = {"TZ": "Europe/Berlin"}
    # When
    install.drain(daemon)
    # Then
    moment, span = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0[12]:00", r"\d\d+:\d\d:\d\d:\d\d\.\d{6}"
    lines = install.log("daemon.timing").splitlines()
    for line, (callback, error) in zip(lines, (("a.well", "False"), ("a.ill", "True")), strict=True):
        created = r"2026-01-02T04:04:05\+01:00"
        facts = (
            f"event_id={event} created_at={created} callback={callback} start={moment} end={moment} duration={span} error={error}"
        )
        assert re.fullmatch(rf"{WHEN}timing - INFO - {facts} delay={span}", line), line


@both
def test_missing_ids_are_told_as_they_were(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given one id that comes late, and two behind it that are older than anybody waits for
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        site.withhold(next=1)
        late = site.add_event("Shotgun_Task_Change")
        behind = site.add_event("Shotgun_Task_Change")
        running.until(lambda: behind in install.seen("a"), "the event behind it")
        # When
        site.release(late)
        running.until(lambda: late in install.seen("a"), "the late event")
        site.skip_event_id(2)
        old = site.add_event("Shotgun_Task_Change", created_at="2026-01-02T03:04:05Z")
        running.until(lambda: old in install.seen("a"), "the old event")
    # Then the same words stand in the logs; Callsheet's are the engine's where they are about all plugins
    log = install.log("daemon") + install.log("plugin.a")
    for level, words in (
        ("INFO", f"Adding event id {late} to backlog."),
        ("INFO", f"Processed id {late} from backlog."),
        ("INFO", f"Events {old - 2}-{old - 1} never happened - ignoring."),
    ):
        logger = "engine" if daemon.ours else "plugin.a"
        assert f" - {logger} - {level} - {words}" in log, words


@both
def test_an_outage_is_told_as_it_was(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a daemon that runs
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        first = site.add_event("Shotgun_Task_Change")
        running.until(lambda: first in install.seen("a"), "the first event")
        # When the site does not answer for a while
        site.stop()
        running.until(lambda: "Unable to connect to SG (attempt 3 of 3): " in install.log(), "three attempts")
        site.start()
        last = site.add_event("Shotgun_Task_Change")
        running.until(lambda: last in install.seen("a"), "the last event")
    # Then
    attempts = grep("Unable to connect to SG", install.log())
    assert attempts[0].startswith("engine - WARNING - Unable to connect to SG (attempt 1 of 3): ")
    assert attempts[2].startswith("engine - ERROR - Unable to connect to SG (attempt 3 of 3): ")


@both
def test_a_failure_is_mailed_as_it_was(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    pytest.importorskip("aiosmtpd")
    from tests.support.mail_server import Postbox  # noqa: PLC0415 - beside its condition

    with Postbox() as post:
        mail = {"enabled": "True", "server": post.host, "port": str(post.port), "to": "td@s.example, ops@s.example"}
        install = Install(tmp_path, site, options={"emails": mail})
        install.plugin("a", install.registering("def seen(sg, logger, event, args):\n    raise ValueError('bad shot')\n"))
        install.place()
        site.add_event("Shotgun_Task_Change")
        # When
        install.drain(daemon)
    # Then
    ((receivers, text),) = [one for one in post.mails if "An error occured" in one[1]]
    assert receivers == ("td@s.example", "ops@s.example")
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    body = (
        message_from_string(text, policy=policy.default).get_content().replace("\r\n", "\n")
    )  # long lines are folded on their way
    assert "Subject: [SG] CRITICAL - SG event daemon." in head.splitlines()
    assert "From: a@b.example" in head.splitlines()
    assert re.match(
        r"Time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\nLogger: plugin\.a\.seen\nPath: .+\nFunction: \w+\nLine: \d+\n\n"
        r"An error occured processing an event\.\n\nTraceback",
        body,
    ), body
    assert "ValueError: bad shot" in body

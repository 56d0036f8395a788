"""Callbacks that fail: what is logged, what stops, and where it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install

both = pytest.mark.parametrize("daemon", BOTH)

FAILING = """
    def helper(shot):
        raise ValueError(f"no such shot: {shot}")

    def seen(sg, logger, event, args):
        shot_name = "LIT0010"
        note(plugin="a", event=event["id"])
        helper(shot_name)
"""


@both
def test_a_failure_is_logged_with_its_traceback_and_the_locals_of_the_plugins_frame(
    daemon: Daemon, site: Sandbox, tmp_path: Path
) -> None:
    install = Install(tmp_path, site)
    install.plugin("a", install.registering(FAILING))
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    install.drain(daemon)
    # Then
    log = install.log("plugin.a")
    head, _, rest = log.partition(" - plugin.a.seen - CRITICAL - An error occured processing an event.\n\n")
    assert head, log
    assert rest.startswith("Traceback (most recent call last):\n")
    trace, _, shown = rest.partition("\n\nLocal variables at outer most frame in plugin:\n\n")
    assert trace.rstrip().endswith("ValueError: no such shot: LIT0010")
    assert trace.count("helper(shot_name)") == 1
    assert "'shot_name': 'LIT0010'" in shown
    assert "'args': None" in shown


@both
def test_stop_on_error_stops_its_plugin_until_the_file_changes_and_no_other(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that fails on every event, and another one
    install = Install(tmp_path, site)
    install.plugin("a", install.registering(FAILING))
    install.plugin("b", install.tracing())
    install.place()
    first = site.add_event("Shotgun_Task_Change")
    with install.running(daemon) as running:
        running.until(lambda: "An error occured" in install.log("plugin.a"), "the failure")
        rest = list(site.add_events(2))
        running.until(lambda: rest[-1] in install.seen("b"), "the events in the other plugin")
        stopped_at = install.seen("a")
        # When it is fixed
        install.plugin("a", install.tracing())
        running.until(lambda: rest[-1] in install.seen("a"), "the events in the plugin")
    # Then it stopped at the first, and goes on with that very event, in order
    assert stopped_at == [first]
    assert install.seen("a") == [first, first, *rest]
    assert install.seen("b") == [first, *rest]
    assert install.log("plugin.a").count("An error occured") == 1


@both
def test_without_stop_on_error_the_event_counts_as_done(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given two callbacks of one plugin, the first of which always fails and does not stop
    install = Install(tmp_path, site)
    body = FAILING + "\n    def after(sg, logger, event, args): note(callback='after', event=event['id'])\n"
    install.plugin("a", install.registering(body, "seen, stopOnError=False", "after"))
    install.place()
    events = list(site.add_events(3))
    # When
    ended = install.drain(daemon)
    # Then all is tried once, and the second callback has all
    assert install.seen("a") == events
    assert [one["event"] for one in install.traced(callback="after")] == events
    assert install.log("plugin.a").count("An error occured processing an event.") == 3
    # and nothing is due any more: Callsheet keeps the failures for an operator, and says so by its exit code
    assert ended.code == (1 if daemon.ours else 0)
    install.trace.unlink()
    assert install.drain(daemon).code == ended.code
    assert install.traced() == []


def test_sys_exit_in_a_callback_is_a_failure_like_any_other(site: Sandbox, tmp_path: Path) -> None:
    # Given
    install = Install(tmp_path, site)
    install.plugin("a", install.registering("import sys\ndef seen(sg, logger, event, args): sys.exit('no licence')"))
    install.plugin("b", install.tracing())
    install.place()
    events = list(site.add_events(2))
    # When
    ended = install.drain(Daemon.CALLSHEET)
    # Then
    assert install.seen("b") == events
    assert "SystemExit: no licence" in install.log("plugin.a")
    assert "Plugin a has 1 lane held" in ended.output


def test_a_process_that_a_callback_ends_takes_no_other_plugin_with_it(site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that ends its process on its second event, the first time
    install = Install(tmp_path, site)
    body = f"""
        import os
        def seen(sg, logger, event, args):
            note(plugin="a", event=event["id"])
            if event["id"] == args and not os.path.exists({str(tmp_path / "once")!r}):
                open({str(tmp_path / "once")!r}, "w").close()
                os._exit(7)
    """
    events = list(site.add_events(4))
    install.plugin("a", install.registering(body, f"seen, None, {events[1]}"))
    install.plugin("b", install.tracing())
    install.place(events[0] - 1)
    # When
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then that event runs again, and nothing else
    assert install.seen("a") == [events[0], events[1], *events[1:]]
    assert install.seen("b") == events
    assert "exit code 7" in install.log("plugin.a")

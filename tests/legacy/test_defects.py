"""The twelve defects of the reference that COMPAT lists, in its order (section J).

Each scenario is one function that gives facts, whoever runs it. The facts must be good under Callsheet, and must not be under the
reference: that is how each test shows that it can fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Ended, Install
from tests.support.mail_server import Postbox
from tests.support.process import Running
from tests.support.reference import SAVED

both = pytest.mark.parametrize("daemon", BOTH)


def reads(site: Sandbox) -> int:
    return site.requests().get("read", 0)


def until_seen(install: Install, running: Running, event: int, plugin: str = "a") -> None:
    running.until(lambda: event in install.seen(plugin), f"event {event} in plugin {plugin}")


def until_passed(install: Install, daemon: Daemon, running: Running, event: int, plugin: str = "a", *, loops: int = 15) -> None:
    """Until the plugin saw the event or, since waiting for what never comes needs an end, the reference looped in vain so often."""
    began = install.loop_count()

    def fact() -> bool:
        gave_up = not daemon.ours and (install.loop_count() - began >= loops or not running.alive)
        return event in install.seen(plugin) or gave_up

    running.until(fact, f"event {event} in plugin {plugin}")


def judge(daemon: Daemon, *, good: bool, facts: object) -> None:
    """Good under Callsheet, and under Callsheet only."""
    assert good is daemon.ours, facts


@both
def test_1_a_late_event_is_delivered_alone(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given an event that is not to be seen yet, and two behind it that were delivered
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        site.withhold(next=1)
        late = site.add_event("Shotgun_Task_Change")
        after = [site.add_event("Shotgun_Task_Change") for _ in range(2)]
        until_seen(install, running, after[-1])
        # When it shows
        site.release(late)
        until_seen(install, running, late)
        last = site.add_event("Shotgun_Task_Change")
        until_seen(install, running, last)
    # Then it is delivered, and nothing else is again
    judge(daemon, good=install.seen("a") == [*after, late, last], facts=install.seen("a"))


@both
def test_2_a_missing_id_neither_halts_nor_hurries_the_reading(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a missing id and more events behind it than are fetched at a time
    install = Install(tmp_path, site, options={"daemon": {"max_event_batch_size": "5"}})
    install.plugin("a", install.tracing())
    install.place()
    site.skip_event_id()
    last = site.add_events(12)[-1]
    most = 30
    # When
    with install.running(daemon) as running:
        running.until(lambda: last in install.seen("a") or reads(site) > most, "the last event, or very many requests")
        first_look = reads(site)
        if last in install.seen("a"):
            # one more round of asking for the missing id
            running.until(lambda: reads(site) > first_look, "another poll")
    # Then all of them came, for few requests
    facts = (last in install.seen("a"), reads(site))
    judge(daemon, good=facts[0] and facts[1] <= most, facts=facts)


@both
def test_3_a_wrong_signature_stops_only_its_plugin(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a callback that takes two arguments, and another plugin
    install = Install(tmp_path, site)
    install.plugin("a_wrong", install.registering("def seen(sg, event): pass"))
    install.plugin("b", install.tracing())
    install.place()
    events = list(site.add_events(2))
    # When
    ended = install.drain(daemon)
    # Then the other one has its events, and the log says what is wrong with the first
    judge(daemon, good=install.seen("b") == events and "must take one of" in install.log(), facts=(install.seen("b"), ended))


@both
def test_4_a_reload_after_a_failure_does_not_repeat_finished_callbacks(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin whose second callback fails
    install = Install(tmp_path, site)
    body = """
        def one(sg, logger, event, args):
            note(callback="one", event=event["id"])

        def two(sg, logger, event, args):
            {fail}note(callback="two", event=event["id"])
    """
    install.plugin("a", install.registering(body.format(fail="1 / 0; "), "one", "two"))
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    with install.running(daemon) as running:
        running.until(lambda: "An error occured" in install.log("plugin.a"), "the failure")
        # When it is fixed
        install.plugin("a", install.registering(body.format(fail=""), "one", "two"))
        running.until(lambda: install.traced(callback="two"), "the second callback")
    # Then the event goes on where it failed
    calls = [one["callback"] for one in install.traced(event=event)]
    judge(daemon, good=calls == ["one", "two"], facts=calls)


@both
def test_5_the_only_plugin_can_be_renamed(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given one plugin that runs
    install = Install(tmp_path, site)
    path = install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        until_seen(install, running, site.add_event("Shotgun_Task_Change"))
        # When it is renamed
        path.rename(path.with_name("b.py"))
        running.until(lambda: "oading plugin at" in install.log().rpartition("b.py")[0], "b.py loaded")
        event = site.add_event("Shotgun_Task_Change")
        until_passed(install, daemon, running, event, "b")
    # Then it gets events under its new name
    judge(daemon, good=install.seen("b") == [event], facts=install.traced())


@both
def test_6_a_dangling_link_stops_nothing(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        until_seen(install, running, site.add_event("Shotgun_Task_Change"))
        # When
        (install.folders[0] / "gone.py").symlink_to(tmp_path / "nowhere.py")
        running.until(lambda: "gone.py" in install.log(), "a word about the link")
        event = site.add_event("Shotgun_Task_Change")
        until_passed(install, daemon, running, event)
        facts = (running.alive, event in install.seen("a"))
    # Then
    judge(daemon, good=facts == (True, True), facts=facts)


@both
def test_7_a_kill_at_any_moment_leaves_a_state_to_go_on_from(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a daemon that is killed: the reference while it writes its file, Callsheet in the midst of a callback
    install = Install(tmp_path, site)
    body = """
        import os, signal
        def seen(sg, logger, event, args):
            note(event=event["id"])
            if {kill} and event["id"] == {event} and not os.path.exists("{once}"):
                open("{once}", "w").close()
                os.kill(os.getppid(), signal.SIGKILL)
    """
    start = install.place()
    install.plugin("a", install.registering(body.format(kill=daemon.ours, event=start + 2, once=tmp_path / "once")))
    install.place()
    install.environ = {SAVED: "2"}  # of one writing for each event
    events = list(site.add_events(3))
    with install.running(daemon) as running:
        killed = running.wait()
    # When it is started again
    install.environ = {}
    ended = install.drain(daemon)
    # Then it goes on, and nothing is lost; what had not reached the ledger when it was killed may come twice
    facts = (ended.code, sorted({one["event"] for one in install.traced()}) == events)
    assert killed == -9
    judge(daemon, good=facts == (0, True), facts=(facts, install.traced(), ended.output[-2000:]))


@both
def test_8_a_plugin_that_fails_on_its_first_event_gets_it_once_mended(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a daemon with one plugin, and a new one that fails on the first event that it ever gets
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        until_seen(install, running, site.add_event("Shotgun_Task_Change"))
        install.plugin("b", install.registering("def seen(sg, logger, event, args): 1 / 0"))
        running.until(lambda: "oading plugin at" in install.log().rpartition("b.py")[0], "b.py loaded")
        if daemon.ours:
            running.until(lambda: "Plugin b is ready" in install.log(), "b ready")
        first = site.add_event("Shotgun_Task_Change")
        running.until(lambda: "An error occured" in install.log("plugin.b"), "its failure")
        # When it is fixed
        install.plugin("b", install.tracing())
        running.until(lambda: "Reloading plugin at" in install.log(), "b.py loaded anew")
        second = site.add_event("Shotgun_Task_Change")
        until_seen(install, running, second, "b")
    # Then it has that event, before the next
    judge(daemon, good=install.seen("b") == [first, second], facts=(first, second, install.seen("b")))


@both
def test_9_a_dropped_idle_connection_disables_no_plugin(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that has talked to the site
    install = Install(tmp_path, site)
    body = """
        def seen(sg, logger, event, args):
            sg.find_one("Project", [])
            note(plugin="a", event=event["id"])
    """
    install.plugin("a", install.registering(body))
    install.place()
    with install.running(daemon) as running:
        until_seen(install, running, site.add_event("Shotgun_Task_Change"))
        # When a load balancer drops its connection, and the next event comes
        site.drop_connections()
        event = site.add_event("Shotgun_Task_Change")
        running.until(lambda: event in install.seen("a") or "An error occured" in install.log("plugin.a"), "success or failure")
    # Then the call succeeds, at the first attempt
    facts = (event in install.seen("a"), "An error occured" in install.log("plugin.a"))
    judge(daemon, good=facts == (True, False), facts=facts)


@both
@pytest.mark.parametrize("environ", [{"http_Root": "/a", "HTTP_ROOT": "/b"}, {"PORT": "2525"}], ids=["twins", "port"])
def test_10_the_environment_changes_nothing_that_the_conf_does_not_refer_to(
    daemon: Daemon, environ: dict[str, str], site: Sandbox, tmp_path: Path
) -> None:
    # Given variables that differ in case only, as http_proxy and HTTP_PROXY do; or one named as an option
    install = Install(tmp_path, site)
    body = """
        def seen(sg, logger, event, args):
            note(event=event["id"], port=logger.config.getSMTPPort())
    """
    install.plugin("a", install.registering(body))
    install.place()
    install.environ = environ
    event = site.add_event("Shotgun_Task_Change")
    # When
    ended = install.drain(daemon)
    # Then it runs, and mails go to the port that mails go to
    judge(daemon, good=install.traced() == [{"event": event, "port": 25}], facts=(install.traced(), ended))


@both
def test_11_set_emails_takes_true_and_false(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given three plugins that fail: one mails to the configured address, one to nobody, one to addresses of its own
    with Postbox() as post:
        ended = _failing_with_mail(daemon, site, tmp_path, post)
    # Then each mail goes where its plugin wanted it to
    facts = {name: sorted(to for to, text in post.mails if f"in {name}" in text) for name in "abc"}
    good = facts == {"a": [("configured@studio.example",)], "b": [], "c": [("x@studio.example", "y@studio.example")]}
    judge(daemon, good=good, facts=(facts, ended.output[-1000:]))


def _failing_with_mail(daemon: Daemon, site: Sandbox, tmp_path: Path, post: Postbox) -> Ended:
    mail = {"enabled": "True", "server": post.host, "port": str(post.port), "to": "configured@studio.example"}
    install = Install(tmp_path, site, options={"emails": mail})
    for name, wanted in {"a": "True", "b": "False", "c": "'x@studio.example', 'y@studio.example'"}.items():
        source = install.registering(f"def seen(sg, logger, event, args): raise ValueError('in {name}')")
        install.plugin(name, source.replace("(reg):", f"(reg):\n    reg.setEmails({wanted})"))
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    return install.drain(daemon)


@both
def test_12_the_id_file_can_be_removed_while_running(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    install = Install(tmp_path, site)
    install.nap = 1.0  # time enough for what is to happen in between two of its loops
    install.plugin("a", install.tracing())
    install.place()
    with install.running(daemon) as running:
        until_seen(install, running, site.add_event("Shotgun_Task_Change"))
        # When the file goes, and events come before the daemon looks again
        began = install.loop_count()
        if not daemon.ours:
            running.until(lambda: install.loop_count() > began, "the beginning of a pause")
        install.id_file.unlink()
        events = [site.add_event("Shotgun_Task_Change") for _ in range(2)]
        if not daemon.ours:
            running.until(lambda: install.loop_count() > began + 1, "another look")
        last = site.add_event("Shotgun_Task_Change")
        until_seen(install, running, last)
    # Then they are delivered
    judge(daemon, good=install.seen("a")[1:] == [*events, last], facts=(events, last, install.seen("a")))

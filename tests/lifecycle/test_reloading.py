"""Plugin files that change, come and go under a running daemon."""

from __future__ import annotations

import os
import shutil
import signal

from callsheet.domain.plugin import PluginState
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import legacy, noting


def standing(studio: Studio, plugin: str) -> PluginState | None:
    record = studio.plugin(plugin)
    return record.state if record else None


def one_more(studio: Studio, daemon: RunningDaemon, plugin: str, word: str = "done") -> int:
    """Write an event and wait until the plugin has noted it; returns its id."""
    event = studio.sandbox.add_event("Shotgun_Task_Change", attribute_name="sg_status_list")
    daemon.until(lambda: event in studio.trace.events(plugin, word=word))
    return event


def test_a_changed_file_is_loaded_anew_with_the_helper_beside_it(studio: Studio) -> None:
    # Given a plugin that uses a module beside it
    studio.write("helper", "WORD = 'old'\n")
    path = studio.write("plugin", "import helper\n" + noting("note(helper.WORD, event)"))
    with studio.started() as daemon:
        first = one_more(studio, daemon, "plugin")

        # When both change
        studio.write("helper", "WORD = 'renewed'\n")
        studio.write("plugin", "import helper\n" + noting("note(helper.WORD + '!', event)"))
        daemon.until(lambda: daemon.said(f"Reloading plugin at {path}"))

        # Then both are new, and nothing ran twice or not at all
        second = one_more(studio, daemon, "plugin", "renewed!")
        assert studio.trace.events("plugin", word="old") == [first]
        assert studio.trace.events("plugin") == [first, second]


def test_a_changed_module_is_enough_to_load_what_imports_it(studio: Studio) -> None:
    (studio.plugins / "lib").mkdir()
    studio.write("lib/names", "WORD = 'old'\n")
    studio.write("plugin", "from lib import names\n" + noting("note(names.WORD, event)"))
    with studio.started() as daemon:
        one_more(studio, daemon, "plugin", "old")
        studio.write("lib/names", "WORD = 'renewed'\n")
        daemon.until(lambda: daemon.said("lib/names.py has changed, which it imports."))
        one_more(studio, daemon, "plugin", "renewed")


def test_a_reload_on_order_is_a_new_process(studio: Studio) -> None:
    # Given a plugin that reads its settings when it is imported, from a file that nobody watches
    settings = studio.folder / "settings.txt"
    settings.write_text("old")
    studio.write("plugin", f"WORD = open({str(settings)!r}).read()\n" + noting("note(WORD, event)"))
    with studio.started() as daemon:
        one_more(studio, daemon, "plugin", "old")
        settings.write_text("new")
        # When an operator has it loaded anew, then that is what it has
        assert studio.command("reload", "plugin").returncode == 0
        daemon.until(lambda: daemon.said("Reloading plugin at"))
        one_more(studio, daemon, "plugin", "new")


def test_a_plugin_rolled_back_with_its_old_time_goes_on_with_that(studio: Studio) -> None:
    # Given a plugin, and a folder of releases that another one is a link into
    path = studio.write("plugin", noting("note('good', event)"))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    backup = shutil.copy2(path, studio.folder / "backup")
    for release in ("old", "new"):
        studio.write(f"../{release}", noting(f"note({release!r}, event)"))
    os.utime(studio.folder / "old.py", (1_600_000_000, 1_600_000_000))
    link = studio.plugins / "linked.py"
    link.symlink_to(studio.folder / "new.py")
    with studio.started() as daemon:
        one_more(studio, daemon, "linked", "new")
        studio.write("plugin", noting("note('bad', event)"))
        daemon.until(lambda: daemon.said(f"Reloading plugin at {path}"))
        one_more(studio, daemon, "plugin", "bad")
        # When both are rolled back
        shutil.copy2(backup, path)
        link.unlink()
        link.symlink_to(studio.folder / "old.py")
        daemon.until(lambda: daemon.log.count(f"Reloading plugin at {path}") == 2)
        daemon.until(lambda: daemon.said(f"Reloading plugin at {link}"))
        # Then the old text is what runs
        one_more(studio, daemon, "plugin", "good")
        one_more(studio, daemon, "linked", "old")


def test_events_written_while_a_plugin_reloads_reach_its_new_text(studio: Studio) -> None:
    path = studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as daemon:
        first = one_more(studio, daemon, "plugin")
        studio.write("plugin", "wait_for('loaded')\n" + noting("note('new', event)", "lane='plugin'"))
        daemon.until(lambda: daemon.said(f"Reloading plugin at {path}"))
        events = studio.sandbox.add_events(20)
        daemon.until(lambda: studio.site().cursor == events[-1])
        studio.trace.raise_flag("loaded")
        daemon.until(lambda: studio.trace.events("plugin") == [first, *events])
        assert studio.trace.events("plugin", word="new") == list(events)


def test_a_plugin_dropped_in_begins_with_the_events_after_it(studio: Studio) -> None:
    studio.write("first", noting())
    with studio.started() as daemon:
        before = one_more(studio, daemon, "first")
        studio.write("second", noting())
        daemon.until(lambda: standing(studio, "second") is PluginState.READY)
        after = one_more(studio, daemon, "second")
        assert studio.trace.events("second") == [after]
        daemon.until(lambda: studio.trace.events("first") == [before, after])


def test_a_deleted_plugin_that_comes_back_goes_on_where_it_was(studio: Studio) -> None:
    path = studio.write("plugin", noting(options="lane='plugin'"))
    studio.write("other", noting())
    with studio.started() as daemon:
        first = one_more(studio, daemon, "plugin")
        path.unlink()
        daemon.until(lambda: standing(studio, "plugin") is PluginState.GONE)
        assert daemon.said("Plugin plugin is gone")
        missed = studio.sandbox.add_events(10)
        daemon.until(lambda: set(missed) <= set(studio.trace.events("other")))

        studio.write("plugin", noting(options="lane='plugin'"))

        daemon.until(lambda: studio.trace.events("plugin") == [first, *missed])


def test_renaming_the_only_plugin_does_not_stop_the_reading(studio: Studio) -> None:
    path = studio.write("plugin", noting())
    with studio.started() as daemon:
        one_more(studio, daemon, "plugin")
        path.rename(path.with_name("renamed.py"))
        daemon.until(lambda: standing(studio, "renamed") is PluginState.READY)
        one_more(studio, daemon, "renamed")
        assert standing(studio, "plugin") is PluginState.GONE
    studio.drain()  # and the next daemon knows nothing else


def test_a_folder_that_vanishes_takes_no_plugin_with_it(studio: Studio) -> None:
    studio.write("plugin", noting(options="lane='plugin'"))
    away = studio.plugins.with_name("away")
    with studio.started() as daemon:
        first = one_more(studio, daemon, "plugin")
        studio.plugins.rename(away)
        daemon.until(lambda: daemon.said("the folder is not there"))
        key = f"plugin-folder:studio::{studio.plugins}"
        daemon.until(lambda: [one["key"] for one in studio.status()["trouble"]] == [key])
        second = one_more(studio, daemon, "plugin")
        assert standing(studio, "plugin") is PluginState.READY

        away.rename(studio.plugins)
        studio.write("new", noting())
        daemon.until(lambda: standing(studio, "new") is PluginState.READY)
        third = one_more(studio, daemon, "plugin")
        assert studio.trace.events("plugin") == [first, second, third]
        assert not daemon.said("is gone")
        daemon.until(lambda: studio.status()["well"])


def test_a_start_without_its_folder_begins_all_the_same_and_says_so(studio: Studio) -> None:
    studio.write("plugin", noting())
    away = studio.plugins.with_name("away")
    with studio.started() as daemon:
        first = one_more(studio, daemon, "plugin")
        daemon.stop()
    studio.plugins.rename(away)
    with studio.start() as daemon:
        daemon.until(lambda: f"plugin-folder:studio::{studio.plugins}" in [one["key"] for one in studio.status()["trouble"]])
        missed = studio.sandbox.add_event("Shotgun_Task_Change")
        away.rename(studio.plugins)
        daemon.until(lambda: studio.trace.events("plugin") == [first, missed])
        daemon.until(lambda: studio.status()["well"])


def test_what_can_not_be_a_plugin_is_told_and_disturbs_nobody(studio: Studio) -> None:
    studio.write("plugin", noting())
    with studio.started() as daemon:
        (studio.plugins / "folder.py").mkdir()
        (studio.plugins / "dangling.py").symlink_to(studio.folder / "nowhere")
        daemon.until(lambda: daemon.said(f"{studio.plugins}/dangling.py: a link whose target is missing"))
        daemon.until(lambda: daemon.said(f"{studio.plugins}/folder.py: a folder"))
        one_more(studio, daemon, "plugin")
        # The link's target appears: it is a plugin like any other.
        (studio.folder / "nowhere").write_text(studio.trace.source(noting()))
        daemon.until(lambda: standing(studio, "dangling") is PluginState.READY)
        one_more(studio, daemon, "dangling")
        assert not daemon.said("Unexpected error")


def test_waiting_deliveries_of_a_callback_that_is_gone_are_skipped_and_told(studio: Studio) -> None:
    two = noting("wait_for('go')", "lane='plugin'") + noting("", "lane='plugin'").split("\n", 1)[1].replace(
        "def noted", "def extra"
    )
    studio.write("plugin", two)
    with studio.started() as daemon:
        events = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.waiting("plugin") == 10)
        studio.write("plugin", noting("", "lane='plugin'"))
        daemon.until(lambda: daemon.said("waiting deliveries, since the plugin no longer registers this callback"))
        studio.trace.raise_flag("go")
        daemon.until(lambda: studio.states() == {"done": 5, "skipped": 5})
        assert studio.trace.events("plugin") == list(events)


def test_in_global_order_plugins_wait_for_one_that_is_reloaded(studio: Studio) -> None:
    # Given three plugins that take turns, event by event
    studio.configure(order="global")
    names = ("a", "b", "c")
    for name in names:
        studio.write(name, legacy())
    events: list[int] = []
    with studio.started() as daemon:
        daemon.until(lambda: all(standing(studio, name) is PluginState.READY for name in names))
        # When each of them is changed in turn, loads for a while, and events come all the time
        for number, name in enumerate(names * 2):
            path = studio.write(name, f"# {number}\ntime.sleep(0.4)\n" + legacy())
            while daemon.log.count(f"Reloading plugin at {path}") != 1 + number // 3:
                events += studio.sandbox.add_events(2)
                daemon.watch(0.05)
            for _ in range(8):
                events += studio.sandbox.add_events(2)
                daemon.watch(0.1)
        # Then no event ran ahead of another, nor a plugin ahead of the one before it
        daemon.until(lambda: len(studio.trace.events()) == 3 * len(events))
    assert [(one.event, one.plugin) for one in studio.trace.calls()] == [(event, name) for event in events for name in names]


def test_in_global_order_nobody_waits_for_a_plugin_that_can_not_be_loaded_or_does_not_come(studio: Studio) -> None:
    # Given three plugins that take turns
    studio.configure(order="global")
    with studio.config.open("a") as config:
        config.write("[crew]\nloading = 2\n")
    for name in ("a", "b", "c"):
        studio.write(name, legacy())
    with studio.started() as daemon:
        first = one_more(studio, daemon, "c")
        # When one is broken, and one does not end to load
        broken = studio.write("a", "1 / 0")
        hanging = studio.write("b", "wait_for('never')\n" + legacy())
        daemon.until(lambda: standing(studio, "a") is PluginState.BROKEN and daemon.said(f"Reloading plugin at {hanging}"))
        second = one_more(studio, daemon, "c")
        assert standing(studio, "b") is PluginState.BROKEN
        # And each is fixed
        studio.write("b", legacy())
        daemon.until(lambda: studio.trace.events("b") == [first, second])
        studio.write("a", legacy())
        daemon.until(lambda: studio.trace.events("a") == [first, second])
        third = one_more(studio, daemon, "c")
    # Then all have gone on in turn
    assert broken.exists()
    calls = [(one.event, one.plugin) for one in studio.trace.calls()]
    assert calls[:3] == [(first, name) for name in "abc"]
    assert calls[-3:] == [(third, name) for name in "abc"]


GROWS = """
registrar = None

def registerCallbacks(reg):
    global registrar
    registrar = reg
    reg.registerCallback("script", "key", first, {"Shotgun_Task_Change": None})

def first(sg, logger, event, args):
    if flag("grow") and once("grown"):
        registrar.registerCallback("script", "key", second, {"Shotgun_Task_Change": None})
    if flag("fail"):
        die()
    note("done", event, "first")

def second(sg, logger, event, args):
    if flag("wait"):
        wait_for("go")
    note("done", event, "second")
"""


def test_a_callback_that_is_registered_later_gets_all_events_behind_that_one(studio: Studio) -> None:
    # Given a plugin that registers a second callback while it handles the first of 50 events, which are all routed by then
    studio.write("plugin", GROWS)
    with studio.started() as daemon:
        one_more(studio, daemon, "plugin")
        (studio.trace.folder / "grow.flag").touch()
        events = studio.sandbox.add_events(50)
        daemon.until(lambda: len(studio.trace.events("plugin", callback="first")) == 51)
        daemon.until(lambda: len(studio.trace.events("plugin", callback="second")) == 49)
        later = one_more(studio, daemon, "plugin")
        daemon.until(lambda: later in studio.trace.events("plugin", callback="second"))
    # Then it gets each of those behind it, once, in order
    assert studio.trace.events("plugin", callback="second") == [*events[1:], later]
    assert daemon.said("Plugin plugin is ready. Callbacks: first, second.")


def test_a_callback_that_was_registered_later_ends_with_its_worker_and_that_is_said(studio: Studio) -> None:
    studio.write("plugin", GROWS)
    with studio.started() as daemon:
        (studio.trace.folder / "grow.flag").touch()
        (studio.trace.folder / "wait.flag").touch()
        one_more(studio, daemon, "plugin")
        daemon.until(lambda: daemon.said("Callbacks: first, second"))
        # Given deliveries that wait for it when the worker dies
        events = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.waiting("plugin") == 5)
        pid = next(one.pid for one in studio.trace.calls("plugin", callback="first"))
        os.kill(pid, signal.SIGKILL)
        # Then they are skipped, and that is told
        daemon.until(lambda: daemon.said("waiting deliveries, since the plugin no longer registers this callback"))
        daemon.until(lambda: set(events) <= set(studio.trace.events("plugin", callback="first")))
        assert studio.trace.events("plugin", callback="second") == []

"""Which files are plugins, in which order they register, and what becomes of those that can't."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install

both = pytest.mark.parametrize("daemon", BOTH)


@both
def test_every_py_file_of_each_folder_is_a_plugin_by_the_order_of_names(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given two folders with names of all sorts, and entries that are no plugins
    install = Install(tmp_path, site, folders=("second", "first"))
    names = ["10", "9", "B", "a-b", "a", "a_b", "ab", "name with spaces", "__init__", "é"]
    for name in names:
        install.plugin(name, install.tracing())
    install.plugin("later", install.tracing(), folder=1)
    install.plugin(".hidden", "1 / 0")
    for name in ("plugin.txt", "plugin.pyc", "plugin.py.bak", "PLUGIN.PY"):
        (install.folders[0] / name).write_text("1 / 0")
    (install.folders[0] / "deeper").mkdir()
    (install.folders[0] / "deeper" / "c.py").write_text("1 / 0")
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(daemon).code == 0
    # Then all of them are called, under their names
    seen = [one["plugin"] for one in install.traced(event=event)]
    assert sorted(seen) == sorted([*names, "later"])
    # and they are known in this order
    order = [*sorted(f"{name}.py" for name in names), "later.py"]
    if daemon.ours:
        loaded = [Path(path).name for path in re.findall(r"Loading plugin at (.*)", install.log())]
        assert loaded == order
        assert loaded[:8] == ["10.py", "9.py", "B.py", "__init__.py", "a-b.py", "a.py", "a_b.py", "ab.py"]
    else:
        assert [f"{name}.py" for name in seen] == order  # it loads as listdir lists, and calls in order


@both
def test_a_plugins_module_is_what_it_was(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that looks around while it is imported
    install = Install(tmp_path, site)
    body = """
        import os, sys, shotgun_api3
        FOUND = {"name": __name__, "file": __file__, "main": os.path.basename(sys.argv[0]), "args": sys.argv[1:],
                 "beside": os.path.dirname(sys.argv[0]) in sys.path, "api": hasattr(shotgun_api3, "Shotgun")}
        def seen(sg, logger, event, args):
            note(**FOUND)
    """
    install.plugin("my plugin-1", install.registering(body))
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(daemon).code == 0
    # Then
    (found,) = install.traced()
    assert (found["name"], found["file"]) == ("my plugin-1", str(install.folders[0] / "my plugin-1.py"))
    assert found["main"] == ("callsheet" if daemon.ours else "shotgunEventDaemon.py")
    assert (found["beside"], found["api"]) == (True, True)


@both
def test_plugins_that_can_not_be_used_are_said_and_the_others_go_on(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given plugins that fail in each way, a helper without registerCallbacks, and one that registers nothing
    install = Install(tmp_path, site)
    sources = {
        "raises": "raise RuntimeError('no farm')",
        "syntax": "def registerCallbacks(reg:\n",
        "exits": "import sys; sys.exit(3)",
        "helper": "def double(x): return 2 * x",
        "odd": "registerCallbacks = 5",
        "register": "def registerCallbacks(reg): raise KeyError('SGDAEMON_NAME')",
        "nothing": "def registerCallbacks(reg): pass",
    }
    for name, source in sources.items():
        install.plugin(name, source)
    install.plugin("well", install.tracing())
    install.place()
    events = list(site.add_events(3))
    # When
    code = install.drain(daemon).code
    # Then the one that works has its events
    assert install.seen("well") == events
    # and each of the others is named by the logger, at the level and in the words that operators know
    heads = [line.split(" - ", 1)[1] for line in install.log().splitlines() if " - CRITICAL - " in line]
    folder = install.folders[0]
    assert sorted(heads) == [
        f"engine - CRITICAL - Did not find a registerCallbacks function in plugin at {folder}/helper.py.",
        f"engine - CRITICAL - Did not find a registerCallbacks function in plugin at {folder}/odd.py.",
        f"engine - CRITICAL - Error running register callback function from plugin at {folder}/register.py.",
    ]
    for name in ("raises", "syntax", "exits"):
        assert f" - plugin.{name} - ERROR - Could not load the plugin at {folder}/{name}.py." in install.log(f"plugin.{name}")
    assert "RuntimeError: no farm" in install.log("plugin.raises")
    assert "KeyError: 'SGDAEMON_NAME'" in install.log()
    assert (code == 1) is daemon.ours  # ours says so by its exit code, too


@both
def test_a_missing_folder_is_said_and_prevents_no_start_of_ours(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a conf that names a folder that is not there
    install = Install(tmp_path, site, options={"plugins": {"paths": f"{tmp_path}/plugins, {tmp_path}/gone"}})
    # When
    ended = install.drain(daemon)
    # Then
    assert ended.code == 1
    assert str(tmp_path / "gone") in ended.output
    assert ("Stopped after" in ended.output) == daemon.ours


@both
def test_a_changed_file_is_loaded_anew_and_keeps_its_place(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that runs
    install = Install(tmp_path, site)
    body = "def seen(sg, logger, event, args): note(version={version}, event=event['id'])"
    path = install.plugin("a", install.registering(body.format(version=1)))
    install.place()
    with install.running(daemon) as running:
        first = site.add_event("Shotgun_Task_Change")
        running.until(lambda: install.traced(event=first), "the first event")
        # When it changes
        install.plugin("a", install.registering(body.format(version=2)))
        running.until(lambda: f"Reloading plugin at {path}" in install.log(), "the reload")
        second = site.add_event("Shotgun_Task_Change")
        running.until(lambda: install.traced(event=second), "the second event")
    # Then
    calls = [(one["version"], one["event"]) for one in install.traced()]
    assert calls == [(1, first), (2, second)]


def test_a_deleted_plugin_keeps_its_place_until_it_returns(site: Sandbox, tmp_path: Path) -> None:
    # Given two plugins that run
    install = Install(tmp_path, site)
    path = install.plugin("a", install.tracing())
    install.plugin("b", install.tracing())
    install.place()
    with install.running(Daemon.CALLSHEET) as running:
        first = site.add_event("Shotgun_Task_Change")
        running.until(lambda: install.seen("a") == install.seen("b") == [first], "the first event")
        # When one of them goes, and returns after two events
        source = path.read_text()
        path.unlink()
        running.until(lambda: "Plugin a is gone" in install.log(), "a word about it")
        missed = list(site.add_events(2))
        running.until(lambda: install.seen("b") == [first, *missed], "the events it missed")
        path.write_text(source)
        running.until(lambda: missed[-1] in install.seen("a"), "the plugin's return")
    # Then it goes on from where it stood
    assert install.seen("a") == install.seen("b") == [first, *missed]


def test_helper_modules_beside_a_plugin_are_read_anew_with_it(site: Sandbox, tmp_path: Path) -> None:
    # Given two plugins, each with a helper of the same name on a path of its own
    install = Install(tmp_path, site)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"WORD = '{name} old'\n")
        body = f"""
            import sys
            sys.path.insert(0, {str(tmp_path / name)!r})
            import helper
            def seen(sg, logger, event, args): note(plugin={name!r}, word=helper.WORD)
        """
        install.plugin(name, install.registering(body))
    install.place()
    with install.running(Daemon.CALLSHEET) as running:
        site.add_event("Shotgun_Task_Change")
        running.until(lambda: len(install.traced()) == 2, "both plugins")
        # When one helper changes, and its plugin is touched
        helper = tmp_path / "a" / "helper.py"
        helper.write_text("WORD = 'a new and longer'\n")
        install.plugin("a", (install.folders[0] / "a.py").read_text())
        running.until(lambda: install.log().count("Plugin a is ready") == 2, "the reload")
        site.add_event("Shotgun_Task_Change")
        running.until(lambda: len(install.traced()) == 4, "both plugins again")
    # Then each has had its own
    assert [one["word"] for one in install.traced(plugin="a")] == ["a old", "a new and longer"]
    assert [one["word"] for one in install.traced(plugin="b")] == ["b old", "b old"]


def test_helper_modules_beside_the_conf_and_beside_its_target_are_found(site: Sandbox, tmp_path: Path) -> None:
    # Given a conf that is a link, as from /etc to where shotgunEvents lies, with a helper at either end
    install = Install(tmp_path, site)
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "shotgunEventDaemon.conf"
    link.symlink_to(install.conf)
    (tmp_path / "words_here.py").write_text("WORD = 'there'\n")
    (link.parent / "words_there.py").write_text("WORD = 'here'\n")
    body = "import words_here, words_there\ndef seen(sg, logger, event, args): note(word=words_here.WORD + words_there.WORD)"
    install.plugin("a", install.registering(body))
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    install.conf = link
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then
    assert [one["word"] for one in install.traced()] == ["therehere"]


def test_names_that_can_be_no_plugin_stop_nothing(site: Sandbox, tmp_path: Path) -> None:
    # Given a dangling link, a folder and a pipe, named as plugins are
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    folder = install.folders[0]
    (folder / "folder.py").mkdir()
    (folder / "link.py").symlink_to(tmp_path / "nowhere.py")
    os.mkfifo(folder / "pipe.py")
    (folder / "good-link.py").symlink_to(folder / "a.py")
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(Daemon.CALLSHEET).code == 1  # which is trouble, and said
    # Then
    assert sorted(one["plugin"] for one in install.traced(event=event)) == ["a", "good-link"]
    for name in ("folder", "link", "pipe"):
        assert re.search(rf"WARNING - {re.escape(str(folder))}/{name}\.py: ", install.log() + install.log(f"plugin.{name}")), name

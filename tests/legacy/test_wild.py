"""What plugins in the wild do, beside what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install

both = pytest.mark.parametrize("daemon", BOTH)


def test_a_python_2_plugin_is_named_with_the_line_and_the_cure(site: Sandbox, tmp_path: Path) -> None:
    # Given two plugins of that time, and one of today
    install = Install(tmp_path, site)
    install.plugin("printing", "def registerCallbacks(reg):\n    print 'hello'\n")
    install.plugin("catching", "def f():\n    try:\n        pass\n    except Exception, e:\n        raise\n")
    install.plugin("well", install.tracing())
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    install.drain(Daemon.CALLSHEET)
    # Then
    assert install.seen("well") == [event]
    for name, sign in (("printing", "line 2: print 'hello'"), ("catching", "line 4: except Exception, e:")):
        path = install.folders[0] / f"{name}.py"
        assert f"{path} is written for Python 2 ({sign})" in install.log(f"plugin.{name}"), install.log(f"plugin.{name}")
        assert "2to3" in install.log(f"plugin.{name}")


@both
def test_globals_and_what_is_changed_around_them_last_from_call_to_call(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that changes all that a process has
    install = Install(tmp_path, site)
    body = f"""
        import logging, os, sys
        COUNT = 0
        def seen(sg, logger, event, args):
            global COUNT
            COUNT += 1
            note(count=COUNT, cwd=os.getcwd(), variable=os.environ.get("SHOW"), path=sys.path[0], level=logger.level,
                 debugs=logger.isEnabledFor(logging.DEBUG))
            os.chdir({str(tmp_path)!r})
            os.environ["SHOW"] = "moth"
            sys.path.insert(0, "/nowhere")
            logger.setLevel(logging.ERROR)
            logging.getLogger().setLevel(logging.CRITICAL)
    """
    install.plugin("a", install.registering(body))
    install.place()
    site.add_events(3)
    # When
    assert install.drain(daemon).code == 0
    # Then
    first, second, third = install.traced()
    assert (first["count"], second["count"], third["count"]) == (1, 2, 3)
    assert (first["variable"], second["variable"]) == (None, "moth")
    assert second["cwd"] == third["cwd"] == str(tmp_path)
    assert second["path"] == third["path"] == "/nowhere"
    assert (first["debugs"], second["debugs"], second["level"]) == (True, False, 40)


def test_what_one_plugin_changes_no_other_sees(site: Sandbox, tmp_path: Path) -> None:
    # Given one that changes its process, before another's turn
    install = Install(tmp_path, site)
    body = f"""
        import logging, os, sys
        def seen(sg, logger, event, args):
            os.chdir({str(tmp_path)!r})
            os.environ["SHOW"] = "moth"
            sys.modules["json"] = None
            logging.disable(logging.CRITICAL)
    """
    install.plugin("a", install.registering(body))
    body = """
        import json, os
        def seen(sg, logger, event, args):
            import json
            logger.info("still heard")
            note(cwd=os.getcwd(), variable=os.environ.get("SHOW"))
    """
    install.plugin("b", install.registering(body))
    install.place()
    site.add_events(2)
    # When
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then
    assert [one["variable"] for one in install.traced()] == [None, None]
    assert str(tmp_path) not in [one["cwd"] for one in install.traced()]
    assert install.log("plugin.b").count("still heard") == 2


@both
def test_threads_and_programs_that_a_plugin_starts_run_on(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that leaves work to a thread and to a program, and prints to where a protocol might be
    install = Install(tmp_path, site)
    body = """
        import os, queue, subprocess, sys, threading
        WORK = queue.Queue()

        def work():
            while True:
                event, done = WORK.get()
                note(by="thread", event=event)
                done.set()

        threading.Thread(target=work, daemon=True).start()

        def seen(sg, logger, event, args):
            done = threading.Event()
            WORK.put((event["id"], done))
            assert done.wait(20)
            print("printed", event["id"])
            sys.stdout.flush()
            os.write(1, b"written to 1\\n")
            os.write(2, b"written to 2\\n")
            subprocess.run(["sh", "-c", "echo from a program; cat; exit 3"], check=False)
            out = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True).stdout
            note(by="program", event=event["id"], out=out.strip())
    """
    install.plugin("a", install.registering(body))
    install.place()
    events = list(site.add_events(2))
    # When
    ended = install.drain(daemon)
    # Then
    assert ended.code == 0
    assert [one["event"] for one in install.traced(by="thread")] == events
    assert [one["out"] for one in install.traced(by="program")] == ["42", "42"]
    if daemon.ours:
        for words in (f"printed {events[1]}", "written to 1", "written to 2", "from a program"):
            assert words in install.log("plugin.a"), words


def test_modules_that_need_themselves_find_themselves(site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin with a dataclass, one that pickles a class of its own, and two that are named as modules of the library
    install = Install(tmp_path, site)
    body = """
        from __future__ import annotations
        import dataclasses, pickle, typing
        from traced import note

        @dataclasses.dataclass
        class Shot:
            kind: typing.ClassVar[str] = "Shot"
            code: str = "LIT0010"

        def registerCallbacks(reg):
            reg.registerCallback({script!r}, {key!r}, seen)

        def seen(sg, logger, event, args):
            note(plugin=__name__, same=pickle.loads(pickle.dumps(Shot("x"))) == Shot("x"))
    """
    source = body.format(script=site.script, key=site.key)
    for name in ("a", "shot tools"):
        install.plugin(name, source)
    for name in ("json", "logging"):
        install.plugin(name, install.tracing())
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then
    assert sorted((one["plugin"], one["same"]) for one in install.traced(same=True)) == [("a", True), ("shot tools", True)]
    assert install.seen("json") == install.seen("logging") == [event]


@both
def test_a_long_registration_and_a_plugin_that_writes_at_import_are_fine(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that talks to the site while it is imported and while it registers
    install = Install(tmp_path, site)
    source = f"""
        import os
        import shotgun_api3
        from traced import note
        SG = shotgun_api3.Shotgun({site.url!r}, {site.script!r}, {site.key!r})
        PROJECTS = SG.find("Project", [], ["name"])

        def registerCallbacks(reg):
            tasks = SG.find("Task", [["project", "is", PROJECTS[0]]], ["content"])
            reg.logger.info("%d tasks", len(tasks))
            reg.registerCallback({site.script!r}, {site.key!r}, seen, None, tasks)

        def seen(sg, logger, event, args):
            note(tasks=len(args), project=PROJECTS[0]["name"])
    """
    install.plugin("a", source)
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(daemon).code == 0
    # Then
    (call,) = install.traced()
    assert call["tasks"] > 10
    assert f"{call['tasks']} tasks" in install.log("plugin.a")

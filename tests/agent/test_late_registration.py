"""Callbacks that a plugin registers once it has been loaded: while another one runs, or in a thread of its own."""

from __future__ import annotations

import os
import signal

import pytest

from callsheet.domain.delivery import Verdict
from callsheet.domain.plugin import Manifest
from callsheet.telemetry import Recorder
from tests.support.executor_bench import Stage, key

GROWING = """
    import threading
    from callsheet import on
    registrar = None
    ran = []

    def registerCallbacks(reg):
        global registrar
        registrar = reg
        reg.registerCallback("script", "script-key", first)

    def first(sg, logger, event, args):
        {body}

    def second(sg, logger, event, args):
        logger.info("second has %s", event["id"])
"""

LATE = 'registrar.registerCallback("script", "script-key", second, {"Shotgun_Shot_Change": None})'


def names(manifest: Manifest) -> list[str]:
    return [one.key.name for one in manifest.callbacks]


def grown(stage: Stage, count: int = 2) -> Manifest:
    """The manifest that has so many callbacks."""
    return stage.wait(Manifest, lambda one: len(one.callbacks) == count)


def test_a_callback_that_another_one_registers_is_told_of_and_called(stage: Stage, recorder: Recorder) -> None:
    manifest = stage.start("growing", GROWING.format(body=LATE))
    assert (names(manifest), manifest.later) == (["first"], {})
    run = stage.run("growing", "first")
    (report,) = stage.do(run)
    assert report.verdict is Verdict.OK, report.failure
    manifest = grown(stage)
    assert (names(manifest), manifest.later) == (["first", "second"], {"second": run.deliveries[0].event_id})
    assert list(manifest.callbacks[1].filter) == ["Shotgun_Shot_Change"]
    assert stage.do(stage.run("growing", "second"))[0].verdict is Verdict.OK
    assert recorder.wait_for("plugin.record").facts["record"]["message"].startswith("second has ")


ON = "on('*', lane='plugin')(lambda context: None)"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (f"threading.Thread(target=lambda: {LATE}).start()", 2),
        (ON, 2),
        (f"threading.Thread(target=lambda: {ON}).start()", 2),
        ("import beside_it", 3),
    ],
    ids=["in a thread", "with on", "with on in a thread", "in a module"],
)
def test_it_is_heard_however_it_is_registered(stage: Stage, body: str, count: int) -> None:
    stage.write("beside_it", "from callsheet import on\n@on('*')\ndef one(context): pass\n@on('*')\ndef other(context): pass\n")
    stage.start("growing", GROWING.format(body=body))
    assert stage.do(stage.run("growing", "first"))[0].verdict is Verdict.OK
    manifest = grown(stage, count)
    for name in names(manifest)[1:]:
        assert stage.do(stage.run("growing", name))[0].verdict is Verdict.OK


def test_what_threads_register_while_the_plugin_is_loaded_is_all_heard(stage: Stage) -> None:
    # Given threads that register while the plugin is described, and go on after that
    text = """
        import threading, time
        from callsheet import on

        def grow():
            for number in range(20):
                time.sleep(0.005)
                scope = {}
                exec(f"def more_{number}(context): pass", scope)
                on("*")(scope[f"more_{number}"])

        @on("*", slots=4)
        def first(context): pass
        threads = [threading.Thread(target=grow) for _ in range(3)]
        [one.start() for one in threads]
        time.sleep(0.03)
    """
    stage.start("growing", text)
    manifest = grown(stage, 61)
    assert len(set(names(manifest))) == 61
    assert [one.ordinal for one in manifest.callbacks] == list(range(61))
    assert stage.do(stage.run("growing", *names(manifest)))[-1].verdict is Verdict.OK


CLOSURE = """word = event["attribute_name"]
        def closure(sg, logger, event, args): logger.info(word)
        registrar.registerCallback("script", "script-key", closure)"""


@pytest.mark.parametrize("body", [LATE, ON, CLOSURE], ids=["a function", "with on", "a closure"])
def test_what_a_delivery_that_is_tried_again_registers_is_registered_once(stage: Stage, body: str) -> None:
    stage.start("growing", GROWING.format(body=f"{body}; 1 / 0" if body != CLOSURE else f"{body}\n        1 / 0"))
    for _ in range(3):
        (report,) = stage.do(stage.run("growing", "first"))
        assert report.failure is not None
        assert report.failure.kind == "ZeroDivisionError"
    manifest = grown(stage)
    assert len(names(manifest)) == 2
    stage.start("other", GROWING.format(body="pass"))
    assert not [one for one in stage.heard if isinstance(one, Manifest) and len(one.callbacks) > 2]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("registrar.registerCallback('script', 'script-key', 17)", "TypeError: The callback must be a callable object"),
        ("registrar.registerCallback('script', 'script-key', second, 'x')", "TypeError: matchEvents can't be 'x'"),
        ("on('*', toolkit=True)(lambda context: None)", "TypeError: @on(toolkit=True) counts only while the plugin is loaded"),
    ],
)
def test_what_can_not_be_meant_is_the_failure_of_the_line_that_registers_it(stage: Stage, body: str, why: str) -> None:
    stage.start("growing", GROWING.format(body=body))
    (report,) = stage.do(stage.run("growing", "first"))
    assert report.failure is not None
    assert f"{report.failure.kind}: {report.failure.text}".startswith(why)
    assert 'growing.py", line 13, in first\n' in report.failure.traceback


def test_a_legacy_callback_does_not_come_later_to_a_plugin_whose_callbacks_run_in_threads(stage: Stage) -> None:
    text = """
        from callsheet import on
        registrar = None
        def registerCallbacks(reg):
            global registrar
            registrar = reg
        @on("*", slots=4)
        def first(context): registrar.registerCallback("script", "script-key", second)
        def second(sg, logger, event, args): pass
    """
    stage.start("growing", text)
    (report,) = stage.do(stage.run("growing", "first"))
    assert report.failure is not None
    assert report.failure.text.startswith("reg.registerCallback comes too late here: callbacks of this plugin run in 4 threads")


def test_a_later_callback_keeps_to_its_own_slots(stage: Stage) -> None:
    text = """
        import time
        from callsheet import on
        at_once = []
        @on("*", slots=4)
        def first(context):
            @on("*", slots=2)
            def second(context):
                at_once.append(1)
                assert len(at_once) <= 2, "more than two at once"
                time.sleep(0.05)
                at_once.pop()
    """
    stage.start("growing", text)
    stage.do(stage.run("growing", "first"))
    grown(stage)
    runs = [stage.run("growing", "second") for _ in range(6)]
    stage.executor.submit(runs)
    for run in runs:
        assert [one.failure for one in stage.finish(run)] == [None]


def test_what_was_registered_later_ends_with_the_worker(stage: Stage, recorder: Recorder) -> None:
    stage.start("growing", GROWING.format(body=LATE))
    stage.do(stage.run("growing", "first"))
    pid = grown(stage).pid
    os.kill(pid, signal.SIGKILL)
    manifest = stage.wait(Manifest, lambda one: one.pid != pid and one.plugin == key("growing"))
    assert names(manifest) == ["first"]
    # And it can be registered again
    stage.do(stage.run("growing", "first"))
    assert names(grown(stage)) == ["first", "second"]

"""What a plugin raises, says or registers, however odd: it is that delivery's failure, or that plugin's, and said."""

from __future__ import annotations

import time

import pytest

from callsheet import telemetry
from callsheet.domain.delivery import Report, Verdict
from callsheet.domain.plugin import Manifest
from tests.support.executor_bench import Stage, key, legacy

ODD = """
    import logging, sys, time
    from callsheet import GiveUp, Retry, Skip, on

    class Mute(Exception):
        def __str__(self):
            sys.exit("never")

    class MuteSkip(Skip):
        def __str__(self):
            raise ValueError("never")

    class Bare(Retry):
        def __init__(self):
            pass

    def later(after):
        error = Retry("later")
        error.after = after
        return error

    class Hostile(Exception):
        @property
        def __class__(self):
            raise ValueError("never")

    KINDS = {
        "half a character": lambda: ValueError("caf\\udce9 \\ud83c \\0"),
        "half a character in a skip": lambda: Skip("caf\\udce9"),
        "half a character in the name": lambda: type("Cafe", (Exception,), {"__qualname__": "Caf\\udce9"})("bad"),
        "a huge text": lambda: ValueError("x" * 5_000_000),
        "a huge name": lambda: type("X" * 1_000_000, (Exception,), {})("bad"),
        "mute": Mute,
        "a mute skip": MuteSkip,
        "hostile": Hostile,
        "retry soon": lambda: Retry(after="soon"),
        "retry inf": lambda: Retry(after=float("inf")),
        "retry nan": lambda: Retry(after=float("nan")),
        "retry 1e300": lambda: Retry(after=1e300),
        "retry set later": lambda: later("soon"),
        "retry set to inf": lambda: later(float("inf")),
        "a bare retry": Bare,
        "a huge number": lambda: ValueError("look at the locals"),
    }

    @on("*", lane="plugin", retry={"attempts": 1})
    def raises(ctx):
        big, text = 10 ** 6000, "caf\\udce9"
        raise KINDS[ctx.event["meta"]["kind"]]()

    @on("*", lane="plugin")
    def well(ctx):
        pass
"""

WORDS = [
    ("half a character", Verdict.FAILED, r"caf\udce9 \ud83c \x00"),
    ("half a character in a skip", Verdict.SKIP, r"caf\udce9"),
    ("half a character in the name", Verdict.FAILED, "bad"),
    ("a huge text", Verdict.FAILED, "letters more)"),
    ("a huge name", Verdict.FAILED, "bad"),
    ("mute", Verdict.FAILED, "whose text raises"),
    ("a mute skip", Verdict.SKIP, "whose text raises"),
    ("hostile", Verdict.FAILED, ""),
    ("retry soon", Verdict.FAILED, "Retry(after='soon'): seconds, or a text such as"),
    ("retry inf", Verdict.FAILED, "Retry(after=inf): seconds, or a text such as"),
    ("retry nan", Verdict.FAILED, "Retry(after=nan): seconds, or a text such as"),
    ("retry 1e300", Verdict.FAILED, "Retry(after=1e+300): seconds, or a text such as"),
    ("retry set later", Verdict.FAILED, "after='soon': seconds, or a text such as"),
    ("retry set to inf", Verdict.FAILED, "after=inf: seconds, or a text such as"),
    ("a bare retry", Verdict.RETRY, ""),
    ("a huge number", Verdict.FAILED, "look at the locals"),
]


def storable(report: Report) -> bool:
    failure = report.failure
    assert failure is not None
    texts = (failure.kind, failure.text, failure.traceback, failure.locals)
    return all(len(one) <= 110_000 and "\0" not in one and one.encode() for one in texts if one)


def test_whatever_a_callback_raises_is_its_delivery_s_failure_and_the_worker_goes_on(stage: Stage) -> None:
    stage.start("odd", ODD)
    for kind, verdict, text in WORDS:
        run = stage.run("odd", "raises", events={0: {"meta": {"kind": kind}}})
        (report,) = stage.do(run)
        assert report.failure is not None
        assert (kind, report.verdict) == (kind, verdict)
        assert text in report.failure.text
        assert storable(report)
        if "Retry(" in text:
            assert f'"{kind}": lambda: Retry(after=' in "".join(report.failure.traceback.splitlines()[-3:])
        (fine,) = stage.do(stage.run("odd", "well"))
        assert fine.verdict is Verdict.OK


@pytest.mark.parametrize("clock", ["float('nan')", "float('inf')", "'noon'", "-1e300", "5.0", "1/0"])
def test_a_plugin_that_replaces_the_clock_is_told_with_times_of_the_present(stage: Stage, clock: str) -> None:
    stage.start(
        "clock", legacy(f"import time\ntime.time = lambda: {clock}\nif event['id'] > 1: raise ValueError('late')", stop=False)
    )
    began = time.time()
    reports = stage.do(stage.run("clock", "callback", "callback", "callback"))
    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.FAILED, Verdict.FAILED]
    assert all(began - 1 < one.started <= one.ended < time.time() + 1 for one in reports)


BATCH = """
    from callsheet import on

    class Mute:
        def __str__(self):
            raise ValueError("never")

    @on("*", batch=9, lane="plugin", retry={{"attempts": 4}})
    def many(contexts):
        {body}
"""


@pytest.mark.parametrize("after", ["'soon'", "float('nan')", "float('inf')", "-1", "True", "10 ** 5000"])
def test_a_time_that_can_not_be_meant_fails_the_call_of_a_batch_with_the_plugin_s_line(stage: Stage, after: str) -> None:
    stage.start("batched", BATCH.format(body=f"contexts[1].retry('later', after={after})"))
    reports = stage.do(stage.run("batched", *["many"] * 3))
    assert [one.verdict for one in reports] == [Verdict.FAILED] * 3
    assert reports[0].failure is not None
    assert reports[0].failure.kind == "ValueError"
    assert f"contexts[1].retry('later', after={after})" in reports[0].failure.traceback


def test_odd_reasons_in_a_batch_are_told_as_far_as_they_can_be(stage: Stage) -> None:
    body = "contexts[0].skip(5); contexts[1].skip('caf\\udce9'); contexts[2].give_up(Mute())"
    stage.start("batched", BATCH.format(body=body))
    reports = stage.do(stage.run("batched", *["many"] * 3))
    assert [one.verdict for one in reports] == [Verdict.SKIP, Verdict.SKIP, Verdict.GIVE_UP]
    texts = [one.failure and one.failure.text for one in reports]
    assert texts == ["5", r"caf\udce9", "<a reason whose text raises, of type Mute>"]


@pytest.mark.parametrize("name", ["5", "None", "''", "'a\\0b'", "'caf\\ud83c'", "'x' * 10**6", "Mute()", "['x']"])
def test_an_import_error_that_names_something_odd_is_the_plugin_s_problem(stage: Stage, name: str) -> None:
    mute = "class Mute:\n    def __str__(self): raise ValueError('never')\n"
    broken = stage.start("broken", f"{mute}raise ModuleNotFoundError('no licence', name={name})")
    assert broken.problem is not None
    assert "no licence" in broken.problem
    assert stage.start("fine", legacy("pass")).problem is None


REGISTERS = {
    "half a character in a name": ('react.__name__ = "caf\\udce9"', r"caf\udce9"),
    "a long name": ('react.__name__ = "x" * 100_000', "x" * 170),
    "no name": ('react.__name__ = ""', "function"),
}


@pytest.mark.parametrize("odd", REGISTERS)
def test_a_callback_with_an_odd_name_is_described_and_called(stage: Stage, odd: str) -> None:
    line, name = REGISTERS[odd]
    text = f"""
    def registerCallbacks(reg):
        {line}
        reg.registerCallback("script", "key", react, None, None, False)
        reg.registerCallback("script", "key", react, {{"A": None}}, None, False)

    def react(sg, logger, event, args):
        if event["id"] == 2: raise ValueError("seen")
    """
    manifest = stage.start("named", text)
    assert manifest.problem is None
    first, second = (one.key.name for one in manifest.callbacks)
    assert first.startswith(name)
    assert len(first) <= 200
    assert second == f"{first}#2"
    reports = stage.do(stage.run("named", first, first, second))
    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.FAILED, Verdict.OK]


BROKEN = {
    "half a character": ('raise RuntimeError("caf\\udce9")', r"RuntimeError: caf\udce9"),
    "a huge text": ('raise RuntimeError("x" * 5_000_000)', "letters more)"),
    "a name that raises": (
        """
        from callsheet import on

        class Odd:
            def __getattr__(self, name): raise ValueError("never " + name)
            def __call__(self, ctx): pass

        on("A")(Odd())
        """,
        "ValueError: never",
    ),
    "slots": ("from callsheet import on\n@on('A', slots=10**30)\ndef react(ctx): pass", "1000 at most"),
    "an endless timeout": ("from callsheet import on\n@on('A', timeout=float('inf'))\ndef react(ctx): pass", "it out for no limit"),
    "an endless wait": ("from callsheet import on\n@on('A', retry={'first': float('inf')})\ndef react(ctx): pass", "first is"),
    "an endless burst": ("from callsheet import on\n@on('A', settle=float('inf'))\ndef react(ctx): pass", "settle=inf"),
    "a link of no type": ("from callsheet import on\n@on('A', entity={'type': 5, 'id': 3})\ndef react(ctx): pass", "entity= takes"),
}


@pytest.mark.parametrize("odd", BROKEN)
def test_a_plugin_that_can_not_be_described_is_broken_and_says_why(stage: Stage, odd: str) -> None:
    source, told = BROKEN[odd]
    stage.write("odd", source)
    stage.executor.load(stage.file("odd", 1))
    manifest = stage.wait(Manifest, lambda one: one.plugin == key("odd"))
    assert manifest.problem is not None
    assert told in manifest.problem
    assert len(manifest.problem) < 110_000
    manifest.problem.encode()


def test_odd_log_records_and_addresses_are_taken_as_far_as_they_can_be(stage: Stage) -> None:
    with telemetry.recording("plugin.record", "plugin.emails") as recorder:
        stage.start(
            "talks",
            """
            import logging

            def registerCallbacks(reg):
                reg.setEmails("ada@studio.test", "caf\\udce9@studio.test", "bad\\nBcc: x@studio.test")
                reg.registerCallback("script", "key", callback, None, None, False)

            def callback(sg, logger, event, args):
                for change in ({"created": float("nan")}, {"created": "noon"}, {"levelno": 10**30}, {"lineno": -5}, {"name": None}):
                    record = logging.LogRecord("plugin.talks", 20, __file__, 1, "caf\\udce9 %s", (sorted(change),), None)
                    record.__dict__.update(change)
                    logger.handle(record)
                logger.warning("x" * 3_000_000)
            """,
        )
        (report,) = stage.do(stage.run("talks", "callback"))
    assert report.verdict is Verdict.OK
    records = [one.facts["record"] for one in recorder.named("plugin.record")]
    assert len(records) == 6
    assert all(isinstance(one.get("created", 1.0), float) and one.get("levelno", 20) < 1000 for one in records)
    assert len(records[-1]["message"]) < 1_100_000
    (emails,) = recorder.named("plugin.emails")
    assert emails.facts["emails"] == ["ada@studio.test", r"caf\udce9@studio.test", "bad Bcc: x@studio.test"]


def test_a_huge_log_record_is_cut_with_a_remark_and_the_worker_goes_on(stage: Stage, recorder: telemetry.Recorder) -> None:
    stage.start("large", legacy("logger.warning('x' * 60_000_000)"))

    (report,) = stage.do(stage.run("large", "callback"))

    assert report.verdict is Verdict.OK
    (record,) = (one.facts["record"] for one in recorder.named("plugin.record"))
    assert record["message"] == "x" * 1_000_000 + "... (59000000 letters more)"

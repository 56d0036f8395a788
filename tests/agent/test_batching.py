"""Deliveries that are called together: batches, bursts, and what comes of one of them apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from callsheet.domain.callback import CallbackKey
from callsheet.domain.delivery import Delivery, Report, Run, Verdict
from callsheet.wire.causality import Signature
from callsheet.workers.worker_messages import calls_of, run_message
from tests.support.events import callback
from tests.support.executor_bench import SITE, Stage, key

BATCH = """
    from callsheet import GiveUp, Retry, Skip, on

    @on("*", batch=3, lane="plugin", retry={{"attempts": 4}})
    def many(contexts):
        print("called with", [one.event["id"] for one in contexts])
        {body}
"""
BURST = """
    from callsheet import GiveUp, Skip, on

    @on("*", settle=1, retry={{"attempts": 4}})
    def last(ctx):
        print("called with", ctx.event["id"], ctx.folded)
        {body}
"""


def said(reports: Sequence[Report]) -> list[str]:
    """The verdicts, and the reasons of those that have one."""
    return [f"{one.verdict.value}: {one.failure.text}" if one.failure else one.verdict.value for one in reports]


def batch(stage: Stage, body: str, count: int = 3) -> list[Report]:
    stage.start("batched", BATCH.format(body=body))
    return stage.do(stage.run("batched", *["many"] * count))


def burst(stage: Stage, body: str, count: int = 3) -> tuple[list[Report], int]:
    """The reports, and the id of the last event."""
    stage.start("bursting", BURST.format(body=body))
    run = stage.run("bursting", *["last"] * count)
    return stage.do(run), run.deliveries[-1].event_id


def test_a_batch_is_called_with_up_to_so_many_and_each_is_reported(stage: Stage) -> None:
    reports = batch(stage, 'assert len(contexts) == 3 or contexts[0].event["id"] == 7', count=7)

    assert said(reports) == ["ok"] * 7
    assert len({one.started for one in reports}) == 3


def test_an_exception_applies_to_all_and_is_told_once(stage: Stage) -> None:
    reports = batch(stage, 'raise ValueError("no farm")', count=5)

    assert said(reports) == ["failed: no farm"] * 3
    assert [one.shares for one in reports] == [False, True, True]
    assert [bool(one.failure and one.failure.traceback) for one in reports] == [True, False, False]
    assert len({(one.started, one.ended) for one in reports}) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('contexts[1].skip("none of ours")', ["ok", "skip: none of ours", "ok"]),
        ('contexts[0].give_up("never")', ["give_up: never", "ok", "ok"]),
        # Behind one that is called again, those behind it are called again too.
        ('contexts[1].retry("later", after=5)', ["ok", "retry: later"]),
        ('contexts[1].fail("broken")', ["ok", "failed: broken"]),
        # An exception is for those of whom nothing was said.
        ('contexts[0].done(); raise ValueError("rest")', ["ok", "failed: rest", "failed: rest"]),
        ('contexts[1].done(); raise ValueError("rest")', ["failed: rest"]),
        ('raise Skip("nothing")', ["skip: nothing"] * 3),
        ('raise Retry("later", after=5)', ["retry: later"] * 3),
        ('raise GiveUp("never")', ["give_up: never"] * 3),
    ],
)
def test_one_of_a_batch_is_settled_apart(stage: Stage, body: str, expected: list[str]) -> None:
    reports = batch(stage, body)

    assert said(reports) == expected
    assert all(one.after == 5 for one in reports if one.verdict is Verdict.RETRY)


def test_settling_apart_is_for_batches(stage: Stage) -> None:
    stage.start("alone", "from callsheet import on\n@on('*')\ndef one(ctx): ctx.skip('no')")
    (report,) = stage.do(stage.run("alone", "one"))

    assert report.failure is not None
    assert report.failure.text == "ctx.skip() settles one event of a batch; in a callback of one event, raise Skip(reason)."


def test_what_is_not_wanted_takes_no_part(stage: Stage) -> None:
    stage.start(
        "choosy",
        """
        from callsheet import on

        @on("*", batch=9, lane="plugin", where=lambda event: event["id"] % 2)
        def odd(contexts):
            assert all(one.event["id"] % 2 for one in contexts), contexts

        @on("*", settle=9, where=lambda event: event["id"] % 2)
        def last(ctx):
            assert ctx.event["id"] % 2 and len(ctx.folded) == 1, (ctx, ctx.folded)
        """,
    )
    numbered = {place: {"id": number} for place, number in enumerate((101, 102, 103, 104))}

    odd = stage.do(stage.run("choosy", *["odd"] * 4, events=numbered))
    last = stage.do(stage.run("choosy", *["last"] * 4, events=numbered))

    assert said(odd) == ["ok", "skip: where= said no"] * 2
    assert said(last) == ["skip: folded into event 103", "skip: where= said no", "ok", "skip: where= said no"]


def test_one_too_deep_in_a_chain_of_writes_takes_no_part(stage: Stage) -> None:
    stage.start("batched", BATCH.format(body="assert len(contexts) == 1"))
    mark = Signature(SITE, "batched").mark().replace("ca115ee7-01", "ca115ee7-ff")

    reports = stage.do(stage.run("batched", "many", "many", events={0: {"session_uuid": mark}}))

    assert [one.verdict for one in reports] == [Verdict.GIVE_UP, Verdict.OK]
    assert reports[0].failure is not None
    assert reports[0].failure.kind == "Cascade"


def test_a_burst_is_folded_into_its_last_event(stage: Stage) -> None:
    reports, last = burst(stage, 'assert len(ctx.folded) == 2 and max(ctx.folded) < ctx.event["id"]')

    assert said(reports) == [f"skip: folded into event {last}"] * 2 + ["ok"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('raise ValueError("no farm")', ["failed: no farm"] * 3),
        ('raise GiveUp("never")', ["give_up: never"] * 3),
        ('raise Skip("nothing")', ["skip: folded into event {last}"] * 2 + ["skip: nothing"]),
    ],
)
def test_a_burst_whose_call_failed_failed_as_a_whole(stage: Stage, body: str, expected: list[str]) -> None:
    reports, last = burst(stage, body)

    assert said(reports) == [one.format(last=last) for one in expected]


@pytest.mark.parametrize("source", [BATCH, BURST])
def test_a_death_is_charged_to_all_that_were_called_and_to_no_other(stage: Stage, source: str) -> None:
    stage.start("deadly", source.format(body="import os; os._exit(3)"))
    run = stage.run("deadly", *["many" if source is BATCH else "last"] * 3)

    reports = stage.do(run)

    assert [one.verdict for one in reports] == [Verdict.CRASHED] * 3
    assert [one.shares for one in reports] == [False, True, True]


def test_a_timeout_is_that_of_the_whole_call(stage: Stage) -> None:
    stage.start("slow", BATCH.format(body="import time; time.sleep(60)").replace('lane="plugin"', 'lane="plugin", timeout=0.2'))

    reports = stage.do(stage.run("slow", *["many"] * 4))

    assert [one.verdict for one in reports] == [Verdict.TIMEOUT] * 3


def test_who_is_called_together() -> None:
    many, alone = callback("many", batch=3), callback("alone")
    plugin = many.key.plugin
    known = {one.key: one for one in (many, alone)}

    def sizes(*deliveries: tuple[str, int, int]) -> tuple[int, ...]:
        made = [
            Delivery(number, CallbackKey(plugin, name), number, "{}", attempts, crashes)
            for number, (name, attempts, crashes) in enumerate(deliveries)
        ]
        return calls_of(Run(1, plugin, "", tuple(made)), known)

    fresh = ("many", 0, 0)
    assert sizes(*[fresh] * 7) == (3, 3, 1)
    assert sizes(fresh, ("alone", 0, 0), fresh, fresh) == (1, 1, 2)
    # Those that failed together come due together, and without others.
    assert sizes(("many", 1, 0), ("many", 1, 0), fresh, fresh) == (2, 2)
    # What had a part in a worker's death runs by itself: the guilty one shows.
    assert sizes(("many", 0, 1), ("many", 0, 1), fresh, fresh) == (1, 1, 2)
    assert calls_of(Run(1, key("other"), "", ()), known) == ()


def test_events_of_one_id_from_two_logs_of_a_site_are_told_apart() -> None:
    many = CallbackKey(key("batched"), "many")
    # Each log's event for two callbacks: its text is sent once
    texts = ('{"id": 7, "log": "old"}', '{"id": 7, "log": "old"}', '{"id": 7, "log": "new"}', '{"id": 7, "log": "new"}')
    run = Run(1, key("batched"), "lane", tuple(Delivery(number, many, 7, text) for number, text in enumerate(texts)))
    sent = run_message(run, {})["deliveries"]
    assert [delivery[-1] and delivery[-1]["log"] for delivery in sent] == ["old", None, "new", None]

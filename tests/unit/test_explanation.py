"""Why an event did, or did not, run: one reason a callback, from what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callsheet.domain.callback import Callback, Links, PluginKey
from callsheet.domain.delivery import DeliveryRow, Failure, State
from callsheet.domain.event import Event
from callsheet.domain.plugin import EarlierCallbacks, PluginRecord, PluginState
from callsheet.domain.reading import ExpiredGap, Gap, SiteState
from callsheet.policy.explanation import Known, Reason, Why, explain
from callsheet.report.explain import facts, in_words, what_happened
from callsheet.wire.causality import Signature
from tests.support.events import SITE, callback, event

HERE = 100
READ = SiteState(SITE, cursor=200, clock=50.0)
NOW = 1_800_000_000.0


def plugin(*callbacks: Callback, state: PluginState = PluginState.READY, position: int | None = None, **more: Any) -> PluginRecord:
    facts = {"began_after": 0, **more}
    return PluginRecord(PluginKey(SITE, "plugin"), "/p.py", 0, state, 0.0, position, 0, 0, callbacks=callbacks, **facts)


def known(*plugins: PluginRecord, about: Event | None = None, site: SiteState = READ, **more: Any) -> Known:
    return Known(HERE, event(HERE) if about is None else about, site, plugins, **more)


def row(state: State, number: int = 1, event_id: int = HERE, **more: Any) -> DeliveryRow:
    given = {"attempts": 1, "recorded_at": NOW - 60, "started_at": NOW - 50, "finished_at": NOW - 48, "due": None, **more}
    return DeliveryRow(number, SITE, "plugin", "react", event_id, "Shotgun_Task_Change", "Task:14", state, **given)


def only(what: Known) -> Reason:
    (reason,) = explain(what)
    return reason


def said(what: Known) -> str:
    return in_words(only(what), what, "c.toml", NOW)


NOT_ASKED = {
    "its type": (callback("react", "Shotgun_Shot_New"), "event type Shotgun_Shot_New, this is Shotgun_Task_Change"),
    "the attribute": (callback("react", attributes=("due_date",)), "attribute due_date, this is sg_status_list"),
    "the project": (callback(only={"project": Links(names=frozenset({"Moth"}))}), "project Moth, this is Demo"),
    "the user": (callback(only={"user": Links(ids=frozenset({7}))}), "user 7, this is Artist"),
    "the entity": (callback(only={"entity": Links(types=frozenset({"Shot"}))}), "entity Shot, this is Task:14"),
}


@pytest.mark.parametrize("case", NOT_ASKED)
def test_the_part_of_the_filter_that_says_no_is_named_with_what_the_event_has(case: str) -> None:
    asking, text = NOT_ASKED[case]
    what = known(plugin(asking))
    assert only(what).why is Why.NOT_ASKED
    assert said(what) == f"not asked for: asks for {text}."


def test_its_own_write_is_told_from_what_others_wrote() -> None:
    mark = Signature(SITE, "plugin").mark()
    own = event(HERE, session_uuid=mark, user={"type": "ApiUser", "id": 1, "name": "daemon 1.0"})
    assert only(known(plugin(callback(ignore_own=True, script="daemon")), about=own)).why is Why.OWN
    assert only(known(plugin(callback(ignore_own=False, script="daemon")), about=own)).why is Why.UNKNOWN


def test_what_its_script_wrote_is_left_out_where_it_says_so() -> None:
    by_script = event(HERE, user={"type": "ApiUser", "id": 1, "name": "daemon 1.0"})
    assert only(known(plugin(callback(ignore_own="script", script="daemon")), about=by_script)).why is Why.OWN_SCRIPT


STANDS = {
    "broken": (
        plugin(callback(), state=PluginState.BROKEN, position=90, problem="ValueError: no"),
        Why.BROKEN,
        "stands at event 90",
    ),
    "never described": (plugin(state=PluginState.BROKEN, position=90, problem="ValueError: no"), Why.BROKEN, "ValueError: no"),
    "loading": (plugin(callback(), state=PluginState.LOADING, position=90), Why.LOADING, "is loading"),
    "gone": (plugin(callback(), state=PluginState.GONE, position=90), Why.GONE, "its file is away"),
    "full": (plugin(callback(), position=90), Why.BEHIND, "gets this one when it goes on"),
    "new": (plugin(callback(), began_after=150), Why.BEGAN_LATER, "began behind it, after event 150"),
}


@pytest.mark.parametrize("case", STANDS)
def test_a_plugin_that_has_not_come_to_it_says_where_it_stands(case: str) -> None:
    record, why, text = STANDS[case]
    what = known(record)
    assert only(what).why is why
    assert text in said(what)


SITES = {
    "not read": (SiteState(SITE, cursor=99), Why.NOT_READ, "read up to event 99"),
    "missing": (SiteState(SITE, cursor=200, clock=50.0, gaps=(Gap(99, 101, 262.0),)), Why.MISSING, "waited for 3 min 32 s more"),
    "expired": (SiteState(SITE, cursor=200, expired=(ExpiredGap(100, 100, NOW),)), Why.EXPIRED, "did not show while"),
    "pruned": (SiteState(SITE, cursor=200, pruned_to=150), Why.PRUNED, "up to event 150 was pruned"),
    "nothing known": (READ, Why.UNKNOWN, "replay c.toml 100 --plugin plugin"),
}


@pytest.mark.parametrize("case", SITES)
def test_one_that_wants_it_and_has_no_delivery_says_what_became_of_the_event(case: str) -> None:
    site, why, text = SITES[case]
    what = known(plugin(callback()), site=site)
    assert only(what).why is why
    assert text in said(what)


@pytest.mark.parametrize("case", [one for one in SITES if one not in {"pruned", "nothing known"}])
def test_an_event_that_nobody_has_says_so_once(case: str) -> None:
    site, why, text = SITES[case]
    what = Known(HERE, None, site, (plugin(callback()), plugin(callback())), asked_site=True)
    assert only(what).why is why
    assert text in said(what)


def test_an_event_that_the_site_does_not_show_is_told_from_one_that_nobody_asked_for() -> None:
    what = Known(HERE, None, READ, (plugin(callback()),), asked_site=True)
    assert only(what).why is Why.NOT_SHOWN
    assert only(replace(what, asked_site=False)).why is Why.UNKNOWN
    assert only(replace(what, site=SiteState(SITE))).why is Why.NEVER_READ


def test_a_filter_that_was_another_then_is_named() -> None:
    before = EarlierCallbacks(150, NOW - 3600, (callback("react", attributes=("due_date",)),))
    what = known(plugin(callback("react"), earlier=(before,)))
    assert only(what).why is Why.FILTER_CHANGED
    assert "it asked for attribute due_date then" in said(what)
    # One that asked for it then, and does not now, is not told what it asks for now.
    was_asked = EarlierCallbacks(150, NOW, (callback("react"),))
    assert only(known(plugin(callback("react", "Shotgun_Shot_New"), earlier=(was_asked,)))).why is Why.UNKNOWN
    # Before that change, another one held.
    older = EarlierCallbacks(50, NOW, (callback("react", "Shotgun_Shot_New"),))
    assert only(known(plugin(callback("react"), earlier=(older,)))).why is Why.UNKNOWN


DELIVERED = {
    State.DONE: "done at attempt 1, took 2 s",
    State.RUNNING: "running now, in its lane Task:14",
    State.HELD: "held: ValueError: no.",
    State.DEAD: "dead after 1 attempt: ValueError: no.",
    State.SKIPPED: "skipped: ValueError: no.",
    State.WAITING: "waiting for 1 min for its turn",
    State.RETRYING: "tried again in 5 s, after 1 failed attempt. ValueError: no.",
}


@pytest.mark.parametrize("state", DELIVERED)
def test_a_delivery_says_how_it_is(state: State) -> None:
    failure = None if state in {State.DONE, State.RUNNING, State.WAITING} else Failure("ValueError", "no\nmore")
    what = known(plugin(callback()), rows=[row(state, failure=failure, due=NOW + 5 if state is State.RETRYING else None)])
    assert only(what).why is Why(state.word)
    assert DELIVERED[state] in said(what)


def test_a_delivery_that_waits_names_the_one_that_its_lane_stands_at() -> None:
    first = row(State.HELD, number=7, event_id=90, failure=Failure("ValueError", "no"))
    what = known(plugin(callback()), rows=[row(State.WAITING)], ahead={1: first})
    assert "behind delivery 7 of event 90 in its lane Task:14, which is held (ValueError: no)" in said(what)
    held = replace(READ, holds={"plugin": frozenset({None})})
    assert "since an operator holds the plugin" in said(replace(what, site=held))


def test_a_delivery_of_a_callback_that_is_gone_is_told_too() -> None:
    what = known(plugin(callback("other", "Shotgun_Shot_New")), rows=[row(State.DONE)])
    assert [one.why for one in explain(what)] == [Why.DONE, Why.NOT_ASKED]


def test_the_same_as_json_names_filter_and_delivery() -> None:
    what = known(plugin(callback("react", attributes=("due_date",))))
    told = facts(only(what), what, "c.toml", NOW)
    assert told["why"] == "not asked for"
    assert told["filter"] == {"part": "attribute", "asked": "due_date", "found": "sg_status_list"}


def test_what_happened_is_one_line() -> None:
    meta = {"old_value": "ip", "new_value": "fin"}
    assert what_happened(event(HERE, meta=meta)) == (
        'Shotgun_Task_Change, Task Anim (id 14), sg_status_list: "ip" -> "fin", by Artist, in Demo, at 2026-11-22T03:40:10Z'
    )


@pytest.mark.parametrize("created_at", ["no time", "2026-13-45T00:00:00Z", None])
def test_a_delivery_of_an_event_whose_time_can_not_be_read_is_told_without_its_lag(created_at: str | None) -> None:
    what = known(plugin(callback()), about=event(HERE, created_at=created_at), rows=[row(State.DONE)])
    assert said(what) == "done at attempt 1, took 2 s."

"""``explain`` on a real daemon: its plugins got an event, or did not, each for another reason."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from callsheet.domain.delivery import State
from callsheet.domain.plugin import PluginState
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import legacy, noting

RETRY = "from callsheet import Retry\nraise Retry('later', after=600)"
SKIP = "from callsheet import Skip\nraise Skip('not mine')"

PLUGINS = {
    "a_done": (legacy(), "done"),
    "broken": ("raise ValueError('no licence')", "broken"),
    "changed": (noting(types=("Shotgun_Shot_New",)), "filter changed"),
    "dead": (noting("raise ValueError('no licence')", "lane='plugin', retry=1"), "dead"),
    "gone": (noting(), "gone"),
    "held": (legacy("raise ValueError('no licence')"), "held"),
    "not_the_attribute": (noting(options="attribute='due_date'"), "not asked for"),
    "not_the_entity": (noting(options="entity='Shot'"), "not asked for"),
    "not_the_project": (noting(options="project='Nowhere'"), "not asked for"),
    "not_the_type": (noting(types=("Shotgun_Shot_New",)), "not asked for"),
    "not_the_user": (noting(options="user='Nobody'"), "not asked for"),
    "not_where": (noting(options="where=lambda event: False"), "skipped"),
    "on_hold": (noting(), "waiting"),
    "retrying": (noting(RETRY, "lane='plugin'"), "retrying"),
    "running": (noting("wait_for('over')"), "running"),
    "skipped": (noting(SKIP), "skipped"),
}
"""Name → source, and why the event ran in it or not."""

SAYS = {
    "a_done": "done at attempt 1, took",
    "broken": "is broken: ValueError: no licence",
    "changed": "it asked for event type Shotgun_Shot_New then",
    "dead": "dead after 1 attempt: ValueError: no licence",
    "gone": "its file is away",
    "held": "Its lane stands still until the plugin's file changes",
    "late": "the plugin began behind it",
    "not_the_attribute": "asks for attribute due_date, this is sg_status_list",
    "not_the_entity": "asks for entity Shot, this is Task:",
    "not_the_project": "asks for project Nowhere, this is",
    "not_the_type": "asks for event type Shotgun_Shot_New, this is Shotgun_Task_Change",
    "not_the_user": "asks for user Nobody, this is",
    "not_where": "where= said no",
    "on_hold": "since an operator holds the plugin",
    "retrying": "tried again in",
    "running": "running now",
    "skipped": "not mine",
}


def reasons(studio: Studio, event_id: int, *options: str) -> dict[str, dict[str, Any]]:
    """What ``explain --json`` says, by plugin."""
    (told,) = json.loads(studio.command("explain", str(event_id), "--json", *options).stdout)
    return {one["plugin"]: one for one in told["reasons"]}


def all_came_out(studio: Studio, event_id: int) -> bool:
    settled = {row.plugin for row in studio.deliveries(event_id=event_id) if row.state is not State.WAITING}
    return {"a_done", "dead", "held", "not_where", "retrying", "running", "skipped"} <= settled


def begin(studio: Studio, daemon: RunningDaemon) -> int:
    """Let all plugins of PLUGINS meet an event, and one more come, one change and one go; the event's id."""
    daemon.until(lambda: (broken := studio.plugin("broken")) is not None and broken.state is PluginState.BROKEN)
    assert studio.command("hold", "on_hold").returncode == 0
    (studio.plugins / "gone.py").unlink()
    daemon.until(lambda: (gone := studio.plugin("gone")) is not None and gone.state is PluginState.GONE)
    event_id = studio.sandbox.add_events(1)[0]
    daemon.until(partial(all_came_out, studio, event_id))
    studio.write("late", noting())
    studio.write("changed", noting())
    daemon.until(lambda: all((one := studio.plugin(name)) is not None and bool(one.callbacks) for name in ("late", "changed")))
    daemon.until(lambda: (one := studio.plugin("changed")) is not None and bool(one.earlier))
    return event_id


def test_each_callback_says_why_it_got_the_event_or_not(studio: Studio) -> None:
    # Given a daemon with a plugin for each reason
    for name, (source, _) in PLUGINS.items():
        studio.write(name, source)
    with studio.started() as daemon:
        event_id = begin(studio, daemon)

        # Then each says its own
        found = reasons(studio, event_id)
        assert {name: one["why"] for name, one in found.items()} == {name: why for name, (_, why) in PLUGINS.items()} | {
            "late": "began later"
        }
        assert {name: found[name]["text"] for name, text in SAYS.items() if text not in found[name]["text"]} == {}

        # And of the next event, that it waits behind this one
        behind = studio.sandbox.add_events(1)[0]
        daemon.until(lambda: bool(studio.deliveries(event_id=behind, plugin="held")))
        held = reasons(studio, behind)["held"]
        assert held["behind_delivery_id"] == found["held"]["delivery_id"]
        assert f"behind delivery {held['behind_delivery_id']} of event {event_id}" in held["text"]

        # And in words the event itself is told, and one plugin alone
        told = studio.command("explain", str(event_id), "--plugin", "dead").stdout.splitlines()
        assert told[0].startswith(f"event {event_id} of site studio: Shotgun_Task_Change, Task ")
        assert [line for line in told[2:] if line.startswith(("a_done", "held"))] == []
        studio.trace.raise_flag("over")


def test_an_event_that_nobody_has_says_why(studio: Studio) -> None:
    # Given a hole in the ids, and plugins that want nothing
    studio.write("picky", noting(types=("Shotgun_Shot_New",)))
    with studio.started() as daemon:
        before = studio.sandbox.add_events(1)[0]
        studio.sandbox.skip_event_id()
        last = studio.sandbox.add_events(1)[0]
        daemon.until(lambda: studio.site().cursor == last)

        # Then the event that nobody wanted is read from the site, and the others are not there, each for its reason
        assert reasons(studio, before)["picky"]["why"] == "not asked for"
        assert [(one["plugin"], one["why"]) for one in reasons(studio, last - 1).values()] == [(None, "missing")]
        assert [(one["plugin"], one["why"]) for one in reasons(studio, last + 9).values()] == [(None, "not read yet")]
        assert [one["why"] for one in reasons(studio, before, "--offline").values()] == ["unknown"]


def test_its_own_write_is_named(studio: Studio) -> None:
    # Given a plugin that answers a change by another one
    writes = "if event['attribute_name'] == 'sg_status_list': ctx.sg.update('Task', ctx.event['entity']['id'], {'content': 'new'})"
    studio.write("writer", noting(writes))
    with studio.started() as daemon:
        event_id = studio.sandbox.add_events(1)[0]
        daemon.until(lambda: event_id in studio.trace.events("writer"))
        daemon.until(lambda: (studio.site().cursor or 0) > event_id)

        assert reasons(studio, event_id + 1)["writer"]["why"] == "own write"


def test_what_caused_an_event_and_what_it_caused_is_named(studio: Studio) -> None:
    # Given a plugin whose write another one answers
    studio.write("writer", noting("ctx.sg.update('Task', event['entity']['id'], {'content': 'new'})", "attribute='sg_status_list'"))
    studio.write("reader", noting(options="attribute='content'"))
    with studio.started() as daemon:
        event_id = studio.sandbox.add_events(1)[0]
        daemon.until(lambda: event_id + 1 in studio.trace.events("reader"))
        daemon.until(lambda: studio.states() == {"done": 2})

        # Then each names the other
        (told,) = json.loads(studio.command("explain", str(event_id + 1), "--json").stdout)
        writer = reasons(studio, event_id)["writer"]
        assert told["caused_by_delivery_id"] == writer["delivery_id"]
        assert writer["caused_event_ids"] == [event_id + 1]
        assert f"It caused event {event_id + 1}." in writer["text"]
        assert (
            f"caused by writer.noted, in delivery {writer['delivery_id']} of event {event_id}"
            in studio.command("explain", str(event_id + 1)).stdout
        )
        assert reasons(studio, event_id + 1)["reader"]["caused_event_ids"] == []

"""Plugins that write: what comes of it is not for themselves, and a game between two of them comes to its end."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.agent.loop_guard import LONGEST
from callsheet.domain.delivery import State
from tests.support.studio import Studio
from tests.support.traces import noting

CASCADE = 4


def answer(reads: str, writes: str) -> str:
    """A plugin that answers a change of one field by a change of another, never twice with the same value."""
    body = f'ctx.sg.update("Task", event["entity"]["id"], {{"{writes}": "answer to %d" % event["id"]}})'
    return noting(body, f'attribute="{reads}"')


class Person:
    """Somebody who changes a task, as another script than the daemon's."""

    def __init__(self, studio: Studio) -> None:
        studio.sandbox.add_script("person", "person-key")
        self._sg = studio.sandbox.connect("person", "person-key")
        self._task = self._sg.find_one("Task", [])["id"]

    def writes(self, **fields: Any) -> int:
        """Change the task; returns the id of the event that this makes."""
        self._sg.update("Task", self._task, fields)
        order = [{"field_name": "id", "direction": "desc"}]
        asked = [["user.ApiUser.firstname", "is", "person"]]
        return int(self._sg.find_one("EventLogEntry", asked, order=order)["id"])


@pytest.fixture
def person(studio: Studio) -> Person:
    return Person(studio)


def test_two_plugins_that_answer_each_other_are_stopped_and_told_and_others_go_on(studio: Studio, person: Person) -> None:
    # Given two plugins with the same script user that answer each other's writes, and one that looks on
    with studio.config.open("a") as file:
        file.write(f"[crew]\ncascade = {CASCADE}\n")
    studio.write("ping", answer("content", "sg_description"))
    studio.write("pong", answer("sg_description", "content"))
    studio.write("other", noting(options="ignore_own=False"))
    with studio.started() as daemon:
        # When somebody begins
        person.writes(content="begun")

        # Then it ends at the depth that is allowed, and the delivery of the event behind that is dead
        (dead,) = daemon.until(lambda: studio.deliveries(State.DEAD))
        assert len(studio.trace.calls("ping") + studio.trace.calls("pong")) == CASCADE + 1
        first, second = ("pong", "ping") if dead.plugin == "ping" else ("ping", "pong")
        why = f"plugins that answer each other's writes: {first}, then {second}; {CASCADE + 1} of"
        assert dead.failure is not None
        assert (dead.failure.kind, dead.failure.text[: len(why)]) == ("Cascade", why)
        assert daemon.said(f"Event {dead.event_id}: failed (Cascade: {why}")

        # And the lane goes on: what comes later comes to all, and others saw every event of it
        person.writes(content="begun again")
        daemon.until(lambda: len(studio.deliveries(State.DEAD)) == 2)
        last = studio.deliveries(State.DEAD)[-1].event_id
        daemon.until(lambda: studio.trace.events("other")[-1:] == [last])
        assert len(studio.trace.events("other")) == 2 * (CASCADE + 2)
        assert len(studio.trace.calls("ping") + studio.trace.calls("pong")) == 2 * (CASCADE + 1)


def test_a_plugin_is_not_called_for_what_it_wrote_itself_unless_it_asks(studio: Studio, person: Person) -> None:
    # Given a plugin that writes the very field that it listens to, the same that asks for its own, and one that looks on
    body = """
        if event["meta"]["new_value"] == "begun":
            ctx.sg.update("Task", event["entity"]["id"], {"content": "answered by " + __name__})
    """
    studio.write("echo", noting(body, 'attribute="content"'))
    studio.write("curious", noting(body, 'attribute="content", ignore_own=False'))
    studio.write("looker", noting("", 'attribute="content"'))
    with studio.started() as daemon:
        # When somebody changes it, both answer, and then somebody changes it again
        first = person.writes(content="begun")
        daemon.until(lambda: len(studio.trace.events("looker")) == 3)
        last = person.writes(content="begun no more")
        daemon.until(lambda: all(studio.trace.events(plugin)[-1:] == [last] for plugin in ("echo", "curious", "looker")))

    # Then all got what the other one wrote, with the same script, and its own only the one that asks
    written = studio.trace.events("looker")[1:-1]
    assert studio.trace.events("looker") == studio.trace.events("curious") == [first, *written, last]
    (other,) = studio.trace.events("echo")[1:-1]
    assert other in written
    # And no delivery was made of the rest
    assert len(studio.deliveries(plugin="echo")) == 3


def test_what_somebody_changes_with_the_daemons_key_is_delivered(studio: Studio, person: Person) -> None:
    # Given a plugin that writes what it listens to, one that wants nothing of its script user, and one that looks on
    body = 'if event["meta"]["new_value"] == "by hand":\n    ctx.sg.update("Task", event["entity"]["id"], {"content": "answered"})'
    studio.write("plain", noting(body, 'attribute="content"'))
    studio.write("strict", noting("", 'attribute="content", ignore_own="script"'))
    studio.write("looker", noting("", 'attribute="content", ignore_own=False'))
    by_hand = studio.sandbox.connect()
    task = by_hand.find_one("Task", [])["id"]
    with studio.started() as daemon:
        # When somebody changes it by hand, in a shell, with the daemon's script and key, and another one afterwards
        by_hand.update("Task", task, {"content": "by hand"})
        daemon.until(lambda: len(studio.trace.events("looker")) == 2)
        last = person.writes(content="by another")
        daemon.until(lambda: all(studio.trace.events(plugin)[-1:] == [last] for plugin in ("plain", "strict", "looker")))

        # Then the plugin was called for it, and not for its own answer, which is said and counted
        first, answer, _ = studio.trace.events("looker")
        assert studio.trace.events("plain") == [first, last]
        assert studio.trace.events("strict") == [answer, last]
        assert {one["plugin"]: one["own"] for one in studio.status()["plugins"]} == {"looker": 0, "plain": 1, "strict": 1}
        assert daemon.log.count("Not called for what it wrote itself") == 2


def test_a_loop_of_writes_without_a_mark_is_stopped_and_told_once(studio: Studio) -> None:
    # Given a plugin that answers each change by one of its own, over a connection that it has made for itself
    sandbox = studio.sandbox
    connection = f"shotgun_api3.Shotgun({sandbox.url!r}, {sandbox.script!r}, {sandbox.key!r})"
    body = f'import shotgun_api3\n{connection}.update("Task", event["entity"]["id"], {{"content": "answer to %d" % event["id"]}})'
    studio.write("loops", noting(body, 'attribute="content"'))
    sg = sandbox.connect()
    task = sg.find_one("Task", [])["id"]
    with studio.started() as daemon:
        # When somebody begins
        sg.update("Task", task, {"content": "begun"})
        # Then it ends, with one delivery that is dead, and says what to do
        (dead,) = daemon.until(lambda: studio.deliveries(State.DEAD))
        assert len(studio.trace.calls("loops")) == LONGEST
        assert dead.failure is not None
        assert dead.failure.kind == "Cascade"
        assert dead.failure.text.startswith(f"loops seems to answer its own writes: it was called {LONGEST} times in a row")
        (trouble,) = [one for one in studio.status()["trouble"] if "loops" in one["what"]]
        assert "seems to answer its own writes" in trouble["what"]
        # And what is changed elsewhere is delivered
        other = sg.find("Task", [["id", "is_not", task]], limit=1)[0]["id"]
        sg.update("Task", other, {"content": "another"})
        daemon.until(lambda: len(studio.trace.calls("loops")) == LONGEST + 1)

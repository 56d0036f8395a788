"""Callbacks that fail since the site does not answer them: it is no fault of theirs, and costs them nothing."""

from __future__ import annotations

import pytest

from callsheet.domain.delivery import State
from tests.support.studio import Studio
from tests.support.traces import legacy, noting

WRITE = """
note("tried", event)
{sg}.update("Task", event["entity"]["id"], {{"sg_description": "event %d" % event["id"]}})
"""
ONCE = "retry={'attempts': 1, 'first': 0.02}"
KINDS = {
    "new": noting(WRITE.format(sg="ctx.sg"), f"lane='plugin', attribute='sg_status_list', {ONCE}"),
    "legacy": legacy(WRITE.format(sg="sg")),
    "lenient": legacy(WRITE.format(sg="sg"), stop=False),
}


@pytest.fixture
def monitor(studio: Studio) -> Studio:
    """A studio with a plugin of each kind and one attempt, whose site takes reads and no writes."""
    studio.sandbox.add_script("script", "key")
    with studio.config.open("a") as file:
        file.write("[retry]\nfirst = 0.05\n")
    for name, text in KINDS.items():
        studio.write(name, text)
    studio.sandbox.faults.status(503, method="update")
    return studio


def test_no_callback_is_held_or_dead_for_it_and_all_is_done_once_the_site_answers(monitor: Studio) -> None:
    studio = monitor
    with studio.started() as daemon:
        # Given callbacks with one attempt that have failed several times, since the site did not answer
        events = list(studio.sandbox.add_events(3))
        daemon.until(lambda: all(studio.trace.events(name, word="tried").count(events[0]) >= 3 for name in KINDS))
        daemon.until(lambda: len(studio.deliveries(State.RETRYING)) == len(KINDS))
        for one in studio.deliveries(State.RETRYING):
            assert (one.event_id, one.attempts) == (events[0], 0)
            assert one.failure is not None
            assert one.failure.kind == "xmlrpc.client.ProtocolError"
        # And it is said as what it is
        assert daemon.said(f"Event {events[0]}: the site does not answer (xmlrpc.client.ProtocolError")
        assert not daemon.said("An error occured processing an event")
        # And nothing behind it was tried
        assert all(studio.trace.events(name, word="tried")[-1] == events[0] for name in KINDS)

        # When the site answers again
        studio.sandbox.faults.clear()

        # Then all is done, in order
        daemon.until(lambda: all(studio.trace.events(name) == events for name in KINDS))
        daemon.until(lambda: studio.states() == {"done": len(KINDS) * len(events)})


def test_what_is_no_fault_of_the_site_fails_as_ever(studio: Studio) -> None:
    body = 'import socket; socket.create_connection(("127.0.0.1", 9), timeout=5)'
    studio.write("farm", noting(body, ONCE))
    studio.write("refused", noting('ctx.sg.update("Task", event["entity"]["id"], {"no_such_field": 1})', ONCE))
    with studio.started() as daemon:
        studio.sandbox.add_event("Shotgun_Task_Change", entity=studio.sandbox.connect().find_one("Task", []))

        daemon.until(lambda: studio.states().get("dead") == 2)

    assert {one.plugin: one.failure.kind for one in studio.deliveries(State.DEAD) if one.failure} == {
        "farm": "ConnectionRefusedError",
        "refused": "shotgun_api3.shotgun.Fault",
    }

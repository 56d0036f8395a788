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
def outage(studio: Studio) -> Studio:
    """A studio with a plugin of each kind and one attempt, whose site takes reads and no writes."""
    studio.sandbox.add_script("script", "key")
    with studio.config.open("a") as file:
        file.write("[retry]\nfirst = 0.05\n")
    for name, text in KINDS.items():
        studio.write(name, text)
    studio.sandbox.faults.status(503, method="update")
    return studio


def test_no_callback_is_held_or_dead_for_it_and_all_is_done_once_the_site_answers(outage: Studio) -> None:
    studio = outage
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


UNANSWERED = "The site does not answer the calls of plugin "
EVERYWHERE = {
    "refused": {"message": "Can't authenticate script 'script'", "code": 102},
    "moved": {"message": "This site is being moved."},
}
"""Faults that say nothing of an outage by themselves; but the reading has them as well."""


@pytest.fixture
def waiting(studio: Studio) -> Studio:
    """A studio in which callbacks of each kind wait to be let into a call, and whose reading asks seldom."""
    studio.sandbox.add_script("script", "key")
    studio.drain()
    studio.configure(poll=60)
    with studio.config.open("a") as file:
        file.write("[retry]\nfirst = 0.05\n")
    held = "note('began', event)\nwait_for('go')\n"
    studio.write("new", noting(held + WRITE.format(sg="ctx.sg"), f"lane='plugin', attribute='sg_status_list', {ONCE}"))
    studio.write("legacy", legacy(held + WRITE.format(sg="sg")))
    studio.write("lenient", legacy(held + WRITE.format(sg="sg"), stop=False))
    return studio


@pytest.mark.parametrize("fault", EVERYWHERE)
def test_what_the_reading_suffers_as_well_is_no_fault_of_a_callback(waiting: Studio, fault: str) -> None:
    studio = waiting
    # Given callbacks that have not used their connections yet
    events = list(studio.sandbox.add_events(2))
    with studio.start() as daemon:
        daemon.until(lambda: all(studio.trace.events(name, word="began") for name in KINDS))

        # When nobody is let in any more, and the reading would not find out for a minute
        studio.sandbox.faults.refuse(**EVERYWHERE[fault])  # type: ignore[arg-type] # as the table says
        studio.trace.raise_flag("go")

        # Then it is asked, and has the same trouble
        daemon.until(lambda: all(studio.trace.events(name, word="tried").count(events[0]) >= 2 for name in KINDS))
        daemon.until(lambda: {one.attempts for one in studio.deliveries(State.RETRYING)} == {0})
        daemon.until(lambda: not studio.status()["well"])
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.states() == {"done": len(KINDS) * len(events)})
        assert all(studio.trace.events(name) == events for name in KINDS)
        daemon.until(lambda: studio.status()["well"])


def test_a_plugins_own_wrong_key_is_its_own_failure(waiting: Studio) -> None:
    studio = waiting
    studio.write("legacy", legacy(WRITE.format(sg="sg")).replace("'key'", "'wrong'"))
    studio.trace.raise_flag("go")
    studio.sandbox.add_events(1)
    with studio.start() as daemon:
        daemon.until(lambda: studio.states() == {"done": 2, "held": 1})
        assert daemon.said("Can't authenticate script 'script'")
        (held,) = studio.deliveries(State.HELD)
        assert (held.plugin, held.attempts) == ("legacy", 1)
        assert held.failure is not None
        assert held.failure.kind == "shotgun_api3.shotgun.AuthenticationFault"


def test_a_call_that_hangs_past_its_deadline_does_so_with_the_site(waiting: Studio) -> None:
    studio = waiting
    studio.configure(poll=60, timeout=1, retry_sleep=0.2)
    body = "note('began', event)\nwait_for('go')\n" + WRITE.format(sg="ctx.sg")
    studio.write("new", noting(body, f"{ONCE}, timeout=0.5"))
    for name in ("legacy", "lenient"):
        (studio.plugins / f"{name}.py").unlink()
    studio.sandbox.add_events(1)
    with studio.start() as daemon:
        daemon.until(lambda: studio.trace.events("new", word="began"))
        studio.sandbox.faults.hang()
        studio.trace.raise_flag("go")
        daemon.until(lambda: len(studio.trace.events("new", word="tried")) >= 2)
        assert [one.attempts for one in studio.deliveries()] == [0]
        assert daemon.said("the site does not answer (Timeout")
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.states() == {"done": 1})


def test_status_says_whose_calls_the_site_does_not_answer(outage: Studio) -> None:
    studio = outage
    with studio.started() as daemon:
        studio.sandbox.add_events(1)
        daemon.until(lambda: len([one for one in studio.status()["trouble"] if one["what"].startswith(UNANSWERED)]) == len(KINDS))
        assert all("503" in one["what"] for one in studio.status()["trouble"])
        studio.sandbox.faults.clear()
        daemon.until(lambda: studio.status()["well"])


def test_a_drain_does_not_wait_for_a_site_that_does_not_answer_callbacks(outage: Studio) -> None:
    studio = outage
    studio.configure(retries=3)
    with studio.config.open("a") as file:
        file.write("[retry]\nfirst = 0.05\n")
    studio.drain()
    events = list(studio.sandbox.add_events(3))

    log = studio.drain(code=1)

    assert "a site does not answer what plugins ask, and a drain does not wait for it" in log
    assert UNANSWERED in log
    studio.sandbox.faults.clear()
    studio.drain()
    assert all(studio.trace.events(name) == events for name in KINDS)


VALIDATED = """
import shotgun_api3

def registerCallbacks(reg):
    sg = shotgun_api3.Shotgun({url!r}, "validated", {key!r})
    try:
        sg.find_one("Project", [])
    except Exception as error:
        reg.logger.warning(error)
        return
    reg.registerCallback("validated", {key!r}, first, {{"Shotgun_Task_Change": "sg_status_list"}}, None)

def first(sg, logger, event, args):
    note("done", event)
"""


@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_plugin_that_met_an_outage_while_it_was_loaded_loses_nothing(studio: Studio, loaded_before: bool) -> None:
    sandbox = studio.sandbox
    text = VALIDATED.format(url=sandbox.url, key=sandbox.add_script("validated", "key-of-validated"))
    studio.write("bystander", noting())
    if loaded_before:
        studio.write("validated", text)
    with studio.started() as daemon:
        before = list(sandbox.add_events(2)) if loaded_before else []
        daemon.until(lambda: studio.trace.events("validated") == before)
        # When a plugin is loaded, or loaded anew, that checks its site first, which does not answer it
        sandbox.faults.status(503, method="read", script="validated")
        studio.write("validated", f"{text}\n# another text: the same one with a new time may be a share's rounding of it\n")
        daemon.until(lambda: daemon.said("The site failed while the plugin at "))
        events = list(sandbox.add_events(3))
        daemon.until(lambda: studio.trace.events("bystander")[-3:] == events)

        # Then that is a trouble, which says when it is loaded again
        (trouble,) = daemon.until(lambda: [one for one in studio.status()["trouble"] if "again in" in one["what"]])
        assert trouble["what"].startswith("The site failed while plugin validated loaded: read: ProtocolError: <ProtocolError for")
        assert daemon.log.count("The site failed while the plugin at ") == 1

        # And once the site answers it, it gets all that it missed, and all is well
        sandbox.faults.clear()
        daemon.until(lambda: studio.trace.events("validated") == [*before, *events])
        daemon.until(lambda: not studio.status()["trouble"])


def test_a_drain_waits_for_a_plugin_that_met_an_outage(studio: Studio) -> None:
    sandbox = studio.sandbox
    studio.write("validated", VALIDATED.format(url=sandbox.url, key=sandbox.add_script("validated", "key-of-validated")))
    studio.drain()
    events = list(sandbox.add_events(3))
    sandbox.faults.status(503, method="read", script="validated", count=2)

    studio.drain()

    assert studio.trace.events("validated") == events

"""The id file of an old install: ``callsheet run shotgunEventDaemon.conf --drain`` goes on where it stands, once."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install
from tests.support.reference import needs_reference

both = pytest.mark.parametrize("daemon", BOTH)


def drained(install: Install, daemon: Daemon = Daemon.CALLSHEET) -> None:
    """Drain twice: all that is due comes with the first, and nothing with the second."""
    assert install.drain(daemon).code == 0
    noted = install.traced()
    assert install.drain(daemon).code == 0
    assert install.traced() == noted


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_pickle_of_any_protocol_is_gone_on_from(protocol: int, site: Sandbox, tmp_path: Path) -> None:
    # Given
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    site.add_events(3)
    install.place(protocol=protocol)
    due = list(site.add_events(5))
    before = install.id_file.read_bytes()
    # When
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then
    assert install.seen("a") == due
    assert install.id_file.read_bytes() == before  # the way back stays open


@both
def test_an_old_integer_is_gone_on_from(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.plugin("b", install.tracing())
    install.id_file.write_text(f"{site.add_event('Shotgun_Task_Change')}\n")
    due = list(site.add_events(5))
    drained(install, daemon)
    assert install.seen("a") == install.seen("b") == due


def test_an_empty_file_is_reported_and_fatal_to_nothing(site: Sandbox, tmp_path: Path) -> None:
    # Given what a killed daemon left, and a past that nobody can tell any more
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.id_file.write_bytes(b"")
    site.add_events(3)
    # When
    ended = install.drain(Daemon.CALLSHEET)
    # Then it says so, and begins at the newest event
    assert ended.code == 0
    assert f"id file {install.id_file} is empty" in ended.output
    assert install.traced() == []
    due = list(site.add_events(2))
    drained(install)
    assert install.seen("a") == due


@both
def test_no_file_begins_at_the_newest_event(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    newest = site.add_events(3)[-1]
    assert install.drain(daemon).code == 0
    assert f"Last event id ({newest}) from the SG database." in install.log()
    due = list(site.add_events(2))
    drained(install, daemon)
    assert install.seen("a") == due


@both
def test_plugins_at_three_ids_each_go_on_from_their_own(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given three plugins apart from each other by more than is fetched at a time
    install = Install(tmp_path, site, options={"daemon": {"max_event_batch_size": "4"}})
    events = list(site.add_events(30))
    places = {"a": events[0], "b": events[11], "c": events[28]}
    for name in places:
        install.plugin(name, install.tracing())
    install.place({name: (place, {}) for name, place in places.items()})
    # When, then
    drained(install, daemon)
    for name, place in places.items():
        assert install.seen(name) == list(range(place + 1, events[-1] + 1)), name


@both
def test_a_moved_folder_goes_on_from_the_best_place_of_its_plugins(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given an id file of two other folders, and a plugin that none of them knows
    install = Install(tmp_path, site)
    events = list(site.add_events(10))
    for name in ("a", "new"):
        install.plugin(name, install.tracing())
    install.id_file.write_bytes(pickle.dumps({"/old/one": {"a": (events[1], {})}, "/old/two": {"a": (events[5], {})}}))
    # When
    assert install.drain(daemon).code == 0
    more = list(site.add_events(2))
    assert install.drain(daemon).code == 0
    # Then
    assert install.seen("a") == [*events[6:], *more]
    assert install.seen("new") == more


def test_an_imported_missing_id_that_appears_is_delivered_to_its_plugin_alone(site: Sandbox, tmp_path: Path) -> None:
    # Given two plugins, one of which still waits for an id
    install = Install(tmp_path, site)
    site.withhold(next=1)
    late = site.add_event("Shotgun_Task_Change")
    last = site.add_event("Shotgun_Task_Change")
    for name in ("a", "b"):
        install.plugin(name, install.tracing())
    soon = dt.datetime.now() + dt.timedelta(minutes=4)  # noqa: DTZ005 - naive and local, as the reference writes it
    install.place({"a": (last, {late: soon}), "b": (last, {})})
    with install.running(Daemon.CALLSHEET) as running:
        event = site.add_event("Shotgun_Task_Change")
        running.until(lambda: event in install.seen("a") and event in install.seen("b"), "the next event")
        # When it appears
        site.release(late)
        running.until(lambda: late in install.seen("a"), "the late event")
        end = site.add_event("Shotgun_Task_Change")
        running.until(lambda: end in install.seen("a") and end in install.seen("b"), "the end")
    # Then the one that waited has it, once, and nothing else comes again
    assert install.seen("a") == [event, late, end]
    assert install.seen("b") == [event, end]
    assert f"Processed id {late} from backlog." in install.log("plugin.a") + install.log()


def test_a_file_that_would_execute_something_is_refused_and_executes_nothing(site: Sandbox, tmp_path: Path) -> None:
    # Given an id file with more in it than an id file holds
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    install = Install(tmp_path, site)
    install.plugin("a", install.tracing())
    install.id_file.write_bytes(pickle.dumps({str(install.folders[0]): {"a": (Evil(), {})}}))
    # When
    with install.running(Daemon.CALLSHEET) as running:
        running.until(lambda: "is damaged or no id file" in running.output(), "a word about the file")
    # Then
    assert not (tmp_path / "executed").exists()
    assert install.traced() == []


@pytest.mark.parametrize("how", [pytest.param("stopped", marks=needs_reference), pytest.param("killed", marks=needs_reference)])
def test_what_the_reference_had_begun_is_gone_on_with(how: str, site: Sandbox, tmp_path: Path) -> None:
    # Given a real run of the reference: a plugin that stopped at an error, one that waits for a missing id, and one that is new
    install = Install(tmp_path, site)
    failing = """
        def seen(sg, logger, event, args):
            note(plugin="stopped", event=event["id"])
            if event["id"] == {event}:
                1 / 0
    """
    start = site.events()[-1]["id"]
    install.plugin("a", install.tracing())
    install.plugin("stopped", install.registering(failing.format(event=start + 3)))
    install.place()
    with install.running(Daemon.REFERENCE) as running:
        first = list(site.add_events(4))
        running.until(lambda: first[-1] in install.seen("a"), "the first events")
        site.withhold(next=1)
        late = site.add_event("Shotgun_Task_Change")
        behind = site.add_event("Shotgun_Task_Change")
        running.until(lambda: behind in install.seen("a") and f"Adding event id {late} to backlog." in running.output(), "the gap")
        if how == "killed":
            running.until(lambda: running.paused(install.id_file.read_bytes), "a moment in which the id file is whole")
            running.kill()
        else:
            assert running.stop() == 0
    assert install.seen("stopped") == first[:3]
    # When Callsheet takes over, with the failing plugin fixed; the missing id appears; and there is more to do
    install.plugin("stopped", install.tracing())
    install.plugin("new", install.tracing())
    due = list(site.add_events(3))
    with install.running(Daemon.CALLSHEET) as running:
        running.until(lambda: due[-1] in install.seen("a") and due[-1] in install.seen("stopped"), "what was due")
        site.release(late)
        running.until(lambda: late in install.seen("a") and late in install.seen("stopped"), "the late event")
        more = site.add_event("Shotgun_Task_Change")
        running.until(lambda: all(more in install.seen(name) for name in ("a", "stopped", "new")), "one more")
    # Then nothing is lost, and nothing doubled
    assert install.seen("a") == [*first, behind, *due, late, more]
    assert sorted(install.seen("stopped")) == sorted([*first[:3], *first[2:], behind, *due, late, more])
    assert install.seen("new") == [more]

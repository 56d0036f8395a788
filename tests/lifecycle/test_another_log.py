"""A site that shows another event log than before: said, not read, and gone on with as an operator says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from callsheet.sandbox import Sandbox
from callsheet.services.log_check import LAG
from tests.support.running import RunningDaemon
from tests.support.studio import SITE, Studio
from tests.support.traces import noting

SAID = "does not show the event log that was read before"


@pytest.fixture
def read(studio: Studio) -> Studio:
    """A studio whose plugin has had 70 events, the last 50 of them since a snapshot of its site."""
    studio.write("plugin", noting(options="lane='plugin'"))
    return studio


def delivered(studio: Studio, daemon: RunningDaemon, events: Sequence[int]) -> None:
    daemon.until(lambda: studio.trace.events("plugin")[-1:] == [events[-1]])


@contextmanager
def begun_anew(studio: Studio) -> Iterator[Sandbox]:
    """Another sandbox at the same port, with another log."""
    host, port = studio.sandbox._address
    studio.sandbox.close()
    with Sandbox(host=host, port=port, key=studio.sandbox.key) as new:
        studio.sites[SITE] = new
        yield new


def trouble(studio: Studio) -> str:
    return " ".join(one["what"] + " " + one["next"] for one in studio.status()["trouble"])


def test_a_restored_site_is_said_and_gone_on_with_at_its_newest_event(read: Studio) -> None:
    studio = read
    with studio.started() as daemon:
        delivered(studio, daemon, studio.sandbox.add_events(20))
        backup = studio.sandbox.snapshot()
        events = studio.sandbox.add_events(50)
        delivered(studio, daemon, events)
        # When the site is restored, and is at work again
        studio.sandbox.restore(backup)
        studio.sandbox.add_events(20)

        # Then that is said, once, with the commands to go on; and nothing is delivered
        daemon.until(lambda: SAID in trouble(studio), LAG + 20)
        assert "--to-newest" in trouble(studio)
        assert not studio.status()["well"]
        assert studio.command("status").returncode == 1
        studio.sandbox.add_events(50)  # past the cursor
        daemon.watch(1)
        assert daemon.log.count(SAID) == 1
        assert studio.trace.events("plugin")[-1] == events[-1]

        # When an operator lets it go on there
        done = studio.command("reset-cursor", "--to-newest", "--why", "restored from last night")
        assert done.returncode == 0, done.stderr
        newest = studio.sandbox.events()[-1]["id"]
        assert f"is read on behind event {newest}." in done.stdout

        # Then what comes from now on is delivered, and all is well
        further = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.trace.events("plugin")[-5:] == list(further))
        daemon.until(lambda: studio.status()["well"])
        assert daemon.said("is read again, behind event")
        assert "restored from last night" in studio.command("operations", "--json").stdout


def test_a_site_begun_anew_is_gone_on_with_at_any_event_and_loses_none(read: Studio) -> None:
    studio = read
    with studio.started() as daemon:
        old = studio.sandbox.add_events(70)
        delivered(studio, daemon, old)
        # When another sandbox answers at the same port, whose log is shorter
        with begun_anew(studio) as new:
            events = [*new.add_events(30)]
            assert events[-1] < old[-1]
            daemon.until(lambda: SAID in trouble(studio), LAG + 30)
            # And an operator goes on at its first event
            done = studio.command("reset-cursor", "--from", str(events[0]))
            assert done.returncode == 0, done.stderr
            # Then all of them are delivered, though most of their ids were delivered before
            events += new.add_events(60)
            delivered(studio, daemon, events)
            assert studio.trace.events("plugin") == [*old, *events]


def test_a_log_that_grew_past_the_cursor_while_the_daemon_was_away_is_noticed(read: Studio) -> None:
    studio = read
    with studio.started() as daemon:
        backup = studio.sandbox.snapshot()
        old = studio.sandbox.add_events(20)
        delivered(studio, daemon, old)
        assert daemon.stop() == 0
    studio.sandbox.restore(backup)
    studio.sandbox.add_events(60, "Shotgun_Shot_New")
    with studio.start() as daemon:
        daemon.until(lambda: SAID in trouble(studio))
        assert f"event {old[-1]} is Shotgun_Shot_New" in trouble(studio)
        assert studio.site().cursor == old[-1]
        assert daemon.stop() == 0


def test_a_log_that_went_back_and_grew_between_two_polls_is_noticed(read: Studio) -> None:
    studio = read
    studio.configure(poll=2)
    with studio.started() as daemon:
        backup = studio.sandbox.snapshot()
        old = studio.sandbox.add_events(20)
        delivered(studio, daemon, old)
        with studio.sandbox.site.store.lock:  # no request comes between
            studio.sandbox.restore(backup)
            studio.sandbox.add_events(60, "Shotgun_Shot_New")
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: SAID in trouble(studio))
        assert further not in studio.trace.events("plugin")


def test_what_waits_of_the_old_log_waits_for_the_operator_and_can_be_run_first(read: Studio) -> None:
    studio = read
    studio.write("plugin", noting("note('begun', event)\nwait_for('go')", "lane='plugin'"))
    with studio.started() as daemon:
        backup = studio.sandbox.snapshot()
        old = studio.sandbox.add_events(5)
        daemon.until(lambda: studio.trace.events(word="begun"))
        daemon.until(lambda: studio.waiting("plugin") == 5)
        studio.sandbox.restore(backup)
        new = studio.sandbox.add_events(2)
        assert new[0] == old[0], "an id that was recorded before"
        daemon.until(lambda: SAID in trouble(studio), LAG + 20)
        # Then what runs ends, and nothing else of it is begun
        studio.trace.raise_flag("go")
        daemon.until(lambda: studio.waiting("plugin") == 4)
        daemon.watch(1.5)
        assert studio.trace.events(word="begun") == [old[0]]
        # And to go on is refused until the operator says what becomes of it
        refused = studio.command("reset-cursor", "--from", str(new[0]))
        assert refused.returncode == 2
        assert "4 deliveries of the log that was read so far still wait: --waiting keep" in refused.stderr
        assert studio.command("reset-cursor", "--from", str(new[0]), "--waiting", "keep").returncode == 0
        daemon.until(lambda: studio.trace.events("plugin") == [*old, *new])


def test_what_waits_of_the_old_log_can_be_given_up(read: Studio) -> None:
    studio = read
    studio.write("plugin", noting("wait_for('go')", "lane='plugin'"))
    with studio.started() as daemon:
        studio.sandbox.add_events(5)
        daemon.until(lambda: studio.waiting("plugin") == 5)
        daemon.kill()
    studio.configure(url=f"http://localhost:{studio.sandbox.url.rpartition(':')[2]}")
    with studio.start() as daemon:
        # Given a site at another address: nothing of the old one is run there
        daemon.until(lambda: SAID in trouble(studio))
        assert "it is read at localhost:" in trouble(studio)
        studio.trace.raise_flag("go")
        daemon.watch(1.5)
        assert studio.trace.events("plugin") == []
        done = studio.command("reset-cursor", "--to-newest", "--waiting", "skip")
        assert done.returncode == 0, done.stderr
        assert "5 deliveries given up." in done.stdout
        further = studio.sandbox.add_events(2)
        daemon.until(lambda: studio.trace.events("plugin") == list(further))
        daemon.until(lambda: studio.status()["well"])


def test_a_site_that_has_only_moved_goes_on_where_it_was_once_that_is_confirmed(read: Studio) -> None:
    studio = read
    with studio.started() as daemon:
        events = studio.sandbox.add_events(5)
        delivered(studio, daemon, events)
        assert daemon.stop() == 0
    studio.configure(url=f"http://localhost:{studio.sandbox.url.rpartition(':')[2]}")
    missed = studio.sandbox.add_events(5)
    with studio.start() as daemon:
        daemon.until(lambda: SAID in trouble(studio))
        done = studio.command("reset-cursor", "--same-log")
        assert done.returncode == 0, done.stderr
        daemon.until(lambda: studio.trace.events("plugin") == [*events, *missed])
        assert daemon.stop() == 0
    # Another spelling of it is no move
    studio.configure(url=f"http://LOCALHOST:{studio.sandbox.url.rpartition(':')[2]}/")
    with studio.start() as daemon:
        further = studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: studio.trace.events("plugin")[-1] == further)


def test_another_log_is_not_confirmed_as_the_same(read: Studio) -> None:
    studio = read
    backup = studio.sandbox.snapshot()
    studio.drain()
    studio.sandbox.add_events(5)
    studio.drain()
    studio.sandbox.restore(backup)
    done = studio.command("reset-cursor", "--same-log")
    assert done.returncode == 1
    assert "Nothing was changed: the log is another one: its newest event is" in done.stderr
    done = studio.command("reset-cursor", "--from", "1000000")
    assert done.returncode == 1
    assert "so --from can be" in done.stderr


def test_a_drain_ends_with_trouble_and_so_does_the_next(read: Studio) -> None:
    studio = read
    studio.drain()
    backup = studio.sandbox.snapshot()
    studio.sandbox.add_events(5)
    studio.drain()
    studio.sandbox.restore(backup)
    for _ in range(2):
        assert SAID in studio.drain(code=1)
    studio.sandbox.add_events(20)
    assert SAID in studio.drain(code=1)


def test_a_site_behind_a_wrong_address_for_a_while_is_read_on_by_itself(read: Studio) -> None:
    # Given another site that answers at this one's address for a while, as through a wrong proxy
    studio = read
    with studio.started() as daemon:
        events = studio.sandbox.add_events(20)
        delivered(studio, daemon, events)
        mine = studio.sandbox.snapshot()
        with Sandbox() as other:
            other.add_events(500, created_at=1_600_000_000)
            studio.sandbox.restore(other.snapshot())
        daemon.until(lambda: SAID in trouble(studio), LAG + 20)
        # When it is the right one again
        studio.sandbox.restore(mine)
        further = studio.sandbox.add_events(3)
        # Then it is read on where it was
        daemon.until(lambda: studio.trace.events("plugin") == [*events, *further])
        daemon.until(lambda: studio.status()["well"])


def test_a_first_start_while_the_log_is_empty_has_all_that_comes_and_nothing_older(read: Studio) -> None:
    studio = read
    studio.sandbox.add_events(30, created_at=1_600_000_000)
    whole = studio.sandbox.snapshot()
    with studio.sandbox.site.store.transaction():
        studio.sandbox.site.store.sql.execute("DELETE FROM events")
    with studio.start() as daemon:
        # Given a log that is empty, since the script may not see it yet
        daemon.until(lambda: daemon.said("Last event id (0) from the SG database."))
        daemon.watch(1)
        studio.sandbox.restore(whole)
        new = studio.sandbox.add_events(3)
        daemon.until(lambda: studio.trace.events("plugin") == list(new))


def test_a_replay_reads_nothing_of_another_log(read: Studio) -> None:
    studio = read
    with studio.started() as daemon:
        backup = studio.sandbox.snapshot()
        events = studio.sandbox.add_events(5)
        delivered(studio, daemon, events)
        studio.sandbox.restore(backup)
        studio.sandbox.add_events(60, "Shotgun_Shot_New")
        daemon.until(lambda: SAID in trouble(studio), LAG + 20)
        assert studio.command("replay", str(events[0]), "--plugin", "plugin").returncode == 0
        daemon.watch(1.5)
        assert studio.trace.events("plugin") == list(events)

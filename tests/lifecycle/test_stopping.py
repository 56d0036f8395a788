"""The end of a daemon, ordered or not, and what it leaves to the next one."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from callsheet.domain.delivery import State
from tests.support.running import RunningDaemon, alive
from tests.support.studio import Studio
from tests.support.traces import noting
from tests.support.waiting import until

SLOW_AT_FIRST = noting("note('begun', event)\nif once('first'): wait_for('go')", "lane='plugin'")
"""A plugin that waits within its very first call until the flag ``go`` is up."""


def in_a_callback(studio: Studio, daemon: RunningDaemon) -> int:
    """Wait until a callback runs; returns its worker's process id."""
    daemon.until(lambda: studio.trace.calls("plugin", word="begun"))
    return studio.trace.calls("plugin", word="begun")[0].pid


def assert_that_what_ran_is_done_and_the_rest_waits(studio: Studio, count: int) -> None:
    """How many ran before the daemon's word reached the worker, nobody can say; none was cut short, none is missing."""
    done = studio.trace.events("plugin")
    assert done == studio.trace.events("plugin", word="begun")
    assert done
    states = studio.states()
    assert states.pop("waiting", 0) == count - len(done)
    assert states == {"done": len(done)}


def test_sigterm_lets_the_running_callback_finish_and_leaves_the_rest_to_the_next_start(studio: Studio) -> None:
    # Given a callback that runs, with the rest of its run behind it
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(10)
    with studio.start("--from", str(events[0])) as daemon:
        worker = in_a_callback(studio, daemon)

        # When the daemon is told to stop
        daemon.terminate()
        daemon.until(lambda: daemon.said("Stopping: SIGTERM."))
        daemon.watch(1)  # it waits for the callback
        studio.trace.raise_flag("go")

        # Then that one finishes, is settled, and nothing else begins
        assert daemon.wait(timeout=5) == 0
        assert studio.trace.events("plugin") == studio.trace.events("plugin", word="begun") == [events[0]]
        assert studio.states() == {"done": 1, "waiting": 9}
        assert not alive(worker)
        assert "Unexpected" not in daemon.log

    # And the next daemon delivers the rest, once
    studio.drain()
    assert studio.trace.events("plugin") == list(events)


def test_what_finishes_while_others_are_waited_for_is_settled_at_once(studio: Studio) -> None:
    # Given two callbacks that run, in workers of their own
    studio.configure({"grace": 60})
    studio.write("short", noting("note('begun', event)\nwait_for('short')"))
    studio.write("long", noting("note('begun', event)\nwait_for('long')"))
    event = studio.sandbox.add_event("Shotgun_Task_Change")
    with studio.start("--from", str(event)) as daemon:
        daemon.until(lambda: len(studio.trace.calls(word="begun")) == 2)
        daemon.terminate()
        daemon.until(lambda: daemon.said("Stopping: SIGTERM."))

        # When one of them ends within the time of grace
        studio.trace.raise_flag("short")

        # Then that is in the ledger, the daemon is seen to live, and nothing new begins
        daemon.until(lambda: studio.states().get("done") == 1)
        stopping_at = time.time()
        studio.sandbox.add_event("Shotgun_Task_Change")
        daemon.until(lambda: beat_at(studio) > stopping_at)
        daemon.kill()
        assert len(studio.trace.calls(word="begun")) == 2

    # And it is not called again, though the daemon was killed
    studio.trace.raise_flag("long")
    studio.drain()
    assert studio.trace.events("short", word="begun").count(event) == 1
    assert studio.trace.events("long", word="begun").count(event) == 2


def beat_at(studio: Studio) -> float:
    """When the daemon last said that it lives, and runs."""
    with studio.ledger() as ledger:
        heartbeat = ledger.overview().heartbeat
    return heartbeat.at if heartbeat is not None and heartbeat.stopped_at is None else 0.0


def test_the_daemon_beats_while_it_waits_for_a_callback_after_its_pid_file_was_removed(studio: Studio) -> None:
    studio.conf()
    studio.write("plugin", SLOW_AT_FIRST)
    with studio.start() as daemon:
        daemon.until(lambda: daemon.said("Last event id"))
        studio.sandbox.add_event("Shotgun_Task_Change")
        in_a_callback(studio, daemon)
        (studio.folder / "daemon.pid").unlink()
        daemon.until(lambda: daemon.said("was removed"))
        stopping_at = time.time()
        daemon.until(lambda: beat_at(studio) > stopping_at)
        studio.trace.raise_flag("go")
        assert daemon.wait(timeout=5) == 0


def test_a_second_sigterm_changes_nothing(studio: Studio) -> None:
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(3)
    with studio.start("--from", str(events[0])) as daemon:
        in_a_callback(studio, daemon)
        daemon.terminate()
        daemon.until(lambda: daemon.said("Stopping: SIGTERM."))
        daemon.terminate()
        daemon.watch(0.3)
        studio.trace.raise_flag("go")
        assert daemon.wait(timeout=5) == 0
        assert_that_what_ran_is_done_and_the_rest_waits(studio, 3)


def test_the_stop_command_ends_it_in_order_and_waits_for_that(studio: Studio) -> None:
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(3)
    with studio.start("--from", str(events[0])) as daemon:
        in_a_callback(studio, daemon)
        # A callback holds it up: that is said, and it is not ended by force
        late = studio.command("stop", "--timeout", "1s")
        assert (late.returncode, late.stdout) == (1, "")
        assert f"The daemon (process {daemon.pid}) was told to stop, and still runs after 1" in late.stderr
        assert daemon.said("Stopping: SIGTERM.")
        studio.trace.raise_flag("go")
        done = studio.command("stop")
        assert done.returncode == 0
        assert daemon.wait(timeout=5) == 0
        assert_that_what_ran_is_done_and_the_rest_waits(studio, 3)
    again = studio.command("stop")
    assert (again.returncode, again.stderr) == (0, "The daemon is not running.\n")


def test_sigterms_while_it_starts_end_it_in_order(studio: Studio) -> None:
    studio.write("plugin", noting())
    events = studio.sandbox.add_events(3)
    with studio.launch("--from", str(events[0])) as daemon:
        daemon.until(lambda: catches(daemon.pid, signal.SIGTERM))
        assert daemon.log == ""  # it has not come to say anything
        daemon.terminate()
        daemon.terminate()
        assert daemon.wait() == 0
        assert daemon.said("Stopping: SIGTERM.")
    # And the next one does what was to be done
    studio.drain(*([] if studio.site().cursor else ["--from", str(events[0])]))
    assert studio.trace.events("plugin") == list(events)


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for that signal."""
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) & 1 << number - 1)


def test_sighup_reopens_the_log_and_loads_what_has_changed_and_ends_nothing(studio: Studio) -> None:
    # Given a daemon with a log file, which somebody moves away, as in a rotation
    studio.conf(logPath=str(studio.folder / "logs"), logFile="log")
    path = studio.write("plugin", noting("note('old', event)"))
    log = studio.folder / "logs" / "log"
    with studio.launch() as daemon:
        daemon.until(lambda: daemon.said("Plugin plugin is ready."))
        daemon.signal(signal.SIGHUP)
        log.rename(log.with_suffix(".1"))
        studio.write("plugin", noting("note('new', event)"))
        # When it is told so
        daemon.signal(signal.SIGHUP)
        # Then it goes on in a new file, with the plugin as it is now
        daemon.until(lambda: log.exists() and f"Reloading plugin at {path}" in log.read_text())
        event = studio.sandbox.add_event("Shotgun_Task_Change", attribute_name="sg_status_list")
        daemon.until(lambda: event in studio.trace.events("plugin", word="new"))
        assert daemon.stop() == 0


def test_a_sigterm_that_goes_to_the_workers_as_well_interrupts_no_callback(studio: Studio) -> None:
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(3)
    with studio.start("--from", str(events[0])) as daemon:
        os.kill(in_a_callback(studio, daemon), signal.SIGTERM)  # as systemd does, to all processes of a service
        daemon.terminate()
        daemon.until(lambda: daemon.said("Stopping: SIGTERM."))
        studio.trace.raise_flag("go")
        assert daemon.wait(timeout=5) == 0
        assert_that_what_ran_is_done_and_the_rest_waits(studio, 3)


def test_a_callback_longer_than_the_grace_time_is_cut_short_and_runs_again_at_the_next_start(studio: Studio) -> None:
    studio.configure({"grace": 0.5})
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(3)
    with studio.start("--from", str(events[0])) as daemon:
        worker = in_a_callback(studio, daemon)
        assert daemon.stop(timeout=5) == 0
        assert not alive(worker)
        assert studio.states() == {"waiting": 3}
    studio.drain()
    assert studio.trace.events("plugin") == list(events)
    assert studio.trace.events("plugin", word="begun") == [events[0], *events]
    assert [one.attempts for one in studio.deliveries(State.DONE)] == [1, 1, 1]


def test_ctrl_c_ends_it_as_well(studio: Studio) -> None:
    studio.write("plugin", SLOW_AT_FIRST)
    events = studio.sandbox.add_events(2)
    with studio.start("--from", str(events[0])) as daemon:
        in_a_callback(studio, daemon)
        daemon.signal(signal.SIGINT)
        daemon.until(lambda: daemon.said("Stopping: SIGINT."))
        studio.trace.raise_flag("go")
        assert daemon.wait(timeout=5) == 0
        assert_that_what_ran_is_done_and_the_rest_waits(studio, 2)


def test_removing_the_pid_file_stops_the_daemon(studio: Studio) -> None:
    studio.conf()
    pid_file = studio.folder / "daemon.pid"
    with studio.start() as daemon:
        daemon.until(pid_file.exists)
        daemon.until(lambda: pid_file.read_text().strip() == str(daemon.pid))
        daemon.until(lambda: daemon.said("Last event id"))
        pid_file.unlink()
        assert daemon.wait(timeout=5) == 0
        assert daemon.said(f"the pid file {pid_file} was removed")


def test_a_stale_pid_file_blocks_no_start_and_goes_with_the_daemon(studio: Studio) -> None:
    studio.conf()
    pid_file = studio.folder / "daemon.pid"
    pid_file.write_text(f"{os.getpid()}\n")  # a process that lives, though it is no daemon
    with studio.start() as daemon:
        daemon.until(lambda: pid_file.read_text().strip() == str(daemon.pid))
        assert daemon.stop() == 0
    assert not pid_file.exists()


def test_a_second_daemon_on_the_same_state_is_refused_and_disturbs_nothing(studio: Studio) -> None:
    studio.write("plugin", noting(options="lane='plugin'"))
    with studio.started() as first:
        with studio.start() as second:
            assert second.wait(timeout=10) == 2
            assert second.said(f"Another Callsheet daemon (pid {first.pid},")
            assert second.said("Stop that one first")
            assert not second.said("Traceback")
        events = studio.sandbox.add_events(10)
        first.until(lambda: studio.trace.events("plugin") == list(events))


def test_workers_end_with_a_daemon_that_is_killed(studio: Studio) -> None:
    # Given a worker in a callback, one that has nothing to do, and one that holds the interpreter's lock
    studio.write("plugin", SLOW_AT_FIRST)
    studio.write("idle", noting())
    studio.write("stubborn", "import ctypes\n" + noting("note('begun', event)\nctypes.PyDLL(None).pause()"))
    event = studio.sandbox.add_event("Shotgun_Task_Change")
    with studio.start("--from", str(event)) as daemon:
        workers = {in_a_callback(studio, daemon)}
        daemon.until(lambda: studio.trace.calls("idle") and studio.trace.calls("stubborn", word="begun"))
        workers |= {one.pid for one in (*studio.trace.calls("idle"), *studio.trace.calls("stubborn", word="begun"))}
        assert len(workers) == 3

        daemon.kill()

    until(lambda: not any(alive(pid) for pid in workers), timeout=5)

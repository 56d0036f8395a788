"""What the retry policy of a callback means in a whole daemon: pauses, limits, and what stands behind the last try."""

from __future__ import annotations

import itertools

import pytest

from callsheet.domain.delivery import State
from tests.support.running import RunningDaemon
from tests.support.studio import Studio
from tests.support.traces import noting

TRY = "note('try', event, text=repr(time.time()))\n"


def opened(studio: Studio, body: str, options: str) -> RunningDaemon:
    """A daemon with a plugin of one lane, which notes each try of the first event and does ``body`` there."""
    first = studio.sandbox.add_event("Shotgun_Project_Change") + 1
    inner = f"if event['id'] == {first}:\n    {TRY}    {body}"
    studio.write("plugin", "from callsheet import GiveUp, Retry\n" + noting(inner, f"lane='plugin', {options}"))
    daemon = studio.started()
    studio.sandbox.add_events(3)
    return daemon


def pauses(studio: Studio) -> list[float]:
    """Seconds between the tries."""
    times = [float(one.text) for one in studio.trace.calls("plugin", word="try")]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def test_pauses_grow_and_spread_and_the_last_attempt_decides(studio: Studio) -> None:
    policy = {"attempts": 4, "first": 0.2, "factor": 2.0, "jitter": 0.5}
    with opened(studio, "raise ValueError('no')", f"retry={policy}") as daemon:
        daemon.until(lambda: studio.states() == {"done": 2, "dead": 1})

    # At least as long as the spread allows; how much longer is the machine's affair.
    waited = pauses(studio)
    assert len(waited) == 3
    assert [pause >= 0.5 * least for pause, least in zip(waited, (0.2, 0.4, 0.8), strict=True)] == [True] * 3
    (dead,) = studio.deliveries(State.DEAD)
    assert dead.attempts == policy["attempts"]


def test_retry_says_itself_how_long_to_wait(studio: Studio) -> None:
    policy = {"attempts": 2, "first": 3600}
    with opened(studio, "raise Retry('later', after=0.5)", f"retry={policy}") as daemon:
        daemon.until(lambda: studio.states() == {"done": 2, "dead": 1})

    (pause,) = pauses(studio)
    assert pause >= 0.5


def test_an_event_that_would_be_too_old_is_not_tried_again(studio: Studio) -> None:
    with opened(studio, "raise ValueError('no')", "retry={'attempts': 9, 'first': 60, 'max_age': 30}") as daemon:
        daemon.until(lambda: studio.states() == {"done": 2, "dead": 1})

    (dead,) = studio.deliveries(State.DEAD)
    assert dead.attempts == 1


def test_a_lane_that_is_to_be_held_stands_still_behind_the_last_try(studio: Studio) -> None:
    with opened(studio, "raise ValueError('no')", "retry={'attempts': 2, 'first': 0.1}, on_dead='hold'") as daemon:
        daemon.until(lambda: studio.states() == {"held": 1, "waiting": 2})

    assert studio.trace.events("plugin") == []


@pytest.mark.parametrize("crashes", [1, 2])
def test_so_many_deaths_of_the_worker_make_a_failure(studio: Studio, crashes: int) -> None:
    with opened(studio, "die()", f"retry={{'crashes': {crashes}}}") as daemon:
        daemon.until(lambda: studio.states() == {"done": 2, "dead": 1})

    assert len(studio.trace.calls("plugin", word="try")) == crashes

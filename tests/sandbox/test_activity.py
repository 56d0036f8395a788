"""Pretend artists at work."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.sandbox import Activity, Sandbox


def deeds(sandbox: Sandbox) -> list[Any]:
    return [(one["event_type"], one["attribute_name"], one["meta"], one["user"]) for one in sandbox.events(1)]


def test_the_same_seed_makes_the_same_changes() -> None:
    made = []
    for seed in (1, 1, 2):
        with Sandbox(clock=lambda: 1000.0) as sandbox:
            activity = Activity(sandbox, seed=seed)
            for _ in range(60):
                activity.step()
            made.append(deeds(sandbox))

    assert made[0] == made[1] != made[2]
    assert {kind for kind, *_ in made[0]} >= {
        "Shotgun_Task_Change",
        "Shotgun_Version_New",
        "Shotgun_Note_New",
        "Shotgun_Shot_Change",
    }
    assert {user["type"] for *_, user in made[0]} == {"HumanUser"}


def test_it_works_while_the_block_runs_and_no_longer(sandbox: Sandbox, sg: Any) -> None:
    with Activity(sandbox, rate=200) as activity:
        while activity.steps < 20:
            sg.find_one("Project", [])
    ended = sandbox.events()

    assert activity.steps >= 20
    assert len(ended) > 20
    assert sandbox.events() == ended


def test_a_rate_of_nothing_is_a_mistake(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Activity(sandbox, rate=0)


def test_artists_need_something_to_work_on() -> None:
    with Sandbox(show=False) as sandbox, pytest.raises(ValueError, match="begin with the sandbox's own show"):
        Activity(sandbox)

from __future__ import annotations

import click
import pytest

from callsheet.cli.delivery_filters import named, query, split
from callsheet.domain.delivery import NO_LIMIT, DeliveryQuery, State

NOTHING = {"states": (), "plugin": None, "site": None, "lane": None, "event": None, "since": None}


def test_numbers_are_ids_and_what_comes_before_them_is_the_configuration() -> None:
    assert split(()) == (None, ())
    assert split(("a.toml",)) == ("a.toml", ())
    assert split(("12", "13")) == (None, (12, 13))
    assert split(("a.toml", "12")) == ("a.toml", (12,))
    assert split(("./412", "12")) == ("./412", (12,))


@pytest.mark.parametrize("arguments", [("12", "a.toml"), ("a.toml", "x12"), ("a.toml", "²"), ("a.toml", "9" * 5_000)])
def test_what_is_neither_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match=r"is not a delivery's id. CONFIG comes first, then ids"):
        split(arguments)


def test_conditions_become_a_query() -> None:
    given = NOTHING | {"states": ("dead", "held"), "plugin": "annex/mailer", "lane": "Shot:862", "event": 5}
    assert query((1, 2), **given) == DeliveryQuery(  # type: ignore[arg-type] # a dict has one type for all its values
        states=(State.DEAD, State.HELD), site="annex", plugin="mailer", lane="Shot:862", event_id=5, ids=(1, 2), limit=NO_LIMIT
    )


def test_a_site_of_its_own_goes_before_the_one_in_the_plugins_name() -> None:
    assert query((), **(NOTHING | {"plugin": "a/x", "site": "b"})).site == "b"  # type: ignore[arg-type] # as above


def test_a_since_that_means_nothing_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="neither an age"):
        query((), **(NOTHING | {"since": "yesterday"}))  # type: ignore[arg-type] # as above


def test_a_plugins_name_may_carry_its_site() -> None:
    assert named(None) == (None, None)
    assert named("mailer") == (None, "mailer")
    assert named("studio/mailer") == ("studio", "mailer")


@pytest.mark.parametrize("text", ["Task:14", "Task 14", " Task:14 "])
def test_an_entity_is_a_type_and_an_id(text: str) -> None:
    assert query((), **(NOTHING | {"entity": text})).entity == ("Task", 14)  # type: ignore[arg-type] # as above


def test_an_entity_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="not a type and an id, such as Task:14"):
        query((), **(NOTHING | {"entity": "14"}))  # type: ignore[arg-type] # as above


def test_a_project_is_an_id_or_a_name() -> None:
    assert query((), **(NOTHING | {"project": "97"})).project == 97  # type: ignore[arg-type] # as above
    assert query((), **(NOTHING | {"project": "The Lighthouse"})).project == "The Lighthouse"  # type: ignore[arg-type] # as above


@pytest.mark.parametrize("project", ["²", "9" * 5_000, "٣"])
def test_a_project_that_no_id_is_like_is_a_name(project: str) -> None:
    assert query((), **(NOTHING | {"project": project})).project == project  # type: ignore[arg-type] # as above


def test_an_entity_whose_id_is_beyond_all_ids_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="not a type and an id"):
        query((), **(NOTHING | {"entity": f"Task:{10**30}"}))  # type: ignore[arg-type] # as above

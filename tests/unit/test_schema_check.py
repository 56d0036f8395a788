"""Names that a callback asks for and the site does not have."""

from __future__ import annotations

from typing import Any

import pytest

from callsheet.domain.callback import AttributeRule, Callback, Links, Rule
from callsheet.policy.schema_check import Schema, doubts, entities
from tests.support.events import callback

SCHEMA = Schema(
    {
        "Task": frozenset({"content", "sg_status_list", "due_date", "entity"}),
        "Shot": frozenset({"code", "sg_status_list"}),
        "Version": frozenset({"code"}),
    },
    frozenset({"Moth", "Bunny"}),
)


def asking(event_type: str = "Shotgun_Task_Change", rule: AttributeRule | None = None, **more: Any) -> Callback:
    made = callback("react", event_type, **more)
    return made if rule is None else Callback(made.key, 0, {event_type: rule})


DOUBTFUL = {
    "a misspelt change": (asking("Shotgun_Task_Chnage"), 'of type "Shotgun_Task_Chnage"; did you mean "Shotgun_Task_Change"?'),
    "a misspelt entity": (asking("Shotgun_Taks_Change"), 'did you mean "Shotgun_Task_Change"?'),
    "an entity that is not there": (asking("Shotgun_CustomEntity77_New"), 'no events of type "Shotgun_CustomEntity77_New"'),
    "a pattern": (asking("Shotgun_Task_*"), "which is no pattern"),
    "nothing": (asking(""), 'the event type ""'),
    "an attribute": (
        asking(attributes=("sg_stauts_list",)),
        'Task has no field "sg_stauts_list", which attribute names; did you mean',
    ),
    "a legacy attribute": (
        asking(rule=AttributeRule(Rule.WITHIN, text="sg_stauts_list")),
        'stands in "sg_stauts_list"; did you mean',
    ),
    "a field": (asking(fields=("contnt",)), 'Task has no field "contnt", which fields names; did you mean "content"?'),
    "a type on a path": (asking(fields=("entity.Shoot.code",)), 'no entity type "Shoot", which fields names; did you mean "Shot"?'),
    "a field on a path": (asking(fields=("entity.Shot.cod",)), 'Shot has no field "cod", which fields names; did you mean "code"?'),
    "an entity": (
        asking(only={"entity": Links(types=frozenset({"Shott"}))}),
        'entity type "Shott", which entity names; did you mean',
    ),
    "a project": (asking(only={"project": Links(names=frozenset({"Mothh"}))}), 'no project "Mothh"; did you mean "Moth"?'),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_name_that_the_site_does_not_have_is_told_with_the_one_that_was_meant(case: str) -> None:
    asked, text = DOUBTFUL[case]
    (said,) = doubts(asked, SCHEMA)
    assert text in said


CERTAIN = {
    "what there is": asking(attributes=("sg_status_list",), fields=("content", "entity.Shot.code", "id")),
    "every event": callback("react"),
    "a type of another sort": asking("Shotgun_User_Login"),
    "a studio's own": asking("Studio_Farm_Done"),
    "a substring": asking(rule=AttributeRule(Rule.WITHIN, text="sg_status_list,due_date")),
    "what only the plugin knows": asking(rule=AttributeRule(Rule.ASK)),
    "a project and its entities": asking(only={"project": Links(names=frozenset({"Moth"})), "entity": Links(ids=frozenset({4}))}),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_what_may_be_right_is_not_doubted(case: str) -> None:
    assert doubts(CERTAIN[case], SCHEMA) == []


def test_only_entities_that_are_named_need_be_looked_up() -> None:
    assert entities([asking(fields=("entity.Shot.code",)), asking("Shotgun_Taks_New")]) == {"Task", "Taks", "Shot"}

"""Who is let in, and as whom."""

from __future__ import annotations

from typing import Any

import pytest
from shotgun_api3.shotgun import AuthenticationFault, Shotgun

from callsheet.sandbox import Sandbox


def test_a_wrong_key_shows_at_the_first_real_call_not_when_connecting(sandbox: Sandbox) -> None:
    sg = sandbox.connect(key="wrong")

    with pytest.raises(AuthenticationFault, match="Can't authenticate script 'callsheet_demo'"):
        sg.find_one("Project", [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"script_name": "nobody", "api_key": "x"}, "Can't authenticate script 'nobody'"),
        ({"login": "amarsh", "password": "wrong"}, "Can't authenticate user 'amarsh'"),
        ({"login": "nobody", "password": "sandbox"}, "Can't authenticate user 'nobody'"),
        ({"session_token": "0123456789"}, "session token ending with '6789'"),
    ],
)
def test_who_is_not_known_is_not_let_in(sandbox: Sandbox, options: dict[str, Any], words: str) -> None:
    with pytest.raises(AuthenticationFault, match=words):
        Shotgun(sandbox.url, **options).find_one("Project", [])


def test_sudo_as_nobody_is_not_let_in(sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationFault, match="'nobody'"):
        sandbox.connect(sudo_as_login="nobody").find_one("Project", [])


def test_a_person_signs_in_and_signs_what_they_do(sandbox: Sandbox) -> None:
    sg = sandbox.connect(login="dpetrovic", password="sandbox")

    sg.update("Shot", 101, {"sg_cut_in": 5})

    assert sandbox.events()[-1]["user"] == {"type": "HumanUser", "id": 14, "name": "Dunja Petrovic"}
    assert sg.authenticate_human_user("dpetrovic", "sandbox")["id"] == 14


def test_a_session_is_its_openers(sandbox: Sandbox, sg: Any) -> None:
    token = sg.get_session_token()
    sandbox.connect(session_token=token).update("Shot", 101, {"sg_cut_in": 5})

    assert sandbox.events()[-1]["user"]["name"] == "callsheet_demo 1.0"


def test_who_is_retired_or_disabled_is_no_longer_let_in(sandbox: Sandbox, sg: Any) -> None:
    # Given
    person, script = sandbox.connect(login="dpetrovic", password="sandbox"), sandbox.connect("other")
    assert person.find_one("Project", []) == script.find_one("Project", [])
    # When
    sg.update("HumanUser", 14, {"sg_status_list": "dis"})
    sg.delete("ApiUser", 2)
    # Then
    for one in (person, script):
        with pytest.raises(AuthenticationFault):
            one.find_one("Project", [])


def test_even_a_call_that_is_not_there_asks_for_the_key_first(sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationFault):
        sandbox.connect(key="wrong").followers({"type": "Shot", "id": 101})

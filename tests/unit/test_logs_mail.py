"""What a mail says, and what is folded into one."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest

from callsheet.logs.error_dedup import MOST_KINDS, ErrorDedup
from callsheet.logs.mail_message import LONGEST_BODY, MailMessage, message


def letter(text: str = "boom", logger: str = "engine", level: int = logging.ERROR) -> MailMessage:
    return MailMessage(("td@studio.test",), level, logger, 1000.0, "/x/p.py", "cb", 3, text)


def failure(event: int, *, line: int = 3, kind: str = "ValueError") -> str:
    trace = f'Traceback (most recent call last):\n  File "/x/p.py", line {line}, in cb\n    check({event})\n{kind}: {event} is bad'
    return (
        f"An error occured processing an event.\n\n{trace}\n\nLocal variables at outer most frame in plugin:\n\n{{'id': {event}}}"
    )


def test_storm_of_one_error_is_one_letter_and_one_summary_with_the_count() -> None:
    folding = ErrorDedup(60)
    letters = [replace(letter(failure(event)), created=500.0 + event) for event in range(1000)]
    sent = [folding.admit(one, now=100 + number / 1000) for number, one in enumerate(letters)]
    summary = folding.due(160.0)

    assert sent == [True] + [False] * 999
    assert [one.more for one in summary] == [999]
    assert (summary[0].text, summary[0].first, summary[0].created) == (failure(999), 501.0, 1499.0)
    assert folding.due(219.9) == []


def test_storm_that_lasts_brings_a_summary_per_window_and_is_then_forgotten() -> None:
    folding = ErrorDedup(60)
    counts = []
    for second in range(200):
        counts += [one.more for one in folding.due(float(second))]
        folding.admit(letter(f"event {second}"), now=float(second))

    assert counts == [59, 60, 60]
    assert [one.more for one in folding.due(240.0)] == [20]
    assert folding.due(300.0) == []
    assert folding.next_due() is None
    assert folding.admit(letter("event 1"), now=301.0)


@pytest.mark.parametrize(
    "other",
    [
        letter(failure(1), logger="plugin.other.cb"),
        letter(failure(1, line=4)),
        letter(failure(1, kind="KeyError")),
        letter(failure(1), level=logging.CRITICAL),
        replace(letter(failure(1)), to=("somebody@else.test",)),
    ],
    ids=["logger", "place", "type", "level", "readers"],
)
def test_different_error_is_not_folded(other: MailMessage) -> None:
    folding = ErrorDedup(60)
    folding.admit(letter(failure(1)), now=0.0)

    assert folding.admit(other, now=1.0)
    assert not folding.admit(letter(failure(2)), now=1.0)


def test_nothing_is_folded_with_a_window_of_0() -> None:
    folding = ErrorDedup(0)

    assert [folding.admit(letter(), 1.0) for _ in range(3)] == [True] * 3


def test_memory_of_kinds_is_bounded() -> None:
    folding = ErrorDedup(60)
    sent = [folding.admit(letter(logger=f"plugin.p{number}"), 0.0) for number in range(MOST_KINDS + 50)]

    assert all(sent)
    assert len(folding._kinds) == MOST_KINDS


def test_mail_has_the_reference_s_subject_and_body() -> None:
    mail = message(letter("boom\nagain", "plugin.p.cb", logging.CRITICAL), "sg@studio.test", "[SG]")

    assert mail["Subject"] == "[SG] CRITICAL - SG event daemon."
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == ("sg@studio.test", "td@studio.test", "auto-generated")
    expected = (
        r"Time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,000\nLogger: plugin\.p\.cb\nPath: /x/p\.py\nFunction: cb\nLine: 3\n\nboom\nagain\n"
    )
    assert re.fullmatch(expected, mail.get_content())


def test_summary_says_how_often_and_how_many_mails_were_lost() -> None:
    mail = message(letter().summing_up(999, 900.0), "sg@studio.test", "[SG]", lost=7)

    assert mail["Subject"] == "[SG] ERROR - SG event daemon. (999 more)"
    assert mail.get_content().startswith("7 earlier mails were dropped")
    assert "This error came 999 times more between " in mail.get_content()


def test_any_text_and_subject_make_a_proper_mail() -> None:
    long_line = "é" * 5000
    mail = message(letter(f"{long_line}\n\udce9"), "Événements <sg@studio.test>", "two\nlines: é")
    raw = mail.as_bytes()

    assert max(len(line) for line in raw.splitlines()) <= 998
    assert raw.isascii()
    assert mail["Subject"] == "two lines: é ERROR - SG event daemon."
    assert long_line in mail.get_content()


def test_endless_text_is_cut_and_says_so() -> None:
    content = message(letter("x" * (LONGEST_BODY + 77)), "sg@studio.test", "[SG]").get_content()

    assert "… cut here: 77 more characters are in the log." in content


def test_no_text_steers_the_program_that_shows_a_mail() -> None:
    record = logging.LogRecord(
        "plugin.a\nSubject: forged", logging.ERROR, "x\x1b.py", 7, "no\x1b]0;t\x07\r\n\u202eline", None, None, "f\r"
    )

    mail = message(MailMessage.of(record, ("a@b.c",)), "d@e.f", "[SG]\r\nBcc: x@y.z")

    assert mail["Bcc"] is None
    assert mail["Subject"] == "[SG] Bcc: x@y.z ERROR - SG event daemon."
    body = mail.get_content()
    assert not set("\x1b\x07\r\u202e") & set(body)
    assert "\nSubject: forged" not in body
    assert "no\\x1b]0;t\\x07\n\\u202eline" in body

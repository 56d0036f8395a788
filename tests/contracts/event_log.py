"""The contract of the EventLog port. Each adapter's test module makes a class of this with a ``log`` fixture of its own."""

from __future__ import annotations

import json

import pytest

from callsheet.domain.event import Event
from callsheet.domain.reading import Fingerprint, Gap
from callsheet.errors import SiteError, SiteRefusedError
from callsheet.policy.log_identity import fingerprint
from callsheet.ports import EventLog, Page
from callsheet.sandbox import Sandbox

SITE = "studio"


def ids(page: Page) -> list[int]:
    return [event.id for event in page.events]


def gap(first: int, last: int | None = None) -> Gap:
    return Gap(first, first if last is None else last, 1e9)


class EventLogContract:
    """``log`` reads the event log of ``sandbox``, as site SITE, within ``timeout``; ``refused`` does so with a wrong key."""

    @pytest.fixture
    def timeout(self, request: pytest.FixtureRequest) -> float:
        """Seconds that the site may take to answer: plenty on any machine, but where a test has it say nothing."""
        return float(getattr(request, "param", 30.0))

    # -- the newest id

    def test_the_newest_id_of_an_empty_log_is_0(self, sandbox: Sandbox, log: EventLog) -> None:
        assert sandbox.events() == []
        assert log.newest_id() == 0

    def test_the_newest_id_grows_with_the_log(self, sandbox: Sandbox, log: EventLog) -> None:
        first = sandbox.add_events(3)
        assert log.newest_id() == first[-1]
        sandbox.skip_event_id(10)
        assert log.newest_id() == first[-1]
        assert log.newest_id() < sandbox.add_event("Shotgun_Shot_New") == log.newest_id()

    # -- what tells events from others of the same id

    def test_fingerprints_are_those_of_the_events_that_are_shown(self, sandbox: Sandbox, log: EventLog) -> None:
        sandbox.add_events(2, "Shotgun_Shot_New", created_at=1_000)
        hidden, *events = sandbox.add_events(3)
        sandbox.withhold(hidden)
        read = {event.id: fingerprint(event) for event in log.read(0, 100).events}
        assert log.fingerprints([hidden, *events, 9_999_999]) == {one: read[one] for one in events}
        assert log.fingerprints([1]) == {1: Fingerprint(1, "Shotgun_Shot_New", "1970-01-01T00:16:40Z")}

    def test_the_fingerprints_of_nothing_are_no_request(self, sandbox: Sandbox, log: EventLog) -> None:
        before = sandbox.requests()
        assert log.fingerprints([]) == {}
        assert sandbox.requests() == before

    # -- a page

    def test_an_empty_log_reads_as_an_empty_page(self, log: EventLog) -> None:
        assert log.read(0, 10) == Page((), full=False)

    def test_a_page_begins_behind_the_id_and_goes_up(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(10)
        page = log.read(events[3], 100)
        assert ids(page) == list(events[4:])
        assert not page.full
        assert ids(log.read(events[-1], 100)) == []

    def test_a_page_has_as_many_events_as_asked_for_and_says_that_there_may_be_more(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(10)
        page = log.read(events[0] - 1, 4)
        assert ids(page) == list(events[:4])
        assert page.full
        assert ids(log.read(events[3], 4)) == list(events[4:8])

    def test_read_page_by_page_a_log_is_complete(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(103)
        found: list[int] = []
        page = log.read(events[0] - 1, 10)
        while page.full:
            found += ids(page)
            page = log.read(found[-1], 10)
        assert [*found, *ids(page)] == list(events)

    def test_a_page_may_be_larger_than_what_the_site_gives_at_once(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(1_200)
        assert ids(log.read(0, 1_100)) == list(events[:1_100])

    def test_a_page_ends_at_until(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(10)
        page = log.read(events[1], 100, until=events[5])
        assert ids(page) == list(events[2:6])
        assert not page.full
        assert ids(log.read(events[1], 2, until=events[5])) == list(events[2:4])
        assert ids(log.read(events[5], 2, until=events[5])) == []

    def test_a_hole_in_the_ids_is_no_end(self, sandbox: Sandbox, log: EventLog) -> None:
        before = sandbox.add_events(5)
        sandbox.skip_event_id(200_000)
        after = sandbox.add_events(5)
        assert ids(log.read(0, 100)) == [*before, *after]
        assert ids(log.read(before[-1], 3)) == list(after[:3])

    # -- events

    def test_an_event_is_what_the_site_sent(self, sandbox: Sandbox, log: EventLog) -> None:
        sandbox.connect().create("Project", {"name": "Moth"})
        event = log.read(0, 10).events[-1]
        sent = sandbox.events()[-1]
        del sent["description"]
        assert event == Event(SITE, sent)
        assert set(event.data) == {
            *("type", "id", "event_type", "attribute_name", "meta"),
            *("entity", "user", "project", "session_uuid", "created_at"),
        }
        assert json.loads(event.payload) == sent, "times stay the text that they are"

    # -- missing ids

    def test_missing_ids_that_have_appeared_come_with_the_page(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(30)
        single, ranges = [events[2], events[5]], [(events[7], events[9]), (events[12], events[14])]
        for one in (events[2], *events[7:10], *events[12:15]):
            sandbox.withhold(one)
        sandbox.release(events[2])
        for one in events[8:10]:
            sandbox.release(one)
        missing = [*map(gap, single), *(gap(first, last) for first, last in ranges)]

        page = log.read(events[24], 100, missing=missing)

        assert ids(page) == [events[2], events[5], events[8], events[9], *events[25:]]
        assert not page.full

    def test_missing_ids_are_asked_for_in_one_request_however_many(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(3)
        log.read(0, 10)
        before = sandbox.requests()["read"]
        missing = [gap(one) for one in range(10_000, 10_300, 2)] + [gap(one, one + 1) for one in range(20_000, 20_600, 4)]
        assert ids(log.read(events[1], 10, missing=missing)) == [events[2]]
        assert sandbox.requests()["read"] == before + 1

    def test_a_page_that_missing_ids_fill_is_full(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(20)
        page = log.read(events[15], 5, missing=[gap(events[0], events[9])])
        assert ids(page) == list(events[:5])
        assert page.full

    # -- some types

    def test_with_types_only_those_events_come_up_to_the_page_and_to_the_end(self, sandbox: Sandbox, log: EventLog) -> None:
        kinds = ("Shotgun_Shot_New", "Shotgun_Task_Change", "Shotgun_Asset_New")
        events = sandbox.add_events(30, make=lambda number: {"event_type": kinds[number % 3]})
        wanted = [one for number, one in enumerate(events) if number % 3 != 1]
        types = frozenset({"Shotgun_Shot_New", "Shotgun_Asset_New"})
        page = log.read(0, 7, types=types)
        assert ids(page) == wanted[:7]
        assert page.full
        assert ids(log.read(wanted[6], 100, types=types)) == wanted[7:]
        assert ids(log.read(wanted[6], 100, until=wanted[10], types=types)) == wanted[7:11]
        assert ids(log.read(0, 100, types=frozenset({"Shotgun_Note_New"}))) == []

    def test_hundreds_of_types_are_one_request(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(3)
        log.read(0, 10)
        before = sandbox.requests()["read"]
        types = frozenset({"Shotgun_Task_Change", *(f"Shotgun_CustomEntity{number:02}_Change" for number in range(500))})
        assert ids(log.read(events[0], 10, types=types)) == list(events[1:])
        assert sandbox.requests()["read"] == before + 1

    def test_no_type_at_all_is_no_request(self, sandbox: Sandbox, log: EventLog) -> None:
        sandbox.add_events(3)
        before = sandbox.requests()
        assert log.read(0, 10, types=frozenset()) == Page((), full=False)
        assert sandbox.requests() == before

    @pytest.mark.parametrize("types", [frozenset(), frozenset({"Shotgun_Shot_New"})])
    def test_missing_ids_come_whatever_their_type(self, sandbox: Sandbox, log: EventLog, types: frozenset[str]) -> None:
        events = sandbox.add_events(10)
        shots = sandbox.add_events(2 if types else 0, "Shotgun_Shot_New")
        page = log.read(events[8], 100, missing=[gap(events[2]), gap(events[4], events[5])], types=types)
        assert ids(page) == [events[2], events[4], events[5], *shots]

    # -- how old the log is

    def test_what_is_settled_ends_before_the_first_event_that_is_young(self, sandbox: Sandbox, log: EventLog) -> None:
        times = [1_000, 1_010, 1_020, 1_020, 1_200, 1_015, 1_300]
        events = sandbox.add_events(len(times), make=lambda number: {"created_at": times[number]})
        sandbox.skip_event_id(5)
        assert log.settled_id(0, 999) == 0
        assert log.settled_id(0, 1_020) == events[3]
        assert log.settled_id(0, 1_199) == events[3], "an older event behind a young one settles nothing"
        assert log.settled_id(events[4], 1_199) == events[5]
        assert log.settled_id(events[3], 1_199) == events[3]
        assert log.settled_id(0, 2_000) == events[-1]
        assert log.settled_id(events[-1], 2_000) == events[-1]

    def test_a_page_says_what_time_it_is_at_the_site(self, sandbox: Sandbox, log: EventLog) -> None:
        sandbox.site.clock = lambda: 1_000_000_000.7
        assert log.read(0, 10).at == 1_000_000_000

    # -- what goes wrong

    def test_a_site_that_is_down_is_a_site_error_that_names_it(self, sandbox: Sandbox, log: EventLog) -> None:
        sandbox.stop()
        for ask in (log.newest_id, lambda: log.read(0, 10)):
            with pytest.raises(SiteError, match="refused") as caught:
                ask()
            assert sandbox.url in str(caught.value)
            assert not isinstance(caught.value, SiteRefusedError)

    def test_it_works_again_once_the_site_does(self, sandbox: Sandbox, log: EventLog) -> None:
        events = sandbox.add_events(3)
        log.read(0, 10)
        sandbox.stop()
        with pytest.raises(SiteError):
            log.read(0, 10)
        sandbox.start()
        assert ids(log.read(0, 10)) == list(events)

    @pytest.mark.parametrize(
        ("fault", "options", "words"),
        [
            ("status", {"status": 500}, "HTTP 500"),
            ("status", {"status": 502}, "HTTP 502"),
            ("status", {"status": 503}, "HTTP 503"),
            ("status", {"status": 429}, "HTTP 429"),
            ("drop", {}, "closed connection"),
            ("truncate", {}, "IncompleteRead"),
            ("garble", {}, "isn't the API's"),
            ("html", {}, "isn't the API's"),
            ("refuse", {"message": "The site is being moved."}, "The site is being moved."),
        ],
    )
    @pytest.mark.parametrize("first", [True, False], ids=["at first", "later"])
    def test_an_answer_that_is_none_is_a_site_error_in_words(
        self, sandbox: Sandbox, log: EventLog, *, fault: str, options: dict[str, object], words: str, first: bool
    ) -> None:
        self._meets(sandbox, log, fault, options, words, first=first)

    @pytest.mark.parametrize("timeout", [1.0], indirect=True)
    @pytest.mark.parametrize("first", [True, False], ids=["at first", "later"])
    def test_a_site_that_says_nothing_is_a_site_error_in_time(self, sandbox: Sandbox, log: EventLog, *, first: bool) -> None:
        self._meets(sandbox, log, "hang", {}, "timed out", first=first)

    def _meets(self, sandbox: Sandbox, log: EventLog, fault: str, options: dict[str, object], words: str, *, first: bool) -> None:
        events = sandbox.add_events(3)
        if not first:
            log.read(0, 10)
        getattr(sandbox.faults, fault)(**options)
        with pytest.raises(SiteError, match=words) as caught:
            log.read(0, 10)
        assert sandbox.url in str(caught.value)
        assert "\n" not in str(caught.value)
        assert sandbox.key not in str(caught.value)
        sandbox.faults.clear()
        assert ids(log.read(0, 10)) == list(events)

    def test_a_wrong_key_is_a_refusal(self, sandbox: Sandbox, refused: EventLog) -> None:
        for ask in (refused.newest_id, lambda: refused.read(0, 10)):
            with pytest.raises(SiteRefusedError, match="refuses the script's name or key") as caught:
                ask()
            assert sandbox.url in str(caught.value)

    def test_closed_twice_it_is_closed(self, log: EventLog) -> None:
        log.newest_id()
        log.close()
        log.close()

"""What signals say in the log: texts, levels, loggers and files."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet import telemetry
from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Failure, State
from callsheet.logs import start
from callsheet.logs.log_files import LogFiles
from callsheet.logs.log_listener import LogListener
from callsheet.logs.log_messages import TABLE
from callsheet.logs.output_throttle import MOST, OutputThrottle
from callsheet.settings import LogSettings, Secret, Settings, SiteSettings
from callsheet.telemetry import SIGNALS, emit, listening, subscribe, unsubscribe

KEY = "a-very-secret-key"


class Log:
    """Lines as a daemon would write them, and what they came to."""

    def __init__(self, folder: Path, level: int = logging.INFO, *, mode: int = 1, several: bool = False, ids: bool = False) -> None:
        self.folder = folder
        self.alarms: list[tuple[str, int, str, PluginKey | None]] = []
        settings = LogSettings(level=level, mode=1 if mode else 0, path=folder, file="daemon")
        self.files = LogFiles(settings, foreground=False, stderr=io.StringIO())
        self.lines = LogListener(
            self.files,
            level,
            several=several,
            ids=ids,
            secrets=[KEY],
            alarm=lambda record, plugin: self.alarms.append(_alarm(record, plugin)),
        )

    def text(self, name: str = "daemon") -> str:
        assert self.files.flush(30)
        path = self.folder / name
        return path.read_text("utf-8") if path.exists() else ""

    def body(self, name: str = "daemon") -> str:
        """The lines without their times."""
        return re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - ", "", self.text(name), flags=re.MULTILINE)

    def close(self) -> None:
        self.lines.close()
        self.files.close()


def _alarm(record: logging.LogRecord, plugin: PluginKey | None) -> tuple[str, int, str, PluginKey | None]:
    return record.name, record.levelno, record.getMessage(), plugin


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    one = Log(tmp_path, logging.DEBUG)
    yield one
    one.close()


HELD = (
    "plugin.p - WARNING - Plugin p is held at event 7 (callback cb): it failed. It goes on from that very event once the plugin's "
    "file changes; `callsheet release p` lets it go on as it is.\n"
)
LOST = {"site": "s", "error": "no route", "of": 3, "retry_in": 4.0, "refused": False, "url": "https://x"}
FAILED = {
    "site": "s",
    "plugin": "p",
    "callback": "cb",
    "event_id": 7,
    "delivery_id": 70,
    "attempt": 2,
    "legacy": False,
    "logged": False,
}
FAILURE = Failure("ValueError", "bad shot\nand more", 'Traceback:\n  File "p.py", line 3, in cb\nValueError: bad shot', "{'x': 1}")


@pytest.mark.parametrize(
    ("name", "facts", "file", "expected"),
    [
        ("site.newest", {"site": "s", "event_id": 12}, "daemon", "engine - INFO - Last event id (12) from the SG database.\n"),
        (
            "events.read",
            {"site": "s", "count": 3, "first": 5, "last": 9, "seconds": 0.1, "late": 0},
            "daemon",
            "engine - DEBUG - Got 3 events: 5 to 9.\n",
        ),
        ("events.read", {"site": "s", "count": 0, "first": None, "last": None, "seconds": 0.1, "late": 0}, "daemon", ""),
        (
            "plugin.loading",
            {"site": "s", "plugin": "p", "path": "/x/p.py"},
            "daemon",
            "engine - INFO - Loading plugin at /x/p.py\n",
        ),
        (
            "plugin.reloading",
            {"site": "s", "plugin": "p", "path": "/x/p.py"},
            "daemon",
            "engine - INFO - Reloading plugin at /x/p.py\n",
        ),
        ("gap.opened", {"site": "s", "first": 4, "last": 4}, "daemon", "engine - INFO - Adding event id 4 to backlog.\n"),
        ("gap.opened", {"site": "s", "first": 4, "last": 6}, "daemon", "engine - INFO - Adding event ids 4-6 to backlog.\n"),
        ("gap.filled", {"site": "s", "event_id": 4, "plugin": None}, "daemon", "engine - INFO - Processed id 4 from backlog.\n"),
        ("gap.filled", {"site": "s", "event_id": 4, "plugin": "p"}, "plugin.p", "plugin.p - INFO - Processed id 4 from backlog.\n"),
        (
            "gap.expired",
            {"site": "s", "first": 4, "last": 4, "plugin": None},
            "daemon",
            "engine - WARNING - Timeout elapsed on backlog event id 4.\n",
        ),
        (
            "gap.expired",
            {"site": "s", "first": 4, "last": 6, "plugin": "p"},
            "plugin.p",
            "plugin.p - WARNING - Timeout elapsed on backlog event ids 4-6.\n",
        ),
        ("gap.ignored", {"site": "s", "first": 4, "last": 4}, "daemon", "engine - INFO - Event 4 never happened - ignoring.\n"),
        ("gap.ignored", {"site": "s", "first": 4, "last": 9}, "daemon", "engine - INFO - Events 4-9 never happened - ignoring.\n"),
        (
            "lane.held",
            {"site": "s", "plugin": "p", "lane": "plugin", "event_id": 7, "callback": "cb", "why": "it failed.\nAnd more"},
            "plugin.p",
            HELD,
        ),
    ],
)
def test_signal_is_told_in_the_words_operators_grep_for(
    log: Log, name: str, facts: dict[str, Any], file: str, expected: str
) -> None:
    emit(name, **facts)

    assert log.body(file) == expected


def test_lost_site_warns_and_each_last_attempt_is_an_error(log: Log) -> None:
    for attempt in range(1, 7):
        emit("site.lost", **LOST, attempt=attempt)

    told = re.findall(r"engine - (\w+) - Unable to connect to SG \((attempt \d of 3)\): no route", log.body())
    once = [("WARNING", "attempt 1 of 3"), ("WARNING", "attempt 2 of 3"), ("ERROR", "attempt 3 of 3")]
    assert told == once * 2
    assert "[https://x; next try in 4.0 s]" in log.body()


def test_refusing_site_is_an_error_at_once_and_names_the_cure(log: Log) -> None:
    emit("site.lost", **{**LOST, "refused": True}, attempt=1)

    assert log.body().startswith("engine - ERROR - Unable to connect to SG (attempt 1 of 3): no route")
    assert "check the script's name, key and permissions" in log.body()


def test_failure_told_by_the_worker_is_not_told_twice(log: Log) -> None:
    emit("delivery.failed", **{**FAILED, "logged": True}, state=State.HELD.word, failure=FAILURE, due=None)
    assert log.text("plugin.p") == ""

    emit("delivery.failed", **{**FAILED, "logged": True}, state=State.DEAD.word, failure=FAILURE, due=None)
    assert "plugin.p.cb - WARNING - Event 7: failed (ValueError: bad shot) and is not tried again" in log.body("plugin.p")
    assert "Traceback" not in log.text("plugin.p")
    assert log.alarms == []


@pytest.mark.parametrize("state", [State.HELD, State.DEAD])
def test_a_legacy_failure_that_the_worker_left_to_the_daemon_reads_as_in_shotgun_events(log: Log, state: State) -> None:
    emit("delivery.failed", **{**FAILED, "legacy": True, "raised": True}, state=state.word, failure=FAILURE, due=None)

    text = log.body("plugin.p")
    assert text.startswith("plugin.p.cb - CRITICAL - An error occured processing an event.\n\nTraceback")
    assert "Local variables at outer most frame in plugin:\n\n{'x': 1}" in text
    assert [level for _, level, _, _ in log.alarms] == [logging.CRITICAL]


def test_dead_delivery_is_an_error_with_traceback_and_the_way_back(log: Log) -> None:
    emit("delivery.failed", **FAILED, state=State.DEAD.word, failure=FAILURE, due=None)

    text = log.body("plugin.p")
    assert text.startswith("plugin.p.cb - ERROR - Event 7: failed (ValueError: bad shot) and is not tried again")
    assert "`callsheet retry 70`" in text
    assert 'File "p.py", line 3, in cb' in text
    assert "{'x': 1}" in text
    assert [(name, plugin) for name, _, _, plugin in log.alarms] == [("plugin.p.cb", PluginKey("s", "p"))]


def test_held_lane_is_named_where_the_plugin_has_several(log: Log) -> None:
    emit("lane.held", site="s", plugin="p", lane="Shot:862", event_id=7, callback="cb", why="it failed")

    assert "Lane Shot:862 is held at event 7" in log.body("plugin.p")


def test_retry_says_when_the_next_try_is(log: Log) -> None:
    emit("delivery.failed", **FAILED, state=State.RETRYING.word, failure=None, due=time.time() + 90)

    assert re.search(r"WARNING - Event 7: attempt 2 failed\. Next try in (89|90) s, at \d\d:\d\d:\d\d\.", log.text("plugin.p"))


def test_wish_of_a_callback_is_told_without_a_traceback(log: Log) -> None:
    wish = Failure("Retry", "farm is full", "Traceback: raise Retry")
    emit("delivery.failed", **FAILED, state=State.RETRYING.word, failure=wish, due=None)

    assert (
        log.body("plugin.p")
        == "plugin.p.cb - WARNING - Event 7: attempt 2 failed (Retry: farm is full). It is tried again at once.\n"
    )


def test_attempt_that_its_worker_s_end_cut_short_is_not_called_a_failure(log: Log) -> None:
    lost = Failure("WorkerLost", "The worker was killed by signal 9 (SIGKILL) during this delivery. Look at the log.")
    emit("delivery.failed", **{**FAILED, "attempt": 0}, state=State.RETRYING.word, failure=lost, due=None)

    assert log.body("plugin.p").startswith(
        "plugin.p.cb - WARNING - Event 7: interrupted (WorkerLost: The worker was killed by signal 9"
    )


def test_id_file_that_can_not_be_imported_is_a_warning(log: Log) -> None:
    emit("state.imported", site="s", source="/x/id", plugins={}, problem="the file is empty.")
    emit("state.imported", site="s", source="/x/id", plugins={f"p{number}": number for number in range(12)})

    first, second = log.body().splitlines()
    assert first == "engine - WARNING - Nothing is imported from /x/id: the file is empty."
    assert second.startswith("engine - INFO - Imported from /x/id where 12 plugins stand: p0 at 0, ")
    assert second.endswith("p9 at 9 and 2 more.")


def test_broken_plugin_is_told_with_the_signal_s_level_and_logger(log: Log) -> None:
    facts = {"site": "s", "plugin": "p", "path": "/x/p.py", "where": "register", "passing": False}
    emit(
        "plugin.broken",
        **facts,
        problem="Did not find a registerCallbacks function in plugin at /x/p.py.",
        level="CRITICAL",
        logger="engine",
    )
    emit("plugin.broken", **facts, problem="Could not load the plugin at /x/p.py.\n\ntb", level="ERROR", logger="plugin.p")

    assert log.body().startswith("engine - CRITICAL - Did not find a registerCallbacks function in plugin at /x/p.py.\n")
    assert log.body("plugin.p").startswith("plugin.p - ERROR - Could not load the plugin at /x/p.py.\n\ntb\n")
    assert "once /x/p.py changes, it is loaded again, and goes on from where it stands" in log.body("plugin.p")
    assert [plugin for *_, plugin in log.alarms] == [None, PluginKey("s", "p")]


def test_plugin_that_is_loaded_again_by_itself_is_a_warning_that_says_so(log: Log) -> None:
    facts = {"site": "s", "plugin": "p", "path": "/x/p.py", "where": "site", "level": "WARNING", "logger": "engine"}
    emit("plugin.broken", **facts, problem="The site failed while the plugin at /x/p.py loaded.\n\nread: 503", passing=True)
    assert log.body().startswith("engine - WARNING - The site failed while the plugin at /x/p.py loaded.\n\nread: 503\n")
    assert "it is loaded again by itself, ever later up to a minute apart, and goes on from where it stands" in log.body()
    assert not log.alarms


def test_record_of_a_worker_keeps_its_name_level_and_time(log: Log) -> None:
    created = 1_700_000_000.25
    record = {"name": "plugin.a.b.cb", "levelno": 25, "levelname": "NOTICE", "message": "100 % done %s", "created": created}
    emit("plugin.record", site="s", plugin="a.b", record=record)

    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created))
    assert log.text("plugin.a.b") == f"{stamp},250 - plugin.a.b.cb - NOTICE - 100 % done %s\n"
    assert log.text("plugin.a") == ""


def test_record_with_nothing_in_it_is_still_a_line(log: Log) -> None:
    emit("plugin.record", site="s", plugin="p", record={})

    assert log.body("plugin.p") == "plugin.p - INFO - \n"


def test_record_below_the_configured_level_passes_since_the_worker_has_decided(tmp_path: Path) -> None:
    log = Log(tmp_path, logging.WARNING)
    emit("plugin.record", site="s", plugin="p", record={"levelno": 10, "message": "reg.logger.setLevel(DEBUG)"})
    log.close()

    assert "DEBUG - reg.logger.setLevel(DEBUG)" in log.text("plugin.p")


def test_secret_is_cut_out_of_any_line(log: Log) -> None:
    emit("plugin.record", site="s", plugin="p", record={"message": f"connecting with {KEY}"})
    emit("plugin.output", site="s", plugin="p", stream="stdout", text=f"key={KEY}\n")
    emit("service.failed", service="intake", error=f"locals: {KEY}", retry_in=1.0, defect=True)

    assert KEY not in log.text("plugin.p") + log.text() + str(log.alarms)
    assert "[stdout] key=***" in log.text("plugin.p")


def test_site_is_named_only_where_there_are_several(tmp_path: Path) -> None:
    log = Log(tmp_path, several=True)
    emit("site.newest", site="tokyo", event_id=3)
    emit("plugin.record", site="tokyo", plugin="p", record={"message": "hello"})
    emit("daemon.stopped", seconds=1.0)
    log.close()

    assert log.body() == "engine - INFO - [tokyo] Last event id (3) from the SG database.\nengine - INFO - Stopped after 1.0 s.\n"
    assert log.body("plugin.p") == "plugin.p - INFO - [tokyo] hello\n"


def test_signal_that_can_not_be_told_ends_neither_the_log_nor_goes_unsaid(log: Log) -> None:
    emit("site.lost", site="s")
    emit("site.newest", site="s", event_id=12)

    assert "engine - ERROR - The signal site.lost could not be put into words (KeyError('of'))" in log.body()
    assert "Last event id (12)" in log.body()


def test_quiet_log_does_not_listen_to_what_it_would_drop(tmp_path: Path) -> None:
    log = Log(tmp_path, logging.INFO)
    heard = [name for name in ("events.read", "events.routed", "worker.started", "delivery.settled") if listening(name)]
    log.close()

    assert heard == []


def test_every_signal_is_told_or_left_out_for_a_reason() -> None:
    left_out = {
        "plugin.record": "a record already",
        "plugin.output": "folded before it is told",
        "plugin.emails": "for the mail alone",
        "mail.sent": "one per mail; that mails get through again shows in `status`",
        "cascade.stopped": "the delivery fails with that reason, and delivery.failed tells it",
        "delivery.settled": "one per callback that ran: the timing log's",
    }

    assert set(TABLE) | set(left_out) == set(SIGNALS)
    assert not set(TABLE) & set(left_out)


def test_every_line_can_be_made_from_the_facts_that_its_signal_promises(log: Log) -> None:
    samples: dict[str, Any] = {"plugins": {"p": 3}, "callbacks": ("cb",), "state": State.DEAD.word, "failure": FAILURE, "due": None}
    numbers = (
        "memory",
        "limit",
        "deaths",
        "attempt",
        "of",
        "retry_in",
        "seconds",
        "count",
        "first",
        "last",
        "event_id",
        "delivery_id",
        "pid",
        "waiting",
    )

    for name in TABLE:
        facts = [fact.split()[0] for fact in re.sub(r"\(.*?\)|:.*| or None", "", SIGNALS[name]).split(",")]
        emit(name, **{fact: samples.get(fact, 1 if fact in numbers else "x") for fact in facts})

    assert "could not be put into words" not in log.text() + log.text("plugin.x")


def test_flood_of_prints_is_folded_and_counted(log: Log) -> None:
    log.lines.close()
    fold = OutputThrottle()
    facts = {"site": "s", "plugin": "p", "stream": "stdout", "text": "x\n"}
    told = [text for _ in range(MOST + 300) for text in fold.admit(facts, 10.5)]

    assert len(told) == MOST + 1
    assert told[-1] == f"The plugin printed more than {MOST} lines in a second; the rest of that second is left out."
    assert fold.admit({**facts, "plugin": "other"}, 10.6) == ["[stdout] x"]
    assert fold.admit(facts, 11.6) == ["300 printed lines were left out.", "[stdout] x"]
    assert fold.rest() == []


def test_close_tells_what_was_left_out_and_leaves_nothing_behind(tmp_path: Path) -> None:
    handlers, listeners = list(logging.getLogger().handlers), dict(telemetry._listeners)
    site = SiteSettings("s", "https://x", "script", Secret(KEY), ())
    settings = Settings(tmp_path / "x.conf", tmp_path, (site,), log=LogSettings(path=tmp_path, file="daemon", mode=1, timing=True))
    logging_ = start(settings, foreground=False, api_version="3.10.0")
    emit("plugin.loading", site="s", plugin="p", path="/x/p.py")
    now = time.time()
    for _ in range(MOST + 5):
        logging_._lines(telemetry.Signal("plugin.output", {"site": "s", "plugin": "p", "stream": "stdout", "text": "x"}, now))
    logging_.close()

    assert "engine - INFO - Using SG Python API version 3.10.0\n" in (tmp_path / "daemon").read_text()
    assert (tmp_path / "plugin.p").read_text().endswith("plugin.p - INFO - 5 printed lines were left out.\n")
    assert logging.getLogger().handlers == handlers
    assert telemetry._listeners == listeners


def test_listener_that_records_engine_lines_of_a_worker_goes_to_the_engine_s_file(log: Log) -> None:
    emit("plugin.record", site="s", plugin="p", record={"name": "engine", "levelno": 50, "message": "from a plugin"})

    assert log.body() == "engine - CRITICAL - from a plugin\n"
    assert [plugin for *_, plugin in log.alarms] == [None]


def test_mail_thread_and_lines_do_not_feed_each_other(log: Log) -> None:
    heard: list[str] = []

    def listen(signal: telemetry.Signal) -> None:
        heard.append(signal.name)

    subscribe(listen)
    emit("mail.failed", server="mx:25", error="refused", waiting=2, dropped=0)
    unsubscribe(listen)

    assert "engine - WARNING - Mail through mx:25 failed: refused. 2 mails wait" in log.body()
    assert log.alarms == []
    assert heard == ["mail.failed"]


EVIL = "SH\n2026-11-22 03:40:10,123 - engine - CRITICAL - forged\r\x1b[2J"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_fact_that_anybody_wrote_makes_no_line_of_its_own(log: Log, name: str) -> None:
    """Of every signal: each fact that is a text says something evil."""
    texts = dict.fromkeys(set(re.findall(r"\w+", SIGNALS[name])) - {"name", "at"}, EVIL)
    numbers = dict.fromkeys(["seconds", "retry_in", "attempt", "of", "memory", "limit", "waiting", "deaths", "pid"], 2)
    others = {"callbacks": [EVIL], "plugins": {EVIL: 1}, "due": None, "count": 2, "state": "dead", "level": "ERROR"}
    failure = {"failure": Failure(f"K{EVIL}", EVIL, f"Traceback\n{EVIL}", EVIL)}
    more = {"plugins": EVIL} if name.startswith("worker") else {}

    emit(name, **texts | numbers | others | failure | more)

    assert log.files.flush(30)
    told = [path.read_text("utf-8") for path in log.folder.iterdir()]
    assert not [text for text in told if "could not be put into words" in text], told
    for line in (line for text in told for line in text.splitlines()):
        assert not line.startswith("2026-11-22"), line
        assert not set("\r\x1b") & set(line)


def test_lines_of_the_toml_kind_say_which_event_and_delivery_they_are_about(tmp_path: Path) -> None:
    log = Log(tmp_path, logging.DEBUG, ids=True)
    record = {"name": "plugin.a.react", "levelno": logging.INFO, "message": "now\nmore of it", "event_id": 7, "delivery_id": 3}
    emit("plugin.record", site="studio", plugin="a", record=record)
    emit("plugin.record", site="studio", plugin="a", record=record | {"message": "about event 75", "delivery_id": None})
    emit("plugin.record", site="studio", plugin="a", record=record | {"message": "Event 7 came"})
    emit("plugin.record", site="studio", plugin="a", record={"name": "plugin.a", "message": "of nothing"})
    assert log.body("plugin.a").splitlines() == [
        "plugin.a.react - INFO - now [event 7, delivery 3]",
        "more of it",
        "plugin.a.react - INFO - about event 75 [event 7]",
        "plugin.a.react - INFO - Event 7 came [delivery 3]",
        "plugin.a - INFO - of nothing",
    ]
    log.close()

"""The daemon's words as frames for a worker, and a worker's as the daemon's. The contract: ``callsheet.wire.frames``.

A worker runs code that is not ours: whatever it says is looked at here (``checks``) before the daemon takes it for a value.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from callsheet.agent.options import LONGEST, MOST_SLOTS
from callsheet.domain.callback import AttributeRule, Callback, CallbackKey, Links, OnDead, RetryPolicy, Rule
from callsheet.domain.delivery import Delivery, Failure, Report, Run, Verdict
from callsheet.domain.plugin import ImportedFile, Manifest, PluginFile, PluginImports
from callsheet.errors import ProtocolError
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.wire import frames
from callsheet.wire.texts import LONGEST_NAME, LONGEST_RECORD, cut_short, storable
from callsheet.workers import checks, load_failures
from callsheet.workers.checks import Finding

STOP = frames.encode({"is": "stop"})

_VERDICTS = {one.value: one for one in (Verdict.OK, Verdict.FAILED, Verdict.RETRY, Verdict.SKIP, Verdict.GIVE_UP, Verdict.TIMEOUT)}
"""What a worker may say of an attempt."""
_LONGEST_MARK = 64
_OK, _OK_HAS = Verdict.OK, len(("is", "run", "delivery", "verdict", "started", "ended"))

ASIDES = {
    "call": ("plugin", "module", "function"),
    "called": (),
    "spoiled": ("plugin", "problem"),
    "answer": (),
    "opened": (),
    "trouble": ("kind", "problem", "cure"),
}
"""What a worker says beside its deliveries, and which of it are texts."""

_FAILURE = {"kind": 200, "text": 20_000, "traceback": 100_000, "locals": 100_000}
"""Letters that are kept of each part of a failure."""

_ON_DEAD: dict[str, OnDead] = {"continue": "continue", "hold": "hold"}

_PROBLEM = 100_000
"""Letters that are kept of why a plugin can't be used."""

_MOST_FILES = 10_000
"""Files of modules that are watched for one message of a worker's."""

_RECORD = LONGEST_RECORD + 100
"""Letters that are kept of a log record, should a worker send more; its own remark on what it has cut has room."""


def setup_message(setup: WorkerConfig, toolkit: Mapping[str, Any] | None = None) -> frames.Message:
    """The first message to a worker. It holds keys in clear: it goes through the pipe and nowhere else."""
    return {
        "is": "setup",
        "site": setup.site,
        "url": setup.url,
        "script": setup.script,
        "key": setup.key.reveal(),
        "proxy": setup.proxy,
        "timeout": setup.timeout,
        "use_session_uuid": setup.use_session_uuid,
        "argv0": setup.argv0,
        "helpers": list(setup.helpers),
        "level": setup.level,
        "cascade": setup.cascade,
        "client": client_folder(),
        "config": {name: dict(values) for name, values in setup.config.items()},
        "toolkit": toolkit,
    }


@cache
def client_folder() -> str | None:
    """The folder of the daemon's own ``shotgun_api3``."""
    found = importlib.util.find_spec("shotgun_api3")
    return str(Path(found.origin).parent.parent) if found is not None and found.origin else None


def load_message(setup: WorkerConfig, plugin: PluginFile) -> frames.Message:
    """Has a worker load a plugin."""
    name = plugin.key.name
    timeout = setup.deadline_of(name)
    flags = {"hosted": name in setup.hosted, "as_is": plugin.as_is}
    return {"is": "load", "plugin": name, "path": plugin.path, "timeout": timeout, **flags}


def recall_frame(plugin: str, runs: Sequence[int]) -> bytes:
    """The frame that takes runs of a plugin back: what was not begun in them is not begun any more."""
    return frames.encode({"is": "recall", "plugin": plugin, "runs": list(runs)})


def calls_of(run: Run, callbacks: Mapping[CallbackKey, Callback]) -> tuple[int, ...]:
    """How many deliveries of a run are called together, call by call; empty where each is called for itself.

    In a batch are only those with as many attempts behind them, so that they come due together if they fail again; and one that had
    a part in a worker's death is called by itself, so that the guilty one shows.
    """
    plugin = run.plugin
    if not any((one.batch > 1 or one.settle) and one.key.plugin == plugin for one in callbacks.values()):
        return ()
    sizes: list[int] = []
    head: Delivery | None = None
    for delivery in run.deliveries:
        callback = callbacks.get(delivery.callback)
        if head is None or callback is None or not _joins(delivery, head, sizes[-1], callback):
            sizes.append(0)
            head = delivery
        sizes[-1] += 1
    return tuple(sizes)


def _joins(delivery: Delivery, head: Delivery, size: int, callback: Callback) -> bool:
    if delivery.callback != head.callback:
        return False
    if callback.settle:
        return True
    return size < callback.batch and delivery.attempts == head.attempts and not delivery.crashes and not head.crashes


def run_frame(run: Run, callbacks: Mapping[CallbackKey, Callback], calls: Sequence[int] = ()) -> bytes:
    """The frame that hands out a run. Events stay the text that they are: they are joined, not encoded again."""
    words: dict[str, str] = {}
    parts = []
    before = None
    for delivery in run.deliveries:
        name = delivery.callback.name
        word = words.get(name)
        if word is None:
            word = words[name] = json.dumps(name)
        # By its text: events of the log that a site had before may have the same ids.
        event = "null" if delivery.payload == before else delivery.payload
        before = delivery.payload
        go_on = "true" if _goes_on(callbacks.get(delivery.callback), delivery) else "false"
        parts.append(f"[{delivery.id},{word},{delivery.attempts + 1},{go_on},{event}]")
    together = f'"calls":{json.dumps(calls)},' if calls else ""
    recorded = max(delivery.recorded_at for delivery in run.deliveries)
    about = f'"run":{run.id},"plugin":{json.dumps(run.plugin.name)},"recorded":{recorded:.6f}'
    head = f'{{"is":"run",{about},{together}"deliveries":['
    return frames.frame(f"{head}{','.join(parts)}]}}".encode("utf-8", "surrogatepass"))


def run_message(run: Run, callbacks: Mapping[CallbackKey, Callback]) -> frames.Message:
    """The same, decoded: for a plugin that runs in this process."""
    message: frames.Message = json.loads(run_frame(run, callbacks, calls_of(run, callbacks))[frames.LENGTH.size :])
    return message


def _goes_on(callback: Callback | None, delivery: Delivery) -> bool:
    # The lane may go on behind a failure only if that is sure to be for good, and the callback does not hold its lane then.
    return callback is not None and callback.on_dead == "continue" and delivery.attempts + 1 >= callback.retry.attempts


def manifest(message: Mapping[str, Any], setup: WorkerConfig, plugin: PluginFile) -> Manifest:
    """What the worker said of its plugin. Where that makes no sense the plugin is broken, and the manifest says why."""
    try:
        return Manifest(
            plugin=plugin.key,
            generation=plugin.generation,
            callbacks=_callbacks(message["callbacks"], setup, plugin),
            problem=None if message["problem"] is None else checks.told("problem", message["problem"], _PROBLEM),
            where=checks.told("where", message["where"]),
            level=checks.told("level", message["level"]),
            logger=checks.told("logger", message["logger"]),
            pid=checks.whole("pid", message["pid"]),
            python=checks.told("python", message["python"]),
            passing=bool(message.get("passing")),
            later={one["name"]: one["after"] for one in message["callbacks"] if checks.is_whole(one.get("after"))},
        )
    except (Finding, KeyError, TypeError, ValueError, AttributeError) as error:
        return load_failures.not_understood(plugin, str(error) if isinstance(error, Finding) else repr(error))


def imports(message: Mapping[str, Any], plugin: PluginFile) -> PluginImports:
    """The modules that the worker's plugin has imported. Raises ProtocolError for what says nothing of files."""
    files = message.get("files")
    if not isinstance(files, list):
        raise ProtocolError(f"it told of imports {files!r:.200}")
    found = (_imported_file(one) for one in files[:_MOST_FILES])
    return PluginImports(plugin.key, plugin.generation, tuple(one for one in found if one is not None))


def _imported_file(told: object) -> ImportedFile | None:
    """None for what can't be a file."""
    if not isinstance(told, list) or len(told) != len(ImportedFile._fields):
        return None
    path, mtime, size = told
    if not checks.is_path(path) or not (mtime is None or checks.is_moment(mtime)) or not (size is None or checks.is_whole(size)):
        return None
    return ImportedFile(path, mtime if mtime is None else float(mtime), size)


def report(message: Mapping[str, Any], since: float = 0.0) -> Report:
    """What the worker said of one attempt.

    What can't be kept of it is the failure of that delivery; times that can't be (before ``since``, or in the future: somebody has
    replaced the clock) are the present. Raises ProtocolError where it can't be told which delivery it is of.
    """
    run, delivery = message.get("run"), message.get("delivery")
    if type(run) is not int or type(delivery) is not int:
        raise ProtocolError(f"it reported something else than a delivery: {message!r:.200}")
    started, ended = _times(message.get("started"), message.get("ended"), since)
    mark = _mark(message)
    if len(message) == _OK_HAS + ("mark" in message) and message.get("verdict") == "ok":  # there can be 50,000 of them a second
        return Report(run, delivery, _OK, started, ended, mark=mark)
    try:
        verdict = _VERDICTS[message["verdict"]]
        after = None if message.get("after") is None else checks.seconds("after", message["after"])
        failure = None if message.get("failure") is None else _failure(message["failure"])
    except (Finding, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, Finding) else f"no verdict can be {error}"
        text = f"What the worker reported of this delivery can't be kept: {why}. Look at what the callback raised, or said of it."
        return Report(run, delivery, Verdict.FAILED, started, ended, Failure("BadReport", storable(text)))
    logged, passing, shares, client = (bool(message.get(name)) for name in ("logged", "passing", "shares", "client"))
    return Report(run, delivery, verdict, started, ended, failure, after, logged, passing, shares, client, mark)


def _mark(message: Mapping[str, Any]) -> str:
    mark = message.get("mark", "")
    return mark if isinstance(mark, str) and mark.isascii() and len(mark) <= _LONGEST_MARK else ""


def record(message: Mapping[str, Any], since: float = 0.0) -> dict[str, Any]:
    """A log record, as ``plugin.record`` has it; what makes no sense in it gives way to what every record has."""
    created = message.get("created")
    known = {
        "levelno": checks.is_whole(message.get("levelno"), 0, 1000),
        "lineno": checks.is_whole(message.get("lineno"), 0),
        "created": created == _times(created, created, since)[0],
        "event_id": checks.is_whole(message.get("event_id")),
        "delivery_id": checks.is_whole(message.get("delivery_id"), 1),
    }
    kept = {name: message[name] for name, good in known.items() if good}
    for name in ("name", "levelname", "pathname", "funcName"):
        kept[name] = str(message.get(name) or "")[:1000]
    return {**kept, "message": cut_short(str(message.get("message") or ""), _RECORD)}


def emails(message: Mapping[str, Any]) -> bool | list[str]:
    """Whom a plugin wants mails to go to. Raises ProtocolError for what is neither a flag nor addresses."""
    said = message.get("emails")
    if isinstance(said, bool):
        return said
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise ProtocolError(f"it wants mails to go to {said!r:.200}")
    # One that can't be written must not keep a mail from the others: what is left of it is for the mail server to refuse.
    return [storable(" ".join(one.split()), LONGEST_NAME) for one in said]


def aside(message: frames.Message) -> frames.Message:
    """What a worker says of calls and of its Toolkit, as it is. Raises ProtocolError for what can't be taken note of."""
    kind = message["is"]
    good = all(isinstance(message.get(name), str) for name in ASIDES[kind])
    if kind in ("call", "called", "answer"):
        good = good and type(message.get("call")) is int
    if kind == "call":
        timeout = message.get("timeout")
        good = good and type(message.get("project")) in (int, str) and "arguments" in message
        good = good and (timeout is None or (type(timeout) in (int, float) and 0 <= timeout <= LONGEST))
    if not good:
        raise ProtocolError(f"it said {message!r:.200}")
    return message


def _times(started: Any, ended: Any, since: float) -> tuple[float, float]:
    now = time.time()
    try:
        sane = since - checks.CLOCK_STEP <= started <= ended <= now + checks.CLOCK_STEP
    except TypeError:
        sane = False
    return (started, ended) if sane else (now, now)


def _failure(said: Any) -> Failure:
    if not isinstance(said, dict):
        raise Finding("failure", said, "an object")
    return Failure(**{name: checks.told(name, said.get(name) or "", most) for name, most in _FAILURE.items()})


def _callbacks(said: Any, setup: WorkerConfig, plugin: PluginFile) -> tuple[Callback, ...]:
    found = tuple(_callback(one, setup, plugin) for one in said)
    names = [one.key.name for one in found]
    if len(set(names)) < len(names):
        raise Finding("callbacks", names, "one of each name")
    return found


def _callback(said: Mapping[str, Any], setup: WorkerConfig, plugin: PluginFile) -> Callback:
    return Callback(
        key=CallbackKey(plugin.key, checks.name("name", said["name"])),
        ordinal=checks.whole("ordinal", said["ordinal"]),
        filter={checks.word("filter", event_type): _rule(rule) for event_type, rule in said["filter"].items()},
        lane=checks.word("lane", said["lane"]),
        retry=_retry(setup.retry, said["retry"] or {}),
        on_dead=_ON_DEAD[said["on_dead"]],
        timeout=setup.deadline_of(plugin.key.name) if said["timeout"] is None else checks.seconds("timeout", said["timeout"]),
        slots=checks.whole("slots", said["slots"], 1, MOST_SLOTS),
        fields=checks.words("fields", said["fields"]),
        where=bool(said["where"]),
        toolkit=bool(said["toolkit"]),
        legacy=bool(said["legacy"]),
        only={checks.word("only", what): _links(links) for what, links in said["only"].items()},
        ignore_own="script" if said["ignore_own"] == "script" else bool(said["ignore_own"]),
        script=checks.word("script", said["script"]),
        batch=checks.whole("batch", said["batch"], 1),
        settle=checks.seconds("settle", said["settle"]),
    )


def _rule(said: Mapping[str, Any]) -> AttributeRule:
    values = frozenset(checks.words("values", said.get("values", [])))
    return AttributeRule(Rule(said["rule"]), values, checks.word("text", said.get("text", "")))


def _retry(default: RetryPolicy, said: Mapping[str, Any]) -> RetryPolicy:
    fields: dict[str, Any] = {}
    for name, value in said.items():
        if name in ("attempts", "crashes"):
            fields[name] = checks.whole(name, value, 1)
        else:
            fields[name] = None if name == "max_age" and value is None else checks.seconds(name, value)
    return replace(default, **fields)


def _links(said: Mapping[str, Any]) -> Links:
    return Links(
        frozenset(checks.whole("ids", one, None, None) for one in said.get("ids", ())),
        frozenset(checks.words("names", said.get("names", []))),
        frozenset(checks.words("types", said.get("types", []))),
        frozenset((checks.word("type", kind), checks.whole("id", number, None, None)) for kind, number in said.get("exact", ())),
    )

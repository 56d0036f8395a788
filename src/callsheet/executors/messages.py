"""The daemon's words as frames for a worker, and a worker's as the daemon's. The contract: ``callsheet.agent.protocol``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from callsheet.agent import protocol
from callsheet.errors import ProtocolError
from callsheet.executors.access import WorkerSetup
from callsheet.filters import AttributeRule, Links, Rule
from callsheet.model import Callback, CallbackKey, Delivery, Failure, Manifest, PluginFile, Report, Run, Verdict

STOP = protocol.encode({"is": "stop"})

_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def setup_message(setup: WorkerSetup, toolkit: Mapping[str, Any] | None = None) -> protocol.Message:
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
        "config": {name: dict(values) for name, values in setup.config.items()},
        "toolkit": toolkit,
    }


def load_message(setup: WorkerSetup, plugin: PluginFile) -> protocol.Message:
    """Has a worker load a plugin."""
    name = plugin.key.name
    return {"is": "load", "plugin": name, "path": plugin.path, "hosted": name in setup.hosted}


def recall_frame(plugin: str, runs: Sequence[int]) -> bytes:
    """The frame that takes runs of a plugin back: what was not begun in them is not begun any more."""
    return protocol.encode({"is": "recall", "plugin": plugin, "runs": list(runs)})


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
        event = "null" if delivery.event_id == before else delivery.payload
        before = delivery.event_id
        go_on = "true" if _goes_on(callbacks.get(delivery.callback), delivery) else "false"
        parts.append(f"[{delivery.id},{word},{delivery.attempts + 1},{go_on},{event}]")
    together = f'"calls":{json.dumps(calls)},' if calls else ""
    head = f'{{"is":"run","run":{run.id},"plugin":{json.dumps(run.plugin.name)},{together}"deliveries":['
    return protocol.frame(f"{head}{','.join(parts)}]}}".encode("utf-8", "surrogatepass"))


def run_message(run: Run, callbacks: Mapping[CallbackKey, Callback]) -> protocol.Message:
    """The same, decoded: for a plugin that runs in this process."""
    message: protocol.Message = json.loads(run_frame(run, callbacks, calls_of(run, callbacks))[protocol.LENGTH.size :])
    return message


def _goes_on(callback: Callback | None, delivery: Delivery) -> bool:
    # The lane may go on behind a failure only if that is sure to be for good, and the callback does not hold its lane then.
    return callback is not None and callback.on_dead == "continue" and delivery.attempts + 1 >= callback.retry.attempts


def manifest(message: Mapping[str, Any], setup: WorkerSetup, plugin: PluginFile) -> Manifest:
    """What the worker said of its plugin. Raises ProtocolError when it makes no sense."""
    try:
        return Manifest(
            plugin=plugin.key,
            generation=plugin.generation,
            callbacks=tuple(_callback(one, setup, plugin) for one in message["callbacks"]),
            problem=message["problem"],
            where=message["where"],
            level=message["level"],
            logger=message["logger"],
            pid=message["pid"],
            python=message["python"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(
            f"The worker of {plugin.key} described it in a way that Callsheet does not understand: {error!r}"
        ) from error


def report(message: Mapping[str, Any]) -> Report:
    """What the worker said of one attempt. Raises KeyError for a word missing or unknown."""
    failure = message.get("failure")
    return Report(
        message["run"],
        message["delivery"],
        _VERDICTS[message["verdict"]],
        message["started"],
        message["ended"],
        None if failure is None else Failure(**failure),
        message.get("after"),
        message.get("logged", False),
        message.get("passing", False),
        message.get("shares", False),
    )


def _callback(said: Mapping[str, Any], setup: WorkerSetup, plugin: PluginFile) -> Callback:
    return Callback(
        key=CallbackKey(plugin.key, said["name"]),
        ordinal=said["ordinal"],
        filter={
            event_type: AttributeRule(Rule(rule["rule"]), frozenset(rule.get("values", ())), rule.get("text", ""))
            for event_type, rule in said["filter"].items()
        },
        lane=said["lane"],
        retry=replace(setup.retry, **(said["retry"] or {})),
        on_dead=said["on_dead"],
        timeout=setup.deadline_of(plugin.key.name) if said["timeout"] is None else said["timeout"],
        slots=said["slots"],
        fields=tuple(said["fields"]),
        where=said["where"],
        toolkit=said["toolkit"],
        legacy=said["legacy"],
        only={what: Links.of(links) for what, links in said["only"].items()},
        ignore_own=said["ignore_own"],
        script=said["script"],
        batch=said["batch"],
        settle=said["settle"],
    )

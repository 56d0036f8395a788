"""What a callback is called with: the same under both daemons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callsheet.sandbox import Sandbox
from tests.support.legacy_install import BOTH, Daemon, Install
from tests.support.reference import needs_reference

both = pytest.mark.parametrize("daemon", BOTH)

ODD_METAS: tuple[Any, ...] = (
    None,
    {},
    "text that is no JSON",
    '{"type": "attribute_change"}',
    ["2026-11-22T03:40:10Z", {"deep": [["2026-01-02T03:04:05Z"]]}],
    {"old_value": "2026-11-22T03:40:10Z", "new_value": "2026-11-22", "almost": "2026-11-22T03:40:1Z", "none": None},
    {"added": [{"type": "Shot", "id": 1, "name": "é \U0001f3ac"}], "removed": [], "in_create": True, "number": 1.5},
)


@pytest.mark.parametrize("daemons", [pytest.param(list(Daemon), marks=needs_reference)])
def test_events_are_equal_in_keys_values_and_types(daemons: list[Daemon], site: Sandbox, tmp_path: Path) -> None:
    # Given events as a site has them: real edits, and metas of every sort
    body = """
        def seen(sg, logger, event, args):
            note(event=event["id"], told=told(event), order=list(event))
    """
    start = site.events()[-1]["id"]
    sg = site.connect()
    sg.set_session_uuid("3f2a")
    sg.update("Task", 301, {"due_date": "2026-12-24", "task_assignees": [{"type": "HumanUser", "id": 12}]})
    sg.update("Version", 401, {"client_approved_at": _moment()})
    sg.delete("Task", 302)
    for meta in ODD_METAS:
        site.add_event("Shotgun_Task_Change", meta=meta, attribute_name="x", entity=None, user=None, project=None)
    site.add_event("Shotgun_Task_Change", created_at="2026-07-01T10:00:00Z", session_uuid="a-b-c")
    told: dict[Daemon, list[dict[str, Any]]] = {}
    for daemon in daemons:
        install = Install(tmp_path / daemon.value, site)
        install.environ = {"TZ": "Europe/Berlin"}
        install.plugin("a", install.registering(body))
        install.place(start)
        assert install.drain(daemon).code == 0
        told[daemon] = install.traced()
    # Then
    ours, theirs = told[Daemon.CALLSHEET], told[Daemon.REFERENCE]
    assert len(ours) == len(site.events(start)) >= 12
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["told"] == other["told"]
        assert sorted(mine["order"]) == sorted(other["order"])


def _moment() -> Any:
    import datetime as dt  # noqa: PLC0415 - one test's

    return dt.datetime(2026, 11, 22, 3, 40, 10, tzinfo=dt.UTC)


@both
def test_arguments_connection_and_globals_are_the_same_objects_at_each_call(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given two registrations with args that can't be pickled, and a connection each
    install = Install(tmp_path, site)
    body = """
        import threading
        lock, calls = threading.Lock(), []
        ARGS = {"lock": lock, "call": lambda: "called"}

        def one(*given, **named):
            sg, logger, event, args = given
            calls.append(event["id"])
            note(callback="one", event=event["id"], same=args is ARGS and args["call"]() == "called", sg=id(sg), named=len(named),
                 kind=f"{type(sg).__module__}.{type(sg).__name__}", calls=len(calls), uuid=sg.config.session_uuid,
                 script=sg.config.script_name, thread=threading.current_thread() is threading.main_thread())

        def two(sg, logger, event, args):
            note(callback="two", event=event["id"], args=args, sg=id(sg), uuid=sg.config.session_uuid)
    """
    install.plugin("a", install.registering(body, "one, None, ARGS", "two, args=[1, 'x']"))
    install.place()
    events = [site.add_event("Shotgun_Task_Change", session_uuid=uuid) for uuid in ("u-1", None, "u-3")]
    # When
    assert install.drain(daemon).code == 0
    # Then
    one, two = install.traced(callback="one"), install.traced(callback="two")
    assert [call["event"] for call in one] == [call["event"] for call in two] == events
    assert all(call["same"] and call["thread"] and not call["named"] for call in one)
    assert {call["kind"] for call in one} == {"shotgun_api3.shotgun.Shotgun"}
    assert len({call["sg"] for call in one}) == len({call["sg"] for call in two}) == 1
    assert one[0]["sg"] != two[0]["sg"]
    assert [call["calls"] for call in one] == [1, 2, 3]
    assert {call["script"] for call in one} == {site.script}
    assert [call["uuid"] for call in one] == [call["uuid"] for call in two] == ["u-1", None, "u-3"]
    assert [call["args"] for call in two] == [[1, "x"]] * 3


@both
def test_loggers_have_their_names_their_level_and_the_configuration(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a function, an instance and a method as callbacks, and a section of the plugin's own in the conf
    install = Install(tmp_path, site, options={"daemon": {"logging": "30"}, "farm": {"queue": "night", "Priority": "50"}})
    body = """
        class Follower:
            def __call__(self, sg, logger, event, args):
                note(kind="instance", name=logger.name.rpartition("_0x")[0], child=logger.parent.name)
            def follow(self, sg, logger, event, args):
                note(kind="method", name=logger.name)

        def seen(sg, logger, event, args):
            conf = logger.config
            note(kind="function", name=logger.name, level=logger.getEffectiveLevel(), queue=conf.get("farm", "queue"),
                 priority=conf.getint("farm", "priority"), url=conf.getShotgunURL(), paths=conf.getPluginPaths(),
                 script=conf.getEngineScriptName(), batch=conf.getMaxEventBatchSize(), file=conf.getLogFile("plugin.a"),
                 id_file=conf.getEventIdFile(), mode=conf.getLogMode(), smtp=conf.getSMTPEnabled(), sections=conf.sections())
    """
    source = install.registering(body, "seen", "Follower()", "Follower().follow")
    registrar = "    note(kind='registrar', logger=reg.logger.name, same=reg.getLogger() is reg.logger, level=reg.logger.level,\n"
    registrar += "         conf=reg.logger.config.get('farm', 'queue'))\n"
    install.plugin("a", source.replace("(reg):\n", f"(reg):\n{registrar}"))
    install.place()
    site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(daemon).code == 0
    # Then
    (registered,), (function,) = install.traced(kind="registrar"), install.traced(kind="function")
    assert registered == {"kind": "registrar", "logger": "plugin.a", "same": True, "level": 30, "conf": "night"}
    assert install.traced(kind="instance") == [{"kind": "instance", "name": "plugin.a.Follower", "child": "plugin.a"}]
    assert install.traced(kind="method") == [{"kind": "method", "name": "plugin.a.follow"}]
    assert function == {
        "kind": "function",
        "name": "plugin.a.seen",
        "level": 30,
        "queue": "night",
        "priority": 50,
        "url": site.url,
        "paths": [str(install.folders[0])],
        "script": site.script,
        "batch": 500,
        "file": str(tmp_path / "logs" / "plugin.a"),
        "id_file": str(install.id_file),
        "mode": 1,
        "smtp": False,
        "sections": ["daemon", "shotgun", "plugins", "emails", "farm"],
    }


@both
def test_the_registrar_offers_what_it_should_and_nothing_else(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin that tries all of it, and registers from a loop, by position and by keyword
    install = Install(tmp_path, site)
    source = f"""
        from traced import note

        def registerCallbacks(reg):
            for attempt in (lambda: reg.engine, lambda: reg.path, lambda: reg.registerCallback("s", "k", None)):
                try:
                    attempt()
                except Exception as error:
                    note(kind="refused", error=type(error).__name__, text=str(error))
            for number in range(2):
                reg.registerCallback({site.script!r}, {site.key!r}, seen, {{"*": ["x"]}}, number, False)
            reg.registerCallback(stopOnError=True, args="k", matchEvents=None, callback=seen,
                                 sgScriptKey={site.key!r}, sgScriptName={site.script!r})

        def seen(sg, logger, event, args):
            note(kind="call", args=args)
            return "whatever"
    """
    install.plugin("a", source)
    install.place()
    site.add_event("Shotgun_Task_Change", attribute_name="x")
    # When
    assert install.drain(daemon).code == 0
    # Then
    refused = [(one["error"], one["text"]) for one in install.traced(kind="refused")]
    assert refused[:2] == [
        ("AttributeError", "type object 'Registrar' has no attribute 'engine'"),
        ("AttributeError", "type object 'Registrar' has no attribute 'path'"),
    ]
    assert refused[2][0] == "TypeError"
    assert refused[2][1].startswith("The callback must be a callable object (function, method or callable class instance)")
    assert [one["args"] for one in install.traced(kind="call")] == [0, 1, "k"]


def test_callbacks_of_three_arguments_and_of_one_are_welcome(site: Sandbox, tmp_path: Path) -> None:
    # Given the first framework's form, with its own way to register, and a context
    install = Install(tmp_path, site)
    body = """
        def three(sg, event, args):
            note(kind="three", event=event["id"], args=args, sg=type(sg).__name__)

        def one(context):
            note(kind="one", event=context.event["id"], sg=type(context.sg).__name__)

        class Old:
            def __call__(self, sg, event, args):
                note(kind="instance", args=args)
    """
    install.plugin("a", install.registering(body, "three, {'k': 1}", "one", "Old(), ['x']"))
    install.place()
    event = site.add_event("Shotgun_Task_Change")
    # When
    assert install.drain(Daemon.CALLSHEET).code == 0
    # Then
    assert install.traced() == [
        {"kind": "three", "event": event, "args": {"k": 1}, "sg": "Shotgun"},
        {"kind": "one", "event": event, "sg": "Shotgun"},
        {"kind": "instance", "args": ["x"]},
    ]


@both
def test_a_change_to_the_event_is_seen_by_later_callbacks_of_the_plugin(daemon: Daemon, site: Sandbox, tmp_path: Path) -> None:
    # Given a plugin whose first callback marks the event for its second
    install = Install(tmp_path, site)
    body = """
        def one(sg, logger, event, args):
            event["marked"] = True
        def two(sg, logger, event, args):
            note(event=event["id"], marked=event.get("marked"))
    """
    install.plugin("a", install.registering(body, "one", "two"))
    install.place()
    events = list(site.add_events(2))
    # When
    assert install.drain(daemon).code == 0
    # Then
    assert install.traced() == [{"event": event, "marked": True} for event in events]

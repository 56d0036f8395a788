"""What legacy plugins rely on, in a real worker, with the real shotgun_api3 and a pretend site."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.callback import Rule
from callsheet.domain.delivery import Verdict
from callsheet.sandbox import Sandbox
from callsheet.telemetry import Recorder
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, legacy, setup

Staging = Callable[..., Stage]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def staging(tmp_path: Path, sandbox: Sandbox) -> Iterator[Staging]:
    """Makes a stage whose workers reach the sandbox; keywords change their setup."""
    executors = []

    def make(**changes: Any) -> Stage:
        config = {"shotgun": {"server": sandbox.url, "name": "daemon", "key": "100%-daemon-key"}, "studio": {"Farm": "north"}}
        executor = LocalExecutor({SITE: setup(sandbox.url, config=config, **changes)}, tmp_path / "state")
        executors.append(executor)
        return Stage(tmp_path / "plugins", executor)

    yield make
    for executor in executors:
        executor.close(0)


def checked(stage: Stage, text: str, *callbacks: str, **fields: Any) -> None:
    """Run the callbacks of a plugin made of assertions."""
    manifest = stage.start("plugin", text)
    assert manifest.problem is None, manifest.problem
    for report in stage.do(stage.run("plugin", *(callbacks or ("callback",)), **fields)):
        assert report.verdict is Verdict.OK, report.failure


CLASS = """
from functools import partial
class Class:
    def fits(self, sg, event, args): pass
    def yields(self, sg, event, args): yield
    async def yields_later(self, sg, event, args): yield
"""


def problem(stage: Stage, text: str) -> str:
    """The last line of why a plugin could not register."""
    manifest = stage.start("plugin", text)
    assert manifest.problem is not None
    assert manifest.where == "register"
    return manifest.problem.splitlines()[-1]


def test_registering_by_position_and_by_keyword(staging: Staging) -> None:
    manifest = staging().start(
        "plugin",
        """
        def registerCallbacks(reg):
            reg.registerCallback("n", "the-key", one)
            reg.registerCallback("n", "the-key", two, {"A": "sg_status_list"}, None, False)
            reg.registerCallback(sgScriptName="n", sgScriptKey="the-key", callback=two, matchEvents={"B": None}, stopOnError=False)
            reg.registerCallback("n", "the-key", Three(), args=5)
            reg.registerCallback("n", "the-key", Three())
        def one(sg, logger, event, args): pass
        def two(sg, logger, event, args): pass
        class Three:
            def __call__(self, sg, logger, event, args): pass
        """,
    )

    assert [(one.key.name, one.ordinal, one.on_dead) for one in manifest.callbacks] == [
        ("one", 0, "hold"),
        ("two", 1, "continue"),
        ("two#2", 2, "continue"),
        ("Three", 3, "hold"),
        ("Three#2", 4, "hold"),
    ]
    assert manifest.callbacks[1].filter["A"].rule is Rule.WITHIN
    assert manifest.callbacks[2].filter["B"].rule is Rule.ANY


@pytest.mark.parametrize(
    ("statement", "last_line"),
    [
        ("reg.registerCallback('n', 'the-key', 5)", "TypeError: The callback must be a callable object"),
        (
            "reg.registerCallback('n', 'the-key', lambda a, b: 0)",
            "TypeError: <lambda>(a, b) can't be called as a callback: it must take one",
        ),
        ("reg.registerCallback('n', 'the-key', print, {}, 1, 2, 3)", "TypeError: registerCallback() too many positional arguments"),
        (
            "reg.registerCallback('n', 'the-key', print, match={})",
            "TypeError: registerCallback() got an unexpected keyword",
        ),
        ("reg.registerCallback('n', 'the-key', print, ['A'])", "TypeError: matchEvents can't be ['A']. It is a dict such as"),
        ("reg.registerCallback('n', 'the-key', Class)", "TypeError: The callback can't be the class Class"),
        ("reg.registerCallback('n', 'the-key', Class().yields)", "TypeError: Class.yields is a generator: calling it runs none of"),
        ("reg.registerCallback('n', 'the-key', Class().yields_later)", "TypeError: Class.yields_later is an asynchronous gen"),
        ("reg.registerCallback('n', 'the-key', partial(Class().yields))", "TypeError: Class.yields is a generator"),
        ("reg.registerCallback('n', 'the-key', partial(Class().fits, 5))", "TypeError: Class.fits(event, args) can't be called as"),
        ("reg.registerCallback(None, None, print)", "TypeError: registerCallback() needs the name of a script user, not None."),
        ("reg.registerCallback(' ', 'the-key', print)", "TypeError: registerCallback() needs the name of a script user, not ' '."),
        (
            "for each in (1, 2): reg.registerCallback('n', 'the-key', print, {'A': ['x']}, {'a': each // 3})",
            "ValueError: print is registered already, with the same matchEvents and args",
        ),
        (
            "one = Class(); [reg.registerCallback('n', 'the-key', one.fits) for each in (1, 2)]",
            "ValueError: Class.fits is registered already",
        ),
        ("reg.engine", "AttributeError: type object 'Registrar' has no attribute 'engine'"),
        ("reg.setEmails(5)", "ValueError: setEmails takes True, False or addresses; got 5."),
    ],
)
def test_what_can_not_be_registered_says_so_and_where(staging: Staging, statement: str, last_line: str) -> None:
    stage = staging()

    said = problem(stage, CLASS + f"def registerCallbacks(reg):\n    {statement}")

    assert said.startswith(last_line)
    assert said.endswith(f" ({stage.folder / 'plugin.py'}, line 8)")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def registerCallbacks(): pass", "registerCallbacks() must take exactly one positional argument, the registrar."),
        ("def registerCallbacks(reg, more): pass", "registerCallbacks(reg, more) must take exactly one"),
        ("async def registerCallbacks(reg): pass", "registerCallbacks can't be async def"),
        ("def registerCallbacks(reg): yield", "registerCallbacks is a generator"),
    ],
)
def test_what_would_register_nothing_is_refused(staging: Staging, source: str, said: str) -> None:
    stage = staging()

    told = problem(stage, f"\n{source}")

    assert told.startswith(f"TypeError: {said}")
    assert told.endswith(f" ({stage.folder / 'plugin.py'}, line 2)")


def test_a_mistake_in_on_names_the_plugins_line_and_none_of_the_agents(staging: Staging) -> None:
    stage = staging()

    manifest = stage.start("plugin", 'from callsheet import on\n\n@on("*",\n    slots=0)\ndef callback(ctx): pass')

    assert manifest.problem is not None
    *_, last = manifest.problem.splitlines()
    assert last == f"ValueError: slots=0: a whole number, 1 or more, and 1000 at most. ({stage.folder / 'plugin.py'}, line 3)"
    assert "callsheet/agent" not in manifest.problem


def test_a_mistake_through_a_helper_names_the_plugins_line(staging: Staging) -> None:
    stage = staging()
    stage.write("helping/helper", "def register(reg, callback):\n    reg.registerCallback('n', 'the-key', callback)")

    said = problem(stage, "def registerCallbacks(reg):\n    import helping.helper\n    helping.helper.register(reg, lambda: None)")

    assert said.endswith(f" ({stage.folder / 'plugin.py'}, line 3)")


def test_what_shotgunevents_can_call_is_taken(staging: Staging) -> None:
    checked(
        staging(),
        """
        import functools

        class Callback:
            def __call__(self, sg, logger, event, args): pass
            def method(self, sg, logger, event, args): pass
            @classmethod
            def of_class(cls, sg, logger, event, args): pass
            @staticmethod
            def static(sg, logger, event, args): pass

        def wrapped(function):
            @functools.wraps(function)
            def wrapper(sg, logger, event, args):
                return function(sg, logger, event, args, "more")
            return wrapper

        def registerCallbacks(reg):
            one = Callback()
            for number, callback in enumerate([
                Callback(), Callback(), one.method, Callback.of_class, one.static, print, lambda *everything: 5,
                functools.partial(lambda first, sg, logger, event, args: None, 1), wrapped(lambda a, b, c, d, e: None),
            ]):
                reg.registerCallback("n", "the-key", callback, args=number)
        """,
        *["Callback", "Callback#2", "method", "of_class", "static", "print", "<lambda>", "partial", "<lambda>#2"],
    )


def test_the_three_forms_get_what_they_ask_for(staging: Staging) -> None:
    checked(
        staging(),
        """
        import shotgun_api3
        ARGS = {"callable": print, "self": lambda: 0}
        OTHER = object()

        def registerCallbacks(reg):
            reg.registerCallback("n", "the-key", four, {"Shotgun_Task_Change": None}, ARGS)
            reg.registerCallback("n", "the-key", three, OTHER)
            reg.registerCallback("n", "the-key", three_of_today, {"*": None}, OTHER)
            reg.registerCallback("n", "the-key", one, None, ARGS)

        def four(sg, logger, event, args):
            assert isinstance(sg, shotgun_api3.Shotgun)
            assert logger.name == "plugin.plugin.four"
            assert args is ARGS

        def three(sg, event, args):
            assert isinstance(sg, shotgun_api3.Shotgun)
            assert args is OTHER
            assert event["event_type"] == "Shotgun_Task_Change"

        def three_of_today(sg, event, args): assert args is OTHER

        def one(context):
            assert context.args is ARGS
            assert isinstance(context.sg, shotgun_api3.Shotgun)
            assert context.log.name == "plugin.plugin.one"
            assert (context.site, context.plugin, context.attempt) == ("studio", "plugin", 1)
            assert context.project["id"] == 70
            assert context.entity["id"] == 5
        """,
        "four",
        "three",
        "three_of_today",
        "one",
    )


def test_the_event_has_the_documented_keys_and_times(staging: Staging) -> None:
    checked(
        staging(),
        legacy(
            """
            import datetime, shotgun_api3
            assert " ".join(event) == "type id event_type attribute_name meta entity user project session_uuid created_at"
            for time in (event["created_at"], event["meta"]["new_value"], event["meta"]["added"][0]["at"]):
                assert time == datetime.datetime(2026, 11, 22, 3, 40, 10, tzinfo=datetime.timezone.utc)
                assert time.tzinfo is shotgun_api3.sg_timezone.local
            """
        ),
        events={0: {"more": 1, "meta": {"new_value": "2026-11-22T03:40:10Z", "added": [{"at": "2026-11-22T03:40:10Z"}]}}},
    )


def test_each_registration_has_one_connection_of_its_own_that_works(staging: Staging, sandbox: Sandbox) -> None:
    key = sandbox.add_script("my_script")
    checked(
        staging(use_session_uuid=True),
        f"""
        SEEN = {{}}
        def registerCallbacks(reg):
            reg.registerCallback("my_script", {key!r}, one)
            reg.registerCallback("my_script", {key!r}, two)
        def one(sg, logger, event, args):
            assert sg.config.session_uuid == event["session_uuid"] == "b3c0"
            assert SEEN.setdefault("one", sg) is sg
            assert sg.find_one("Task", [], ["content"])
        def two(sg, logger, event, args):
            assert SEEN.setdefault("two", sg) is sg
            assert SEEN["one"] is not sg
        """,
        *["one", "two"] * 3,
    )


def test_a_dropped_connection_fails_no_call(staging: Staging, sandbox: Sandbox) -> None:
    # COMPAT J9: the load balancer drops what is idle, and shotgun_api3 does not try again.
    key = sandbox.add_script("idle_script")
    stage = staging()
    stage.start(
        "idle", legacy("assert sg.find_one('Task', [], ['content'])").replace('"script", "script-key"', f'"idle_script", {key!r}')
    )
    (before,) = stage.do(stage.run("idle", "callback"))

    sandbox.drop_connections()
    (after,) = stage.do(stage.run("idle", "callback"))

    assert [one.verdict for one in (before, after)] == [Verdict.OK, Verdict.OK], after.failure


def test_a_new_style_callback_reads_its_entity_over_connections_that_were_dropped(staging: Staging, sandbox: Sandbox) -> None:
    key = sandbox.add_script("modern_script")
    stage = staging()
    stage.start(
        "modern",
        f"""
        from callsheet import on
        @on("*", fields=["content", "sg_status_list"], script=("modern_script", {key!r}))
        def callback(ctx):
            assert ctx.entity["content"] and ctx.entity["id"] == 301
            assert ctx.sg is ctx.sg
        """,
    )
    entity = {"entity": {"type": "Task", "id": 301, "name": "Animation"}}
    (before,) = stage.do(stage.run("modern", "callback", events={0: entity}))

    sandbox.drop_connections()
    (after,) = stage.do(stage.run("modern", "callback", events={0: entity}))

    assert [one.verdict for one in (before, after)] == [Verdict.OK, Verdict.OK], after.failure


def test_loggers_carry_the_configuration_and_its_methods(staging: Staging) -> None:
    checked(
        staging(),
        legacy(
            """
            config = logger.config
            assert config.getShotgunURL().startswith("http://127.0.0.1")
            assert config.getEngineScriptKey() == "100%-daemon-key"
            assert config.get("studio", "farm") == "north"
            assert config.getMaxEventBatchSize() == 500
            assert config.getEngineProxyServer() is None
            """
        ).replace(
            "    reg.register",
            "    assert reg.logger is reg.getLogger() and reg.logger.config.has_section('studio')\n    reg.register",
        ),
    )


def test_records_come_as_they_were_logged(staging: Staging, recorder: Recorder) -> None:
    stage = staging()
    checked(
        stage,
        legacy(
            """
            import logging
            logger.info("shot %s of key daemon-key", "010")
            logger.debug("below the level")
            logging.getLogger("studio.lib").warning("from a library")
            logging.getLogger("studio.lib").info("below the root's level")
            try: 1 / 0
            except ZeroDivisionError: logger.exception("division")
            """
        ),
    )

    recorder.wait_for("plugin.record", count=3)
    records = [one.facts["record"] for one in recorder.named("plugin.record")]
    assert [(one["name"], one["levelname"], one["message"].splitlines()[0]) for one in records] == [
        ("plugin.plugin.callback", "INFO", "shot 010 of key ***"),
        ("studio.lib", "WARNING", "from a library"),
        ("plugin.plugin.callback", "ERROR", "division"),
    ]
    assert records[2]["message"].endswith("ZeroDivisionError: division by zero")
    assert records[0]["pathname"] == str(stage.folder / "plugin.py")
    assert (records[0]["funcName"], records[0]["lineno"]) == ("callback", 5)


def test_a_failure_is_logged_with_locals_and_without_keys(staging: Staging, recorder: Recorder) -> None:
    stage = staging()
    stage.start("failing", legacy("mine = 'script-key'\nraise ValueError(logger.config.getEngineScriptKey(), 'daemon-key')"))

    (report,) = stage.do(stage.run("failing", "callback"))

    record = recorder.wait_for("plugin.record", plugin="failing").facts["record"]
    assert (record["name"], record["levelname"]) == ("plugin.failing.callback", "CRITICAL")
    assert record["message"].startswith("An error occured processing an event.\n\nTraceback (most recent call last):\n")
    assert "'mine': '***'" in record["message"]
    assert report.failure is not None
    for text in (record["message"], report.failure.text, report.failure.locals, report.failure.traceback):
        assert "script-key" not in text.replace('registerCallback("script", "script-key"', "")
        assert "daemon-key" not in text


@pytest.mark.parametrize(
    "setting",
    [
        "logging.basicConfig(level=logging.INFO, force=True)",
        "logging.config.dictConfig({'version': 1, 'root': {'handlers': [], 'level': 'CRITICAL'}})",
        "logging.config.dictConfig({'version': 1, 'root': {'handlers': []}, 'disable_existing_loggers': False})",
        "logging.config.fileConfig(io.StringIO(FILE))",
        "[logging.getLogger().removeHandler(one) for one in list(logging.getLogger().handlers)]",
        "logging.root.handlers.clear(); logging.lastResort = None",
        "[one.setLevel(60) for one in logging.root.handlers]",
        "[one.addFilter(lambda record: False) for one in logging.root.handlers]",
        "logging.getLogger().setLevel(60)",
        "logging.disable(logging.CRITICAL)",
        "logging.shutdown()",
        "reg.logger.propagate = False",
        "reg.logger.propagate = False; reg.logger.addHandler(logging.NullHandler())",
        "reg.logger.disabled = True",
        "logging.setLoggerClass(type('Quiet', (logging.Logger,), {'callHandlers': lambda *_: None}))",
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["while it registers", "in a callback"])
def test_what_a_plugin_does_to_logging_takes_none_of_its_lines_away(
    staging: Staging, recorder: Recorder, setting: str, *, late: bool
) -> None:
    # Given a plugin that sets logging up anew, before or after its callback has its logger
    stage = staging()
    when, then = ("pass", setting.replace("reg.logger", "logger")) if late else (setting, "pass")
    text = f"""
        import io, logging, logging.config
        FILE = "[loggers]\\nkeys=root\\n[handlers]\\nkeys=\\n[formatters]\\nkeys=\\n[logger_root]\\nhandlers=\\n"
        def registerCallbacks(reg):
            {when}
            reg.registerCallback("script", "script-key", callback)
        def callback(sg, logger, event, args):
            {then}
            logger.error("the shelf is empty")
            logger.getChild("child").error("so is this one")
            logging.getLogger("plugin.failing.by.name").error("and that one")
            raise ValueError
    """
    assert stage.start("failing", text).problem is None
    # When
    stage.do(stage.run("failing", "callback"))
    # Then its lines are there, each once, and its failure
    recorder.wait_for("plugin.record", count=4)
    records = [one.facts["record"] for one in recorder.named("plugin.record", plugin="failing")]
    own = [one for one in records if one["name"] != "root"]
    assert [(one["name"], one["levelname"], one["message"].splitlines()[0]) for one in own] == [
        ("plugin.failing.callback", "ERROR", "the shelf is empty"),
        ("plugin.failing.callback.child", "ERROR", "so is this one"),
        ("plugin.failing.by.name", "ERROR", "and that one"),
        ("plugin.failing.callback", "CRITICAL", "An error occured processing an event."),
    ]


@pytest.mark.parametrize(
    "setting",
    [
        "reg.logger.setLevel(60)",
        "reg.logger.addFilter(lambda record: False)",
        "logging.setLogRecordFactory(lambda *args, **named: 1 / 0)",
        "logging.getLogger().addHandler(type('Broken', (logging.Handler,), {'emit': lambda self, record: 1 / 0})())",
    ],
)
def test_a_failure_is_logged_whatever_the_plugin_wants_of_its_own_lines(staging: Staging, recorder: Recorder, setting: str) -> None:
    stage = staging()
    text = f"""
        import logging
        def registerCallbacks(reg):
            {setting}
            reg.registerCallback("script", "script-key", callback)
        def callback(sg, logger, event, args): raise ValueError
    """
    assert stage.start("failing", text).problem is None

    (report,) = stage.do(stage.run("failing", "callback"))

    assert report.failure is not None
    assert report.failure.kind == "ValueError"
    assert recorder.wait_for("plugin.record", plugin="failing").facts["record"]["levelname"] == "CRITICAL"


def test_what_only_the_plugins_own_object_can_tell_is_asked(staging: Staging) -> None:
    stage = staging()
    manifest = stage.start(
        "asked",
        """
        class Prefix:
            def __contains__(self, name): return name.startswith("sg_")
        def registerCallbacks(reg):
            reg.registerCallback("n", "the-key", callback, {"Shotgun_Task_Change": Prefix()})
        def callback(sg, logger, event, args): pass
        """,
    )

    reports = stage.do(stage.run("asked", "callback", "callback", events={1: {"attribute_name": "code"}}))

    assert manifest.callbacks[0].filter["Shotgun_Task_Change"].rule is Rule.ASK
    assert manifest.callbacks[0].where
    assert [one.verdict for one in reports] == [Verdict.OK, Verdict.SKIP]


def test_credentials_are_neither_arguments_nor_environment(staging: Staging) -> None:
    manifest = staging().start("plugin", legacy("pass"))

    for name in ("cmdline", "environ"):
        assert b"daemon-key" not in Path(f"/proc/{manifest.pid}/{name}").read_bytes()


def test_globals_persist_until_the_reload(staging: Staging) -> None:
    stage = staging()
    text = "SEEN = []\n" + legacy("SEEN.append(event)\nraise ValueError(len(SEEN))", stop=False)
    stage.start("counting", text)
    first = stage.do(stage.run("counting", "callback", "callback"))
    stage.start("counting", text)
    again = stage.do(stage.run("counting", "callback"))

    assert [one.failure.text for one in first + again if one.failure] == ["1", "2", "1"]


@pytest.mark.parametrize("name", ["my plugin", "my-plugin", "my.plugin", "__init__", "json", "logging", "callsheet", "10"])
def test_plugins_of_any_name_are_what_they_are_called(staging: Staging, name: str) -> None:
    stage = staging()
    manifest = stage.start(
        name,
        f"""
        import dataclasses, sys
        assert __name__ == {name!r}
        @dataclasses.dataclass
        class Data:
            field: "int" = 0
        def registerCallbacks(reg): reg.registerCallback("n", "the-key", callback)
        def callback(sg, logger, event, args):
            import json, logging, callsheet
            assert json.dumps and logging.getLogger and callsheet.on
            assert __file__ == {str(stage.folder / f"{name}.py")!r}
            assert logger.name == {f"plugin.{name}.callback"!r}
        """,
    )
    assert manifest.problem is None, manifest.problem

    (report,) = stage.do(stage.run(name, "callback"))

    assert report.verdict is Verdict.OK, report.failure


def test_argv_path_and_shotgun_api3_are_as_under_the_daemon(staging: Staging, tmp_path: Path) -> None:
    script = tmp_path / "daemon" / "shotgunEventDaemon.py"
    script.parent.mkdir()
    (script.parent / "beside_the_daemon.py").write_text("")
    stage = staging(argv0=str(script))
    stage.write("beside_the_plugin", "")
    checked(
        stage,
        f"""
        import pickle, socket, sys, threading
        import beside_the_daemon, beside_the_plugin

        assert sys.argv == [{str(script)!r}]
        assert sys.modules[__name__].__dict__ is globals()
        assert "shotgun_api3" in sys.modules
        assert socket.getdefaulttimeout() == 60

        class Own: pass
        assert isinstance(pickle.loads(pickle.dumps(Own())), Own)

        def registerCallbacks(reg): reg.registerCallback("n", "the-key", callback)
        def callback(sg, logger, event, args): assert threading.current_thread() is threading.main_thread()
        """,
    )


def test_helpers_beside_the_conf_are_found_and_shadow_nothing(staging: Staging, tmp_path: Path) -> None:
    # Given modules beside the conf, one of which is named as one of Python's own, and one as a neighbour of the plugin
    helpers = tmp_path / "conf"
    (helpers / "studio").mkdir(parents=True)
    (helpers / "studio" / "__init__.py").write_text("WORD = 'of a package'\n")
    for name in ("words", "neighbour", "queue", "shotgun_api3"):
        (helpers / f"{name}.py").write_text("WORD = 'beside the conf'\n")
    stage = staging(helpers=(str(helpers),))
    stage.write("neighbour", "WORD = 'beside the plugin'")
    stage.write("own", "WORD = 'beside the plugin'")
    # Then they are found as under shotgunEvents, whose folder came before any of the plugin's
    checked(
        stage,
        """
        import neighbour, own, queue, shotgun_api3, studio, words

        assert (words.WORD, studio.WORD) == ("beside the conf", "of a package")
        assert (neighbour.WORD, own.WORD) == ("beside the conf", "beside the plugin")
        assert queue.Queue and shotgun_api3.Shotgun

        def registerCallbacks(reg): reg.registerCallback("n", "the-key", callback)
        def callback(sg, logger, event, args): pass
        """,
    )


def test_a_python_2_plugin_is_told_what_it_is(staging: Staging) -> None:
    stage = staging()

    manifest = stage.start("old", 'def registerCallbacks(reg):\n    print "hello"\n')

    path = stage.folder / "old.py"
    assert manifest.problem is not None
    assert manifest.problem.startswith(
        f'Could not load the plugin at {path}.\n\n{path} is written for Python 2 (line 2: print "hello"); this is Python '
        f"{sys.version_info[0]}.{sys.version_info[1]}: convert it with 2to3 or futurize, and try it with that Python.\n\n"
    )


def test_toolkit_is_said_to_be_missing(staging: Staging) -> None:
    stage = staging()
    manifest = stage.start("toolkit", "from callsheet import on\n@on('*', toolkit=True)\ndef callback(ctx): pass")

    (report,) = stage.do(stage.run("toolkit", "callback"))

    assert manifest.callbacks[0].toolkit
    assert report.failure is not None
    assert report.failure.text.startswith("This callback wants its project's Toolkit")

"""The contract of the Executor port. Each adapter's test module makes a class of this with an ``executor`` fixture of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet import telemetry
from callsheet.domain.callback import Links, PluginKey, Rule
from callsheet.domain.delivery import RunEnded, Verdict
from callsheet.domain.plugin import PluginFile
from callsheet.ports import Executor
from tests.support.executor_bench import SITE, Stage, key, legacy


class ExecutorContract:
    @pytest.fixture
    def stage(self, executor: Executor, tmp_path: Path) -> Stage:
        return Stage(tmp_path / "plugins", executor)

    def test_a_loaded_plugin_is_described_and_free(self, stage: Stage) -> None:
        manifest = stage.start("simple", legacy("pass", matches='{"Shotgun_Task_Change": ["sg_status_list"]}'))

        assert manifest.problem is None
        (callback,) = manifest.callbacks
        assert callback.key.name == "callback"
        assert callback.filter["Shotgun_Task_Change"].rule is Rule.AMONG
        assert callback.filter["Shotgun_Task_Change"].values == {"sg_status_list"}
        assert (callback.lane, callback.legacy, callback.on_dead, callback.retry.attempts) == ("plugin", True, "hold", 1)
        assert stage.executor.free()[key("simple")] >= 1

    def test_a_new_style_callback_takes_what_it_does_not_say_from_the_setup(self, stage: Stage) -> None:
        manifest = stage.start(
            "modern",
            """
            from callsheet import on

            @on("Shotgun_Shot_New", "Shotgun_Shot_Change", attribute="code", lane="project", retry={"attempts": 2}, fields=["code"])
            def one(ctx): pass

            @on("*", on_dead="hold", timeout=7)
            def two(ctx): pass
            """,
        )

        one, two = manifest.callbacks
        assert (one.ordinal, one.lane, one.retry.attempts, one.retry.factor, one.fields) == (0, "project", 2, 4.0, ("code",))
        assert set(one.filter) == {"Shotgun_Shot_New", "Shotgun_Shot_Change"}
        assert (two.ordinal, two.lane, two.retry.attempts, two.on_dead, two.timeout) == (1, "entity", 5, "hold", 7)

    def test_reports_come_in_order_and_then_the_end(self, stage: Stage) -> None:
        stage.start("simple", legacy("pass"))
        run = stage.run("simple", *["callback"] * 30)

        stage.do(run)

        told = [one for one in stage.heard if getattr(one, "run_id", None) == run.id]
        assert [one.delivery_id for one in told[:-1]] == [one.id for one in run.deliveries]  # type: ignore[union-attr] # Reports
        assert {one.verdict for one in told[:-1]} == {Verdict.OK}  # type: ignore[union-attr] # Reports
        assert told[-1] == RunEnded(run.id)

    def test_a_failure_says_where_and_ends_the_run(self, stage: Stage) -> None:
        stage.start("failing", legacy('shot = "010"\nraise ValueError("no such shot")'))

        (report,) = stage.do(stage.run("failing", "callback", "callback"))

        assert report.verdict is Verdict.FAILED
        assert report.logged
        failure = report.failure
        assert failure is not None
        assert (failure.kind, failure.text) == ("ValueError", "no such shot")
        assert "in callback" in failure.traceback
        assert "agent" not in failure.traceback
        assert "'shot': '010'" in failure.locals

    def test_a_run_goes_on_behind_a_failure_that_holds_nothing(self, stage: Stage) -> None:
        stage.start("lenient", legacy('raise ValueError("again")', stop=False))

        reports = stage.do(stage.run("lenient", "callback", "callback"))

        assert [one.verdict for one in reports] == [Verdict.FAILED, Verdict.FAILED]

    def test_a_run_goes_on_behind_the_last_attempt_only(self, stage: Stage) -> None:
        stage.start(
            "retried",
            """
            from callsheet import on
            @on("*", retry=3)
            def callback(ctx): raise ValueError(ctx.attempt)
            """,
        )

        first = stage.do(stage.run("retried", "callback", "callback", attempts=0))
        last = stage.do(stage.run("retried", "callback", "callback", attempts=2))

        assert [one.failure.text for one in first if one.failure] == ["1"]
        assert [one.failure.text for one in last if one.failure] == ["3", "3"]

    def test_verdicts_that_a_callback_raises(self, stage: Stage) -> None:
        stage.start(
            "verdicts",
            """
            from callsheet import GiveUp, Retry, Skip, on

            @on("*")
            def skips(ctx): raise Skip("nothing to do")

            @on("*", on_dead="continue")
            def gives_up(ctx): raise GiveUp("no use")

            @on("*")
            def waits(ctx): raise Retry("not yet", after=60)
            """,
        )

        reports = stage.do(stage.run("verdicts", "skips", "gives_up", "waits", "skips"))

        assert [one.verdict for one in reports] == [Verdict.SKIP, Verdict.GIVE_UP, Verdict.RETRY]
        assert [one.failure.text for one in reports if one.failure] == ["nothing to do", "no use", "not yet"]
        assert reports[2].after == 60

    @pytest.mark.parametrize("statement", ["raise SystemExit(3)", "raise KeyboardInterrupt", "import sys; sys.exit()"])
    def test_leaving_from_a_callback_is_its_failure_and_no_more(self, stage: Stage, statement: str) -> None:
        stage.start("leaving", legacy(statement, stop=False))

        reports = stage.do(stage.run("leaving", "callback", "callback"))

        assert [one.verdict for one in reports] == [Verdict.FAILED, Verdict.FAILED]

    def test_what_only_python_can_decide_skips(self, stage: Stage) -> None:
        stage.start(
            "deciding",
            """
            from callsheet import on

            @on("*", where=lambda event: event["id"] < 0)
            def never(ctx): raise AssertionError

            @on("*", where=lambda event: event["id"] > 0)
            def always(ctx): pass
            """,
        )

        reports = stage.do(stage.run("deciding", "never", "always"))

        assert [one.verdict for one in reports] == [Verdict.SKIP, Verdict.OK]

    def test_what_the_daemon_decides_is_in_the_manifest(self, stage: Stage) -> None:
        manifest = stage.start(
            "filtering",
            """
            from callsheet import on

            @on("*", project="Moth", user=[3, {"type": "ApiUser", "id": 5}], entity=("Shot", "Task:14"))
            def few(ctx): pass

            @on("*", ignore_own=False, script=("other", "other-key"))
            def all_of_them(ctx): pass

            @on("*", ignore_own="script")
            def of_others(ctx): pass
            """,
        )

        few, all_of_them, of_others = manifest.callbacks
        assert few.only == {
            "project": Links(names=frozenset({"Moth"})),
            "user": Links(ids=frozenset({3}), exact=frozenset({("ApiUser", 5)})),
            "entity": Links(types=frozenset({"Shot"}), exact=frozenset({("Task", 14)})),
        }
        assert (few.ignore_own, few.script, few.where) == (True, "daemon", False)
        assert (all_of_them.only, all_of_them.ignore_own, all_of_them.script) == ({}, False, "other")
        assert of_others.ignore_own == "script"

    def test_coroutines_of_both_kinds_are_awaited(self, stage: Stage) -> None:
        stage.start(
            "awaiting",
            """
            import asyncio
            from callsheet import on, Skip

            @on("*", slots=2)
            async def modern(ctx):
                await asyncio.sleep(0)
                raise Skip("awaited")
            """,
        )
        stage.start(
            "legacy",
            legacy("import asyncio\nawait asyncio.sleep(0)\nraise ValueError(args)").replace("def callback", "async def callback"),
        )

        (modern,) = stage.do(stage.run("awaiting", "modern"))
        (old,) = stage.do(stage.run("legacy", "callback"))

        assert [one.failure.text for one in (modern, old) if one.failure] == ["awaited", "None"]

    def test_a_callback_that_is_gone_skips(self, stage: Stage) -> None:
        stage.start("simple", legacy("pass"))

        (report,) = stage.do(stage.run("simple", "renamed"))

        assert report.verdict is Verdict.SKIP
        assert report.failure is not None
        assert report.failure.text == "the plugin does not register renamed any more"

    def test_a_broken_plugin_says_why_and_where(self, stage: Stage) -> None:
        path = stage.folder / "broken.py"

        at_import = stage.start("broken", "import no_such_module_anywhere")
        at_register = stage.start("broken", "def registerCallbacks(reg): reg.registerCallback('n', 'k', 5)")
        nothing_there = stage.start("broken", "registerCallbacks = None")

        assert at_import.problem is not None
        assert at_import.problem.startswith(f"Could not load the plugin at {path}.\n\nTraceback")
        assert (at_import.where, at_import.level, at_import.logger) == ("import", "ERROR", "plugin.broken")
        assert at_register.problem is not None
        assert at_register.problem.startswith(f"Error running register callback function from plugin at {path}.\n\nTraceback")
        assert (at_register.where, at_register.level, at_register.logger) == ("register", "CRITICAL", "engine")
        assert nothing_there.problem == f"Did not find a registerCallbacks function in plugin at {path}."
        assert (nothing_there.where, nothing_there.level, nothing_there.logger) == ("register", "CRITICAL", "engine")
        assert key("broken") not in stage.executor.free()

    def test_a_plugin_that_registers_nothing_is_fine(self, stage: Stage) -> None:
        manifest = stage.start("empty", "def registerCallbacks(reg): pass")

        assert (manifest.problem, manifest.callbacks) == (None, ())

    def test_a_reload_runs_the_new_text(self, stage: Stage) -> None:
        stage.start("edited", legacy('raise ValueError("old")'))
        (old,) = stage.do(stage.run("edited", "callback"))

        stage.start("edited", legacy('raise ValueError("new")'))
        (new,) = stage.do(stage.run("edited", "callback"))

        assert [one.failure.text for one in (old, new) if one.failure] == ["old", "new"]

    def test_an_unloaded_plugin_is_not_free_and_gives_runs_back(self, stage: Stage) -> None:
        stage.start("leaving", legacy("pass"))
        stage.executor.unload(key("leaving"))

        assert key("leaving") not in stage.executor.free()
        assert stage.do(stage.run("leaving", "callback")) == []

    def test_a_run_of_an_unknown_plugin_comes_back(self, stage: Stage) -> None:
        assert stage.do(stage.run("never_loaded", "callback")) == []
        stage.executor.unload(PluginKey(SITE, "never_loaded"))

    def test_a_plugin_of_an_unknown_site_is_refused(self, stage: Stage) -> None:
        with pytest.raises(KeyError, match="elsewhere"):
            stage.executor.load(PluginFile(PluginKey("elsewhere", "plugin"), "plugin.py", 0, 0.0))

    def test_wake_ends_a_waiting_collect(self, stage: Stage) -> None:
        stage.executor.wake()

        assert stage.executor.collect(3600) == []

    def test_emails_are_told(self, stage: Stage) -> None:
        with telemetry.recording("plugin.emails") as recorder:
            stage.start("mailing", "def registerCallbacks(reg): reg.setEmails('a@x.org', 'b@x.org')")
            stage.start("mailing", "def registerCallbacks(reg): reg.setEmails(['c@x.org'])")
            stage.start("mailing", "def registerCallbacks(reg): reg.setEmails(True)")
            stage.start("mailing", "def registerCallbacks(reg): reg.setEmails(False)")

            recorder.wait_for("plugin.emails", count=4)
        assert [one.facts["emails"] for one in recorder.signals] == [["a@x.org", "b@x.org"], ["c@x.org"], True, False]

    def test_of_a_run_that_is_recalled_nothing_more_is_begun(self, stage: Stage) -> None:
        stage.start("slow", "import time\n" + legacy("time.sleep(0.1)"))
        first, second = stage.run("slow", *["callback"] * 50), stage.run("slow", *["callback"] * 50)
        stage.executor.submit([first, second])

        stage.executor.recall([first, second])

        assert len(stage.finish(first)) < 25
        assert stage.finish(second) == []
        assert len(stage.do(stage.run("slow", "callback"))) == 1

    def test_after_close_everything_comes_back(self, stage: Stage) -> None:
        stage.start("simple", legacy("pass"))

        stage.executor.close(5)

        assert stage.do(stage.run("simple", "callback")) == []
        assert stage.executor.free() == {}
        stage.executor.close(5)

    def test_one_dict_per_event_and_a_fresh_one_per_event(self, stage: Stage) -> None:
        stage.start(
            "sharing",
            """
            def registerCallbacks(reg):
                reg.registerCallback("n", "some-key", first)
                reg.registerCallback("n", "some-key", second)
            def first(sg, logger, event, args): event["seen"] = event.get("seen", 0) + 1
            def second(sg, logger, event, args): raise ValueError(event["seen"])
            """,
        )
        run = stage.run("sharing", "first", "second", events={0: {"id": 900}, 1: {"id": 900}})

        (_, second) = stage.do(run)
        (_, again) = stage.do(stage.run("sharing", "first", "second", events={0: {"id": 901}, 1: {"id": 901}}))

        assert [one.failure.text for one in (second, again) if one.failure] == ["1", "1"]

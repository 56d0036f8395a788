"""Which modules a worker says that its plugins have imported, so that a change of one is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callsheet.domain.plugin import ImportedFile, PluginImports
from callsheet.telemetry import Recorder
from callsheet.workers.local_executor import LocalExecutor
from tests.support.executor_bench import SITE, Stage, legacy, setup


def imported(stage: Stage) -> dict[str, list[ImportedFile]]:
    """By plugin, what was heard so far."""
    found: dict[str, list[ImportedFile]] = {}
    for one in stage.heard:
        if isinstance(one, PluginImports):
            found.setdefault(one.plugin.name, []).extend(one.files)
    return found


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes a stage whose workers find modules beside a configuration, in ``conf``."""
    executors: list[LocalExecutor] = []

    def make(**options: object) -> Stage:
        config = {SITE: setup(helpers=(str(tmp_path / "conf"),))}
        executors.append(LocalExecutor(config, tmp_path / "state", **options))  # type: ignore[arg-type] # as the test says
        return Stage(tmp_path / "plugins", executors[-1])

    yield make
    for executor in executors:
        executor.close(0)


def test_what_a_plugin_imports_from_its_folder_or_beside_the_configuration_is_told(
    beside: Callable[..., Stage], tmp_path: Path
) -> None:
    # Given modules in all places, of which one is imported by a callback, and one by nobody
    stage = beside()
    stage.write("lib/__init__", "")
    stage.write("lib/names", "import colorsys")
    stage.write("late", "")
    stage.write("nobody", "")
    stage.write("venv/site-packages/installed", "")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "site_names.py").write_text("")
    (tmp_path / "elsewhere.py").write_text("")
    folders = [str(tmp_path), str(stage.folder / "venv" / "site-packages")]
    imports = f"import sys; sys.path += {folders!r}\nimport lib.names, site_names, installed, elsewhere\n"
    # When the plugin is loaded, then they are told before anything else, each as it was read
    stage.start("plugin", imports + legacy("import late"))
    first = [stage.folder / "lib" / "__init__.py", stage.folder / "lib" / "names.py", tmp_path / "conf" / "site_names.py"]
    stats = [path.stat() for path in first]
    assert imported(stage)["plugin"] == [
        ImportedFile(str(path), stat.st_mtime, stat.st_size) for path, stat in zip(first, stats, strict=True)
    ]
    assert isinstance(stage.heard[0], PluginImports)
    # And what a callback imports, once
    for _ in range(2):
        stage.do(stage.run("plugin", "callback"))
    stage.do(stage.run("plugin", "callback"))
    assert [one.path for one in imported(stage)["plugin"][3:]] == [str(stage.folder / "late.py")]


def test_what_a_plugin_can_not_import_is_told_with_the_module_that_is_wrong_or_where_it_may_appear(
    beside: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = beside()
    stage.write("lib/wrong", "def (")
    assert stage.start("plugin", "from lib import wrong").problem is not None
    assert [one.path for one in imported(stage)["plugin"]] == [str(stage.folder / "lib" / "wrong.py")]
    assert stage.start("other", "import studio.names").problem is not None
    assert set(imported(stage)["other"]) == {
        ImportedFile(str(folder / name), None, None)
        for folder in (stage.folder, tmp_path / "conf")
        for name in ("studio.py", "studio/__init__.py")
    }


def test_in_a_shared_worker_each_has_what_the_others_had_imported_before(beside: Callable[..., Stage]) -> None:
    stage = beside(workers=1)
    stage.write("lib/names", "")
    for name in "ab":
        stage.start(name, "import lib.names\n" + legacy("pass"))
    assert imported(stage)["a"] == imported(stage)["b"] != []


def test_a_record_says_which_event_and_delivery_it_is_about(stage: Stage, recorder: Recorder) -> None:
    stage.start("plugin", "import logging\nlogging.getLogger('plugin.plugin').warning('said')\n" + legacy("logger.warning('said')"))
    run = stage.run("plugin", "callback", "callback")
    stage.do(run)
    said = [one.facts["record"] for one in recorder.named("plugin.record") if one.facts["record"]["message"] == "said"]
    ids = [(one.get("event_id"), one.get("delivery_id")) for one in said]
    assert ids == [(None, None), *((one.event_id, one.id) for one in run.deliveries)]

"""Tests of the design: sizes, doors, names and pages. Who may import whom stands in ``.importlinter``, with its reasons."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import callsheet
from callsheet import ports, telemetry
from callsheet.cli import SHORT_HELP, group

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "callsheet"
COMMANDS = SOURCE / "cli" / "commands"
TOP = click.Context(group, info_name="callsheet", **group.context_settings)
"""A command keeps the help option that it was first asked for: it must be ours, whoever asks first."""

LONGEST_MODULE = 350
MOST_METHODS = 15
MANY_METHODS = {
    "src/callsheet/agent/legacy_config.py"
}  # plugins rely on every accessor of shotgunEvents' class; none decides anything
SLEEPERS = {"tests/support/reference.py"}  # runs shotgunEvents, whose loop sleeps, and makes it sleep less
MOST_PORT_METHODS = 14
"""Where the Ledger stands: one method per transaction that a service needs. A fifteenth asks which two are one."""


def modules(folder: Path = SOURCE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def classes(path: Path) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Each call in a file: what is called, as written, and its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_a_module_answers_one_question(path: Path) -> None:
    length = len(path.read_text("utf-8").splitlines())
    assert length <= LONGEST_MODULE, f"{shown(path)} has {length} lines: which second question does it answer?"


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_a_class_has_few_methods(path: Path) -> None:
    for one in classes(path):
        methods = [node.name for node in one.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
        assert len(methods) <= MOST_METHODS or shown(path) in MANY_METHODS, (
            f"{one.name} in {shown(path)} has {len(methods)} public methods"
        )


@pytest.mark.parametrize("port", [ports.EventLog, ports.Ledger, ports.Executor], ids=lambda port: port.__name__)
def test_a_port_stays_small(port: type) -> None:
    methods = [name for name, value in vars(port).items() if inspect.isfunction(value) and not name.startswith("_")]
    assert len(methods) <= MOST_PORT_METHODS, f"{port.__name__} has {len(methods)} methods"


ECHOES = {"cli/__init__.py": 4, "cli/tables.py": 1, "cli/mutations.py": 2, "cli/commands/sandbox.py": 3, "report/json_output.py": 1}
"""Modules that print past ``tables.echo``, and how often: figures of theirs, JSON, and what is escaped there."""


def test_what_people_read_is_printed_by_the_one_function_that_lets_nothing_steer_their_terminal() -> None:
    found = {path.relative_to(SOURCE).as_posix(): [call for call, _ in calls(path)].count("click.echo") for path in modules()}
    assert {name: times for name, times in found.items() if times} == ECHOES


@pytest.mark.parametrize("path", [path for path in modules() if path.name == "__init__.py"], ids=shown)
def test_a_package_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{shown(path)} has no docstring"


@pytest.mark.parametrize("path", modules(SOURCE / "agent") + modules(SOURCE / "wire"), ids=shown)
def test_the_agent_imports_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    at_import = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(path)}: name the module in full"
            names = [node.module or ""]
        for name in names:
            # A plugin is handed a connection, so shotgun_api3 is imported from its runtime: late, so that loading needs none.
            late = name.split(".")[0] == "shotgun_api3" and id(node) not in at_import
            ours = name == "callsheet.version" or name.startswith(("callsheet.agent", "callsheet.wire"))
            known = name.split(".")[0] in sys.stdlib_module_names
            assert late or ours or known, f"{shown(path)} imports {name}"


@pytest.mark.parametrize("path", modules(SOURCE / "policy") + modules(SOURCE / "services"), ids=shown)
def test_the_logic_emits_signals_and_never_logs(path: Path) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"^\s*(?:import logging|from logging)", source, re.MULTILINE), f"{shown(path)} imports logging"
    assert not re.search(r"\b(?:print|warnings\.warn)\(", source), f"{shown(path)} prints"


@pytest.mark.parametrize("path", modules(ROOT / "tests"), ids=shown)
def test_a_test_waits_for_facts_and_never_sleeps(path: Path) -> None:
    slept = [line for called, line in calls(path) if called in {"time.sleep", "sleep"}]
    assert not slept or shown(path) in SLEEPERS, (
        f"{shown(path)} sleeps in line {slept[0]}: wait for a signal, a condition or a process instead"
    )


def test_imports_point_down_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--config", ROOT / ".importlinter"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def emitted() -> Iterator[tuple[str, str]]:
    """Each literal name given to ``emit``, and where."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "emit" and node.args:
                names = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
                yield from ((str(name), f"{shown(path)}:{node.lineno}") for name in names if "." in str(name))


def test_every_signal_that_is_emitted_is_known() -> None:
    unknown = [f"{name} ({where})" for name, where in emitted() if name not in telemetry.SIGNALS]
    assert not unknown


@pytest.mark.parametrize("page", ["commands.md", "signals.md"])
def test_a_generated_page_is_up_to_date(reference: ModuleType, page: str) -> None:
    committed = (ROOT / "docs" / "reference" / page).read_text("utf-8")
    assert committed == reference.PAGES[page](), f"docs/reference/{page} is out of date: run `make reference`"


def test_every_command_is_a_file_and_every_file_a_command() -> None:
    files = {path.stem.replace("_", "-") for path in COMMANDS.glob("*.py") if path.stem != "__init__"}
    assert files == set(SHORT_HELP), "cli/commands and cli.SECTIONS must name the same commands"


@pytest.mark.parametrize("name", SHORT_HELP)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.get_short_help_str(limit=200).rstrip(".") == SHORT_HELP[name]


@pytest.mark.parametrize("name", SHORT_HELP)
def test_a_commands_help_teaches_by_example(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    taught = command.get_help(click.Context(command, parent=TOP, info_name=name)).split("Usage:", 1)[1].split("\n", 1)[1]
    assert f"callsheet {name}" in taught, f"the help of {name} has no example"


LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=shown)
def test_a_page_links_to_pages_that_are_there(path: Path) -> None:
    missing = [link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()]
    assert not missing, f"{shown(path)} links to {missing}"


def test_every_module_can_be_imported_by_itself() -> None:
    names = [info.name for info in pkgutil.walk_packages(callsheet.__path__, "callsheet.")]
    assert len(names) >= 40
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)

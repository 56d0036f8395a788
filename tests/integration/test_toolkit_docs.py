"""The pages on Toolkit: what they show works as it stands there, and they say the same in every language."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import callsheet
from callsheet.config import load
from callsheet.domain.delivery import Report, Verdict
from callsheet.sandbox import Sandbox
from callsheet.settings import ToolkitPin
from callsheet.telemetry import Recorder, recording
from tests.integration.test_toolkit_sessions import Studio
from tests.support.executor_bench import Stage
from tests.support.toolkits import NEW, OLD

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "toolkit.en.md"
OTHERS = ("toolkit.ja.md", "toolkit.ko.md", "toolkit.zh-hans.md")
BLOCK = re.compile(r"^(?:<!-- example: (\S+) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ITEM = re.compile(r"- |\d\. ")
SPAN = re.compile(r"`[^`]+`")
COMMENT = re.compile(r"[ \t]*(?<![\w\"'])#[^\"'\n]*$", re.MULTILINE)
CONFIGURATION = """\
state = "state"

[sites.studio]
url = "https://studio.shotgrid.autodesk.com"
script = "event_daemon"
key = { env = "SG_EVENT_KEY" }
plugins = ["plugins"]

"""


class Page(NamedTuple):
    """A page, taken apart. ``prose`` is what stands outside of code."""

    text: str
    prose: str
    blocks: list[tuple[str, str, str]]


def page(name: str) -> Page:
    text = (DOCS / name).read_text("utf-8")
    return Page(text, BLOCK.sub("", text), BLOCK.findall(text))


def example(name: str) -> str:
    """A code block of the English page, by the name that its mark gives it."""
    (found,) = [text for mark, _, text in page(PAGE).blocks if mark == name]
    return found


class Show:
    """Two projects with different cores, and the example plugins of the page."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._sg = studio.sandbox.connect()
        self._shots = count(10, 10)
        self.cores = {studio.project("lighthouse_two"): OLD, studio.project("night_ferry_two"): NEW}
        for project, core in self.cores.items():
            studio.installation.localized(project, core, script=True)

    def plugin(self, stage: Stage, name: str) -> None:
        """Load an example, with this installation's script, key and paths in place of those that the page shows."""
        text = example(name)
        for shown, real in (
            ("toolkit_script", self._studio.sandbox.script),
            ("its key", self._studio.sandbox.key),
            ("/mnt/sgtk/configs", str(self._studio.installation.configs)),
        ):
            text = text.replace(shown, real)
        assert stage.start(name, text).problem is None

    def shot(self, project: int) -> dict[str, Any]:
        """A new shot, as a link."""
        link = {"type": "Project", "id": project}
        made = self._sg.create("Shot", {"code": f"sh{next(self._shots):03}", "project": link})
        return {"type": "Shot", "id": made["id"], "name": made["code"]}

    def version(self, project: int, shot: dict[str, Any]) -> dict[str, Any]:
        """A new version of a shot, as a link."""
        link = {"type": "Project", "id": project}
        made = self._sg.create("Version", {"code": "v001", "project": link, "entity": {"type": "Shot", "id": shot["id"]}})
        return {"type": "Version", "id": made["id"], "name": "v001"}

    def description(self, version: dict[str, Any]) -> str:
        """What stands on the site in a version's description."""
        return str(self._sg.find_one("Version", [["id", "is", version["id"]]], ["description"])["description"])

    def folder(self, project: int, shot: dict[str, Any]) -> Path:
        """Where a shot's folder is to be."""
        return self._studio.folder / "storage" / self._studio.installation.project_name(project) / "shots" / str(shot["name"])


def happens(stage: Stage, plugin: str, callback: str, project: int, entity: dict[str, Any]) -> Report:
    """What comes of one event about an entity."""
    link = {"type": "Project", "id": project, "name": "P"}
    event = {"event_type": f"Shotgun_{entity['type']}_New", "entity": entity, "project": link, "attribute_name": None}
    (report,) = stage.do(stage.run(plugin, callback, events={0: event}))
    return report


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Sandbox() as sandbox:
        studio = Studio(tmp_path, sandbox)
        yield studio
        studio.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.mark.parametrize(("name", "hosted"), [("callback", ()), ("hosted", ("hosted",)), ("swap", ())])
def test_a_plugin_of_the_page_makes_the_folders_of_each_project(
    name: str, hosted: tuple[str, ...], studio: Studio, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOTGUN_BASE", str(studio.installation.configs))
    show = Show(studio)
    stage = studio.stage(hosted=hosted)
    show.plugin(stage, name)

    for project in [*show.cores] * 2:
        shot = show.shot(project)
        report = happens(stage, name, "make_folders", project, shot)
        assert report.verdict is Verdict.OK, report.failure
        assert show.folder(project, shot).is_dir()

    lines = [one.facts["record"]["message"] for one in recorder.named("plugin.record", plugin=name)]
    versions = [line.rpartition("by core ")[2] for line in lines if line.startswith("1 folders for")]
    assert versions == [core.version for core in show.cores.values()] * 2


def test_a_plugin_of_the_page_calls_its_function_in_the_session(studio: Studio) -> None:
    show = Show(studio)
    stage = studio.stage()
    show.plugin(stage, "callback")
    show.plugin(stage, "call")

    for project in show.cores:
        shot = show.shot(project)
        version = show.version(project, shot)
        early = happens(stage, "call", "note_the_folder", project, version)
        happens(stage, "callback", "make_folders", project, shot)
        report = happens(stage, "call", "note_the_folder", project, version)

        assert early.failure is not None
        assert "has no folders yet" in early.failure.text
        assert report.verdict is Verdict.OK, report.failure
        assert show.description(version) == f"Shot in {show.folder(project, shot)}"


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    file = tmp_path / "callsheet.toml"
    settings_shown = example("settings.toml").replace("/usr/bin/python3.9", sys.executable)
    file.write_text(CONFIGURATION + example("hosted.toml") + "\n" + settings_shown)

    settings = load(file, {"SG_EVENT_KEY": "a-key"})

    assert settings.plugins["shot_folders"].toolkit
    assert settings.toolkit.pin("lighthouse") == ToolkitPin(configuration="Staging", python=sys.executable)
    assert settings.toolkit.prewarm == ("Lighthouse",)


def test_the_messages_of_the_page_are_those_that_are_said() -> None:
    said = [
        node.value
        for path in Path(callsheet.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    said += [node.name for node in ast.walk(ast.parse(_sessions())) if isinstance(node, ast.ClassDef)]
    rows = page(PAGE).prose.split("| it says |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]

    shown = [span.strip("`") for row in rows for span in SPAN.findall(row.split("|")[1])]

    assert len(shown) > len(rows) > 10
    assert [one for one in shown if not any(one in text for text in said)] == []


def _sessions() -> str:
    return (Path(callsheet.__path__[0]) / "agent" / "toolkit" / "session_client.py").read_text("utf-8")


@pytest.mark.parametrize("name", OTHERS)
def test_a_page_in_another_language_has_the_same_structure(name: str) -> None:
    english, other = page(PAGE), page(name)

    assert [level for level, _ in HEADING.findall(other.prose)] == [level for level, _ in HEADING.findall(english.prose)]
    assert [(row.count("|"), sorted(SPAN.findall(row))) for row in _rows(other)] == [
        (row.count("|"), sorted(SPAN.findall(row))) for row in _rows(english)
    ]
    assert _paragraphs(other) == _paragraphs(english)


@pytest.mark.parametrize("name", OTHERS)
def test_a_page_in_another_language_has_the_same_code_save_comments(name: str) -> None:
    def code(one: Page) -> list[tuple[str, str, str]]:
        return [(mark, kind, COMMENT.sub("", text)) for mark, kind, text in one.blocks]

    assert len(code(page(PAGE))) == 7
    assert code(page(name)) == code(page(PAGE))


@pytest.mark.parametrize("name", [PAGE, *OTHERS])
def test_a_page_links_to_the_other_languages_and_as_the_english_one_does(name: str) -> None:
    links = LINK.findall(page(name).prose)
    anchors = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in HEADING.findall(page(name).prose)}

    assert [one for one in links if one in (PAGE, *OTHERS)] == [one for one in (PAGE, *OTHERS) if one != name]
    assert [one for one in links if one.startswith("#") and one[1:] not in anchors] == []
    assert _elsewhere(name) == _elsewhere(PAGE)


def _elsewhere(name: str) -> list[str]:
    links = LINK.findall(page(name).prose)
    return ["#" if one.startswith("#") else one for one in links if one not in (PAGE, *OTHERS)]


def _rows(one: Page) -> list[str]:
    return [line for line in one.prose.splitlines() if line.startswith("|")]


def _paragraphs(one: Page) -> list[tuple[bool, int]]:
    """Whether each paragraph is an item of a list, and how many names of the code stand in it."""
    parts = [part.lstrip() for part in re.split(r"\n\n|\n(?=- |\d\. )", one.prose) if part.strip()]
    return [(ITEM.match(part) is not None, len(SPAN.findall(part))) for part in parts if not part.startswith(("|", "#"))]

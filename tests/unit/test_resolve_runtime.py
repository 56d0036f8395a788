"""From a project to its runtime, over real files."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from callsheet.domain.toolkit_entities import Project
from callsheet.errors import ToolkitError
from callsheet.runtimes import config_errors, fingerprint
from callsheet.runtimes.resolve import resolve
from callsheet.runtimes.runtime import Runtime
from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import FERRY, LIGHTHOUSE
from callsheet.settings import ToolkitPin, ToolkitSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from tests.support.toolkits import NEW, OLD, Installation, MiniCore, write

SHOW = Project(LIGHTHOUSE.id, "Lighthouse", "lighthouse")
PLACES = ("Linux", "Darwin", "Windows")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Sandbox() as sandbox:
        yield Installation(tmp_path, sandbox)


def resolved(installation: Installation, **settings: Any) -> Runtime:
    sandbox = installation.sandbox
    site = ConfigurationCatalogue(sandbox.url, sandbox.script, sandbox.key)
    known = site.configurations(SHOW.id)
    site.close()
    return resolve(SHOW, known, ToolkitSettings(**{"configs": installation.configs, **settings}), worker_python=sys.executable)


def refused(installation: Installation, **settings: Any) -> ToolkitError:
    with pytest.raises(ToolkitError) as met:
        resolved(installation, **settings)
    assert "project Lighthouse (id 97)" in str(met.value)
    return met.value


def test_a_localized_configuration(installation: Installation) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)

    found = resolved(installation)

    assert (found.kind, found.config, found.version) == ("localized", str(path), NEW.version)
    assert found.core == str(path / "install" / "core" / "python")
    assert found.python == sys.executable


@pytest.mark.parametrize("text", ["{}", "{}\n", " {} \n", "$CALLSHEET_TEST_CORE\n"])
def test_a_shared_core(text: str, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    root = installation.core_root("cores", OLD)
    monkeypatch.setenv("CALLSHEET_TEST_CORE", str(root))
    installation.shared(LIGHTHOUSE.id, text.format(root))

    found = resolved(installation)

    assert (found.kind, found.version) == ("shared", OLD.version)
    assert found.core == str(root / "install" / "core" / "python")


def test_the_studios_core_is_used_only_where_that_is_said(installation: Installation) -> None:
    studio = installation.core_root("studio", OLD)
    installation.bare(LIGHTHOUSE.id)

    assert refused(installation).kind == "core-location"
    assert resolved(installation, studio=studio).kind == "studio"


def test_a_folder_of_the_projects_name_is_found_without_the_site(installation: Installation) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW, pc=None)

    found = resolved(installation)

    assert (found.config, found.configuration) == (str(path), None)


def test_a_distributed_one_is_told_as_such(installation: Installation) -> None:
    installation.distributed(LIGHTHOUSE.id, NEW)

    assert refused(installation).kind == "no-starter"
    assert refused(installation, starter=installation.configs).kind == "no-starter"
    python = installation.starter(NEW)
    for named in (python, python.parent, installation.core_root("newest", NEW)):
        found = resolved(installation, starter=named)
        assert found.starter is not None
        assert Path(found.starter, "sgtk").is_dir()
    assert (found.kind, found.config, found.name) == ("distributed", None, "Primary")
    assert found.configuration is not None


@pytest.mark.parametrize("name", ["97", "Lighthouse", "lighthouse"])
def test_a_pin_by_id_name_or_folder(name: str, installation: Installation) -> None:
    installation.localized(LIGHTHOUSE.id, OLD)
    other = installation.localized(LIGHTHOUSE.id, NEW, name="next", pc=None)
    pin = ToolkitPin(config=other, engine="tk-batch", apps=("tk-multi-mini",))

    found = resolved(installation, projects={name: pin})

    assert (found.config, found.engine, found.apps) == (str(other), "tk-batch", ("tk-multi-mini",))


def test_no_toolkit_at_all_is_a_clear_answer(installation: Installation) -> None:
    (installation.configs / "night_ferry").mkdir(parents=True)

    met = refused(installation)

    assert (met.kind, met.passing) == ("no-toolkit", False)
    assert str(installation.configs / "lighthouse") in str(met)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


UNMOUNTS: dict[str, Callable[[Path], None]] = {
    "an empty mount point": _emptied,
    "no mount point": lambda path: shutil.rmtree(path.parent),
    "an empty one above": lambda path: _emptied(path.parent),
    "none above": lambda path: shutil.rmtree(path.parent.parent),
}


@pytest.mark.parametrize("how", UNMOUNTS)
@pytest.mark.parametrize("what", ["configuration", "pinned", "by folder", "shared core", "studio's core", "starter"])
def test_what_is_on_a_share_that_is_away_is_waited_for(what: str, how: str, tmp_path: Path, installation: Installation) -> None:
    # Given it on a share, two folders below where other things are
    share = tmp_path / "shares" / "toolkit" / "share"
    share.parent.mkdir(parents=True)
    (tmp_path / "shares" / "another").mkdir()
    core = installation.core_root("core", OLD)
    settings: dict[str, Any] = {}
    if what in ("configuration", "pinned"):
        path = installation.localized(LIGHTHOUSE.id, OLD, name=str(share), pc="Primary" if what == "configuration" else None)
        settings["projects"] = {"97": ToolkitPin(config=path)} if what == "pinned" else {}
    elif what == "by folder":
        installation.localized(LIGHTHOUSE.id, OLD, name=str(share / "lighthouse"), pc=None)
        settings["configs"] = share
    elif what == "starter":
        installation.distributed(LIGHTHOUSE.id, OLD)
        settings["starter"] = OLD.put(share)
    else:
        installation.shared(LIGHTHOUSE.id, share) if what == "shared core" else installation.bare(LIGHTHOUSE.id)
        core.rename(share)
        settings["studio"] = share if what == "studio's core" else None
    resolved(installation, **settings)

    # When it is unmounted
    UNMOUNTS[how](share)

    # Then that passes, and it is named
    met = refused(installation, **settings)
    assert met.passing
    assert str(share.parent) in met.problem
    assert "Mount it" in met.cure


# -- interpreters


def test_the_cores_own_interpreter_comes_before_a_configured_one(installation: Installation, tmp_path: Path) -> None:
    own, configured, pinned = (tmp_path / name for name in ("own", "configured", "pinned"))
    for one in (own, configured, pinned):
        one.symlink_to(sys.executable)
    path = installation.localized(LIGHTHOUSE.id, NEW)
    (path / "config" / "core" / "interpreter_Linux.cfg").write_text(f"{own}\n")

    assert resolved(installation, python=str(configured)).python == str(own)
    assert resolved(installation, projects={"97": ToolkitPin(python=str(pinned))}).python == str(pinned)
    (path / "config" / "core" / "interpreter_Linux.cfg").unlink()
    assert resolved(installation, python=str(configured)).python == str(configured)


def test_an_interpreter_too_old_for_an_agent_is_passed_over(installation: Installation, tmp_path: Path) -> None:
    ancient = tmp_path / "python2"
    ancient.write_text("#!/bin/sh\necho 2.7\n")
    ancient.chmod(0o755)
    path = installation.localized(LIGHTHOUSE.id, NEW)
    (path / "config" / "core" / "interpreter_Linux.cfg").write_text(str(ancient))

    assert resolved(installation).python == sys.executable


def test_an_interpreter_that_is_not_there_is_an_error(installation: Installation) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)
    (path / "config" / "core" / "interpreter_Linux.cfg").write_text("/no/python")

    met = refused(installation)

    assert (met.kind, met.passing) == ("interpreter", False)
    assert met.file == str(path / "config" / "core" / "interpreter_Linux.cfg")


def test_a_core_for_newer_pythons_than_ours(installation: Installation) -> None:
    installation.localized(LIGHTHOUSE.id, MiniCore("v9.0.0", new=False, minimum_python="3.99"))

    assert refused(installation).kind == "python-too-old"


# -- what is wrong on disk


def _remove(path: Path) -> None:
    shutil.rmtree(path)


def _unmount(path: Path) -> None:
    for one in list(path.parent.iterdir()):
        shutil.rmtree(one)


def _cfg(path: Path, text: str) -> None:
    shutil.rmtree(path / "install" / "core")
    (path / "install" / "core").mkdir()
    (path / "install" / "core" / "core_Linux.cfg").write_text(text)


DAMAGES = {
    "missing": (_remove, "missing", False, ""),
    "unmounted": (_unmount, "missing-mount", True, ""),
    "no roots": (lambda path: (path / "config/core/roots.yml").unlink(), "not-a-configuration", False, ""),
    "broken": (
        lambda path: (path / "config/core/pipeline_configuration.yml").write_text("{a: ["),
        "broken-file",
        False,
        "config/core/pipeline_configuration.yml",
    ),
    "empty": (
        lambda path: (path / "config/core/install_location.yml").write_text(""),
        "broken-file",
        False,
        "config/core/install_location.yml",
    ),
    "broken script user": (
        lambda path: (path / "config/core/shotgun.yml").write_text("a: b: c"),
        "broken-file",
        False,
        "config/core/shotgun.yml",
    ),
    "other platform": (
        lambda path: write(path / "config/core/install_location.yml", {"Windows": "P:/x", "Linux": "undefined"}),
        "other-platform",
        False,
        "config/core/install_location.yml",
    ),
    "a copy": (
        lambda path: write(path / "config/core/install_location.yml", dict.fromkeys(PLACES, "/the/original")),
        "elsewhere",
        False,
        "config/core/install_location.yml",
    ),
    "another project": (
        lambda path: write(path / "config/core/pipeline_configuration.yml", {"project_id": FERRY.id}),
        "wrong-project",
        False,
        "config/core/pipeline_configuration.yml",
    ),
    "core to nowhere": (lambda path: _cfg(path, "/usr/no_core_here\n"), "missing", False, ""),
    "core on a share that is away": (lambda path: _cfg(path, "/no/such/mount/core\n"), "missing-mount", True, ""),
    "no core here": (lambda path: _cfg(path, "undefined"), "other-platform", False, "install/core/core_Linux.cfg"),
    "half a core": (lambda path: _remove(path / "install/core/hooks"), "core-location", False, "install/core"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_its_file_and_its_cure(damage: str, installation: Installation) -> None:
    spoil, kind, passing, file = DAMAGES[damage]
    path = installation.localized(LIGHTHOUSE.id, NEW)
    installation.localized(FERRY.id, NEW)
    spoil(path)

    met = refused(installation)

    assert (met.kind, met.passing) == (kind, passing)
    assert str(path) in str(met)
    assert met.cure
    if file:
        assert met.file == str(path / file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(installation: Installation) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)
    (path / "config" / "core" / "shotgun.yml").chmod(0)

    assert refused(installation).kind == "no-permission"


# -- what is watched


@pytest.mark.parametrize(
    "name",
    [
        "config/core/templates.yml",
        "config/core/hooks/pick_environment.py",
        "config/env/shot.yml",
        "config/env/new.yml",
        "install/core/core_Linux.cfg",
        "../cores/install/core/info.yml",
        "../cores/config/core/interpreter_Linux.cfg",
    ],
)
def test_a_change_is_named_by_its_file(name: str, installation: Installation) -> None:
    path = installation.shared(LIGHTHOUSE.id, installation.core_root("cores", OLD))
    found = resolved(installation)
    before = fingerprint.prints(found.watched)
    assert fingerprint.changed(before, fingerprint.prints(found.watched)) is None

    changed = Path(os.path.normpath(path / name))
    changed.write_text("another: 1\n")

    assert fingerprint.changed(before, fingerprint.prints(found.watched)) == str(changed)


def test_another_file_of_the_same_size_and_time_is_a_change_too(installation: Installation) -> None:
    path = installation.localized(LIGHTHOUSE.id, NEW)
    found = resolved(installation)
    info = path / "install" / "core" / "info.yml"
    before = fingerprint.prints(found.watched)
    beside = info.with_name("beside")
    shutil.copy2(info, beside)

    beside.replace(info)

    assert fingerprint.changed(before, fingerprint.prints(found.watched)) == str(info)


def test_a_runtime_says_what_a_worker_is_to_open(installation: Installation) -> None:
    installation.localized(LIGHTHOUSE.id, NEW)
    found = replace(resolved(installation), apps=("tk-multi-mini",))

    told = found.opening(host="h", script="s", key="k", proxy=None, home="/home")

    assert told["project"] == {"type": "Project", "id": 97, "name": "Lighthouse"}
    assert (told["core"], told["config"], told["version"]) == (found.core, found.config, NEW.version)
    assert (told["engine"], told["apps"], told["descriptor"]) == ("tk-shell", ["tk-multi-mini"], None)


@pytest.mark.parametrize(
    ("number", "kind", "passing"),
    [(errno.EACCES, "no-permission", False), (errno.ESTALE, "share", True), (errno.EISDIR, "unreadable", False)],
)
def test_why_a_file_can_not_be_read_decides_whether_it_passes(number: int, kind: str, passing: bool) -> None:
    met = config_errors.unreadable(SHOW, "/configs/lighthouse", "/configs/lighthouse/a.yml", OSError(number, os.strerror(number)))

    assert (met.kind, met.passing) == (kind, passing)
    assert "/configs/lighthouse/a.yml can't be read" in str(met)

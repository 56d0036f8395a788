"""Bundles on disk are found, wherever the studio's own ``tank`` command or its artists' Toolkit put them.

Engines and apps of real configurations are hardly ever named by a path: they come from the app store, from git or by hand, and lie
in the ``install`` folder of the core's root, or in a bundle cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callsheet.runtimes.resolver import ToolkitRuntimeResolver
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import LIGHTHOUSE
from callsheet.settings import Secret, ToolkitPin, ToolkitSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from callsheet.workers import agent_archive
from tests.support.agent_process import AgentProcess
from tests.support.toolkits import BUNDLE_KINDS, MISSING, NEW, REAL, Core, Installation, every_core, name_of, write

SITE = "studio"
CONFIGS = os.environ.get("CALLSHEET_TK_CONFIGS", "")
OPEN = """
from callsheet.agent.toolkit.open_toolkit import open_toolkit
toolkit = open_toolkit(told)
places = {name: app.disk_location for name, app in toolkit.engine.apps.items()}
say(dict(toolkit.facts(), engine_at=toolkit.engine.disk_location, apps_at=places))
toolkit.destroy()
"""
METADATA = Path("config", "core", "pipeline_configuration.yml")


class House:
    """A site, its Toolkit, and the finder that sessions are opened with; ``home`` is the folder of the user who runs the daemon."""

    def __init__(self, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.home = folder / "home-of-user"
        self.home.mkdir()
        self.installation = Installation(folder, sandbox)
        monkeypatch.setenv("HOME", str(self.home))
        for name in ("SHOTGUN_HOME", "SHOTGUN_BUNDLE_CACHE_PATH", "SHOTGUN_BUNDLE_CACHE_FALLBACK_PATHS"):
            monkeypatch.delenv(name, raising=False)

    @property
    def user_cache(self) -> Path:
        """The bundle cache of that user, as a core has it on Linux."""
        return self.home / ".shotgun" / "bundle_cache"

    @property
    def own_cache(self) -> Path:
        """Where Callsheet has bundles downloaded to."""
        return self.folder / "state" / "toolkit" / "bundles"

    def open(self, **settings: Any) -> dict[str, Any]:
        """What a session of the show has, opened in the environment that its worker gets. AssertionError with all it said."""
        setup = WorkerConfig(SITE, self.sandbox.url, self.sandbox.script, Secret(self.sandbox.key))
        told = ToolkitSettings(**{"configs": self.installation.configs, "app_store": False, **settings})
        place = agent_archive.build(self.folder / "state")
        catalogue = ConfigurationCatalogue(self.sandbox.url, self.sandbox.script, self.sandbox.key)
        finder = ToolkitRuntimeResolver({SITE: setup}, told, place, self.folder / "state" / "toolkit", lambda _: catalogue)
        opening = finder.find(SITE, LIGHTHOUSE.id)
        insider = AgentProcess(place, Path(opening.told["home"]), opening.python or sys.executable)
        found: dict[str, Any] = insider.ask(OPEN, dict(opening.told), opening.environ)
        return found


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with Sandbox() as sandbox:
        yield House(tmp_path, sandbox, monkeypatch)


def is_below(found: dict[str, Any], root: Path) -> bool:
    """Whether the engine and its one app are in that folder."""
    places = [found["engine_at"], *found["apps_at"].values()]
    return found["apps"] == ["tk-multi-mini"] and all(Path(one).resolve().is_relative_to(root.resolve()) for one in places)


@pytest.mark.parametrize("how", BUNDLE_KINDS)
@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_bundles_beside_a_localized_core(core: Core, how: str, house: House) -> None:
    path = house.installation.localized(LIGHTHOUSE.id, core)
    house.installation.install_bundles(path / "config", how, path / "install")

    found = house.open()

    assert is_below(found, house.installation.bundles if how == "dev" else path / "install")


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize("kind", ["shared", "studio"])
def test_bundles_beside_the_core_that_a_configuration_shares(kind: str, core: Core, house: House) -> None:
    root = house.installation.core_root("studio", core)
    make: Callable[[], Path] = {
        "shared": lambda: house.installation.shared(LIGHTHOUSE.id, root),
        "studio": lambda: house.installation.bare(LIGHTHOUSE.id),
    }[kind]
    house.installation.install_bundles(make() / "config", "app_store", root / "install")

    found = house.open(studio=root)

    assert is_below(found, root / "install")


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize("named", ["", "SHOTGUN_HOME"])
def test_a_centralized_configuration_that_uses_the_bundle_cache(
    named: str, core: Core, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.installation.localized(LIGHTHOUSE.id, core)
    write(path / METADATA, {**json.loads((path / METADATA).read_text()), "use_bundle_cache": True})
    cache = house.user_cache
    if named:
        monkeypatch.setenv(named, str(house.folder / "shotgun"))
        cache = house.folder / "shotgun" / "bundle_cache"
    house.installation.install_bundles(path / "config", "app_store", cache)

    assert is_below(house.open(), cache)


@pytest.mark.parametrize("kind", ["centralized", "distributed"])
def test_a_bundle_cache_that_the_daemon_was_given_is_used_for_all(kind: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = house.folder / "cache-of-the-studio"
    monkeypatch.setenv("SHOTGUN_BUNDLE_CACHE_PATH", str(cache))
    if kind == "centralized":
        content = house.installation.localized(LIGHTHOUSE.id, NEW) / "config"
    else:
        content, _ = house.installation.distributed(LIGHTHOUSE.id, NEW)
    house.installation.install_bundles(content, "app_store", cache)

    assert is_below(house.open(starter=house.installation.starter(NEW)), cache)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
@pytest.mark.parametrize("how", ["app_store", "git", "manual", "dev"])
def test_a_distributed_configuration_reads_the_users_bundle_cache(how: str, core: Core, house: House) -> None:
    # Given all of it in the user's cache, the core as well, and neither app store nor repository to ask
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)
    house.installation.install_bundles(source, how, house.user_cache)
    put = core.put(house.user_cache / "app_store" / "tk-core" / "v9.9.9")
    location = {"type": "app_store", "name": "tk-core", "version": "v9.9.9"}
    write(source / "core" / "core_api.yml", {"location": location})

    found = house.open(starter=house.installation.starter(core))

    assert put.is_dir()
    assert found["version"] == core.version
    assert is_below(found, house.installation.bundles if how == "dev" else house.user_cache)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_a_distributed_configuration_that_is_itself_from_the_app_store(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core, plugin_ids="nobody.*")
    house.installation.install_bundles(source, "app_store", house.user_cache)
    place = house.user_cache / "app_store" / "tk-config-studio" / "v1.7.7"
    place.parent.mkdir(parents=True)
    source.rename(place)
    pin = ToolkitPin(descriptor="sgtk:descriptor:app_store?name=tk-config-studio&version=v1.7.7")

    found = house.open(starter=house.installation.starter(core), projects={str(LIGHTHOUSE.id): pin})

    assert is_below(found, house.user_cache)


@pytest.mark.parametrize("core", every_core(), ids=name_of)
def test_what_is_downloaded_goes_to_callsheets_own_cache(core: Core, house: House) -> None:
    source, _ = house.installation.distributed(LIGHTHOUSE.id, core)
    house.installation.install_bundles(source, "repository", house.folder / "repositories")

    assert is_below(house.open(starter=house.installation.starter(core)), house.own_cache)
    assert not house.user_cache.exists()


NEEDS_CONFIGS = pytest.mark.skipif(
    not CONFIGS, reason="name the folder of tk-config-default2, tk-config-basic and tk-shell in CALLSHEET_TK_CONFIGS"
)
OF_REAL_CORES = pytest.mark.parametrize("core", REAL or [pytest.param(None, marks=pytest.mark.skip(reason=MISSING))], ids=name_of)
LOCATED = (
    re.compile(r"type: app_store\n +name: (?P<name>\S+)\n +version: (?P<version>\S+)"),
    re.compile(r"version: (?P<version>\S+)\n +type: app_store\n +name: (?P<name>\S+)"),
)


def published(name: str, content: Path, bundles: Path, house: House) -> None:
    """Put a published configuration in the folder ``content``, and all bundles that it names into the bundle cache ``bundles``: the
    real shell, and a small app in place of each other.
    """
    for folder in (content / "env", content / "core" / "hooks"):  # of the miniature configuration; what tank writes stays
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(CONFIGS) / name, content, ignore=shutil.ignore_patterns(".git"), dirs_exist_ok=True)
    primary = {"linux_path": str(house.folder / "storage"), "mac_path": None, "windows_path": None, "default": True}
    write(content / "core" / "roots.yml", {"primary": primary})
    texts = [path.read_text() for path in content.rglob("*.yml")]
    for bundle, version in {(one["name"], one["version"]) for text in texts for form in LOCATED for one in form.finditer(text)}:
        source = Path(CONFIGS) / bundle if bundle == "tk-shell" else house.installation.bundles / "tk-multi-mini"
        shutil.copytree(source, bundles / "app_store" / bundle / version, ignore=shutil.ignore_patterns(".git"))


@NEEDS_CONFIGS
@OF_REAL_CORES
@pytest.mark.parametrize("name", ["tk-config-default2", "tk-config-basic"])
def test_a_published_configuration_that_was_set_up_classically(name: str, core: Core, house: House) -> None:
    path = house.installation.localized(LIGHTHOUSE.id, core)
    published(name, path / "config", path / "install", house)

    found = house.open()

    assert {"tk-multi-launchapp", "tk-multi-publish2"} <= set(found["apps"])
    assert Path(found["engine_at"]).parent == path / "install" / "app_store" / "tk-shell"


@NEEDS_CONFIGS
@OF_REAL_CORES
@pytest.mark.parametrize("name", ["tk-config-default2", "tk-config-basic"])
def test_a_published_configuration_from_a_filled_bundle_cache_and_no_net(name: str, core: Core, house: House) -> None:
    content = house.user_cache / "app_store" / name / "v9.9.9"
    published(name, content, house.user_cache, house)
    write(content / "core" / "core_api.yml", {"location": {"type": "app_store", "name": "tk-core", "version": core.version}})
    core.put(house.user_cache / "app_store" / "tk-core" / core.version)
    pin = ToolkitPin(descriptor=f"sgtk:descriptor:app_store?name={name}&version=v9.9.9")

    found = house.open(starter=house.installation.starter(core), projects={str(LIGHTHOUSE.id): pin})

    assert found["version"] == core.version
    assert {"tk-multi-launchapp", "tk-multi-publish2"} <= set(found["apps"])
    assert Path(found["engine_at"]).parent == house.user_cache / "app_store" / "tk-shell"

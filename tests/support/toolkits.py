"""Toolkit installations in a folder: cores (miniature and real ones), configurations of every kind around them, their entities.

Real cores are named by CALLSHEET_TK_CORES, checkouts of tk-core separated by ``os.pathsep``, and each is called by its folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import shotgun_api3

from callsheet.sandbox import Sandbox

MINICORE = Path(__file__).with_name("minicore")
BUNDLES = MINICORE / "bundles"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "tests", "docs", "developer", ".git", ".github")


class Core(Protocol):
    """A core that can be put somewhere. ``name`` says which; ``version`` is what its info.yml will say."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def put(self, folder: Path) -> Path:
        """Make ``folder`` this core, over an older one; returns it."""


@dataclass(frozen=True)
class MiniCore:
    """Ours. ``new``: it carries the libraries of others as newer cores do."""

    version: str
    new: bool
    minimum_python: str = ""

    @property
    def name(self) -> str:
        return f"mini-{self.version}"

    def put(self, folder: Path) -> Path:
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(MINICORE / "core", folder, ignore=_LEFT_OUT)
        least = f'minimum_python_version: "{self.minimum_python}"\n' if self.minimum_python else ""
        (folder / "info.yml").write_text(f'version: "{self.version}"\n{least}')
        python = folder / "python"
        shutil.copytree(MINICORE / ("new" if self.new else "old") / "tank_vendor", python / "tank_vendor", ignore=_LEFT_OUT)
        (folder / "requirements" / "any").mkdir(parents=True)
        vendored = {"minivendor/__init__.py": f"VERSION = {self.version!r}\n"} | _sources(MINICORE / "vendored")
        if self.new:  # the real client, as in the zips of real cores
            vendored = {name: text for name, text in vendored.items() if not name.startswith("shotgun_api3/")}
            vendored |= {f"shotgun_api3/{name}": text for name, text in _sources(Path(shotgun_api3.__file__).parent).items()}
            with zipfile.ZipFile(folder / "requirements" / "any" / "pkgs.zip", "w") as file:
                for name, text in vendored.items():
                    file.writestr(name, text)
        else:
            for name, text in vendored.items():
                (python / "tank_vendor" / name).parent.mkdir(exist_ok=True)
                (python / "tank_vendor" / name).write_text(text)
        return folder


@dataclass(frozen=True)
class RealCore:
    """A checkout of tk-core. Those say ``HEAD``; put somewhere, it says the version that its folder is called by."""

    checkout: Path

    @property
    def name(self) -> str:
        return self.checkout.name

    @property
    def version(self) -> str:
        found = re.search(r"v\d+\.\d+\.\d+", self.name)
        return found[0] if found else "HEAD"

    def put(self, folder: Path) -> Path:
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.checkout, folder, ignore=_LEFT_OUT)
        info = folder / "info.yml"
        info.write_text(info.read_text().replace('version: "HEAD"', f'version: "{self.version}"'))
        return folder


OLD = MiniCore("v1.4.0", new=False)
NEW = MiniCore("v2.1.0", new=True)
REAL = tuple(RealCore(Path(path)) for path in os.environ.get("CALLSHEET_TK_CORES", "").split(os.pathsep) if path)
PICK_ENVIRONMENT = """
from tank import Hook

class Pick(Hook):
    def execute(self, context, **kwargs):
        return "shot" if context.entity and context.entity["type"] == "Shot" else "project"
"""
BUNDLE_KINDS = ("app_store", "legacy", "git", "git_branch", "github_release", "manual", "dev")
MISSING = "name checkouts of tk-core in CALLSHEET_TK_CORES"


def every_core() -> list[Any]:
    """Parameters for a test that is to run with each core: ours, and the real ones; without any, one skipped test that says so."""
    absent = pytest.param(None, marks=pytest.mark.skip(reason=MISSING), id="tk-core")
    return [OLD, NEW, *(REAL or (absent,))]


def name_of(core: Core | None) -> str:
    """What a test with that core is called."""
    return core.name if core else "tk-core"


def core_of(name: str) -> Core:
    """The core of that name."""
    known: tuple[Core, ...] = (OLD, NEW, *REAL)
    return next(one for one in known if one.name == name)


class Installation:
    """Configurations in ``folder/configs``, for the projects of a sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.configs = folder / "configs"
        self.sandbox = sandbox
        self._sg = sandbox.connect()
        self._apps: tuple[str, ...] = ("tk-multi-mini",)
        self.bundles = Path(shutil.copytree(BUNDLES, folder / "bundles", ignore=_LEFT_OUT))
        (folder / "storage").mkdir()

    def localized(self, project: int, core: Core, *, name: str = "", pc: str | None = "Primary", script: bool = False) -> Path:
        """A configuration with a core of its own. ``pc``: the name of its entity, None for none."""
        path = self._config(project, name)
        core.put(path / "install" / "core")
        self._metadata(path, project, pc, script=script)
        return path

    def shared(self, project: int, root: Path | str, *, name: str = "", pc: str | None = "Primary") -> Path:
        """A configuration that uses the core below ``root``, which is written as it is into the file for this system."""
        path = self._config(project, name)
        (path / "install" / "core" / "python").mkdir(parents=True)
        (path / "install" / "core" / "core_Linux.cfg").write_text(str(root))
        self._metadata(path, project, pc)
        return path

    def bare(self, project: int, *, name: str = "", pc: str | None = "Primary") -> Path:
        """A configuration that says nothing of its core."""
        path = self._config(project, name)
        self._metadata(path, project, pc)
        return path

    def core_root(self, name: str, core: Core) -> Path:
        """A shared core below ``configs``; called "studio", it is the studio's."""
        root = self.configs / name
        core.put(root / "install" / "core")
        (root / "config" / "core").mkdir(parents=True, exist_ok=True)
        write(root / "config" / "core" / "install_location.yml", dict.fromkeys(("Linux", "Darwin", "Windows"), str(root)))
        return root

    def distributed(
        self, project: int, core: Core, *, name: str = "", pc: str = "Primary", plugin_ids: str = "basic.*"
    ) -> tuple[Path, str]:
        """A configuration as a site deploys it, from a path; returns its folder and its descriptor."""
        name = name or f"dist-{project}"
        source = self.folder / "sources" / name
        (source / "core").mkdir(parents=True)
        put = core.put(self.folder / "cores" / f"{name}-{core.name}")
        write(source / "core" / "core_api.yml", {"location": {"type": "path", "path": str(put)}})
        (source / "info.yml").write_text('display_name: "Test"\n')
        self._content(source)
        descriptor = f"sgtk:descriptor:path?path={source}"
        self.entity(project, pc, descriptor=descriptor, plugin_ids=plugin_ids)
        return source, descriptor

    def starter(self, core: Core) -> Path:
        """A core that stands alone, as prepares are run with; returns the folder to import it from."""
        return core.put(self.folder / "starter" / core.name) / "python"

    def entity(self, project: int, code: str, **fields: Any) -> int:
        """A PipelineConfiguration of the site; returns its id."""
        link = {"type": "Project", "id": project}
        return int(self._sg.create("PipelineConfiguration", {"code": code, "project": link, **fields})["id"])

    def project_name(self, project: int) -> str:
        """The name of a project's folders."""
        return str(self._sg.find_one("Project", [["id", "is", project]], ["tank_name"])["tank_name"])

    def change_apps(self, path: Path, apps: Iterable[str]) -> None:
        """Write the environments of a configuration anew."""
        _write_environments(path / "config" / "env", self._located(apps))

    def install_bundles(self, content: Path, how: str, root: Path) -> None:
        """Have a configuration's environments, in the folder ``content``, name its bundles in another way: one of BUNDLE_KINDS, put
        below ``root`` as ``tank setup_project`` does; or "repository", where they can be cloned from.
        """
        located = {one: put_bundle(self.bundles / one, how, root) for one in ("tk-shell", *self._apps)}
        _write_environments(content / "env", located)

    def _located(self, apps: Iterable[str]) -> dict[str, dict[str, str]]:
        return {one: {"type": "path", "path": str(self.bundles / one)} for one in ("tk-shell", *apps)}

    def _config(self, project: int, name: str) -> Path:
        path = self.configs / (name or self.project_name(project))
        self._content(path / "config")
        return path

    def _content(self, config: Path) -> None:
        (config / "core").mkdir(parents=True, exist_ok=True)
        storage = str(self.folder / "storage")
        primary = {"linux_path": storage, "mac_path": storage, "windows_path": None, "default": True}
        write(config / "core" / "roots.yml", {"primary": primary})
        paths = {"shot_root": "shots/{Shot}"}
        write(config / "core" / "templates.yml", {"keys": {"Shot": {"type": "str"}}, "paths": paths, "strings": {}})
        (config / "core" / "hooks").mkdir(exist_ok=True)
        (config / "core" / "hooks" / "pick_environment.py").write_text(PICK_ENVIRONMENT)
        _write_environments(config / "env", self._located(self._apps))

    def _metadata(self, path: Path, project: int, pc: str | None, *, script: bool = False) -> None:
        number = self.entity(project, pc, linux_path=str(path)) if pc else 1000 + project
        told = {"pc_id": number, "pc_name": pc or "Primary", "project_id": project, "project_name": self.project_name(project)}
        told |= {"published_file_entity_type": "PublishedFile", "use_shotgun_path_cache": True}
        core = path / "config" / "core"
        write(core / "pipeline_configuration.yml", told)
        write(core / "install_location.yml", dict.fromkeys(("Linux", "Darwin", "Windows"), str(path)))
        if script:
            user = {"api_script": "config_user", "api_key": self.sandbox.add_script("config_user")}
            write(core / "shotgun.yml", {"host": self.sandbox.url, "http_proxy": None, **user})
        else:
            write(core / "shotgun.yml", {"host": self.sandbox.url, "http_proxy": None})


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Data as JSON, which is YAML too."""
    path.write_text(json.dumps(data, indent=1) + "\n")


def put_bundle(bundle: Path, how: str, root: Path) -> dict[str, str]:
    """Copy a bundle to where a core looks for one of that kind below a cache's root; returns its location."""
    name, version, url = bundle.name, "v1.2.3", f"https://git.invalid/pipeline/{bundle.name}.git"
    if how == "legacy":
        kind = "engines" if (bundle / "engine.py").exists() else "apps"
        shutil.copytree(bundle, root / kind / "app_store" / name / version)
        return {"type": "app_store", "name": name, "version": version}
    if how == "repository":
        return {"type": "git", "path": str(_repository(bundle, root)), "version": version}
    location, below = {
        "app_store": ({"name": name, "version": version}, f"app_store/{name}/{version}"),
        "git": ({"path": url, "version": version}, f"git/{name}.git/{version}"),
        "git_branch": ({"path": url, "branch": "main", "version": "0123456789ab"}, f"gitbranch/{name}.git/0123456"),
        "github_release": ({"organization": "studio", "repository": name, "version": version}, f"github/studio/{name}/{version}"),
        "manual": ({"name": name, "version": version}, f"manual/{name}/{version}"),
        "dev": ({"path": str(bundle)}, ""),
    }[how]
    if below:
        shutil.copytree(bundle, root / below)
        (root / below / "tk-metadata").mkdir()
        (root / below / "tk-metadata" / "install_complete").touch()
    return {"type": how, **location}


def _repository(bundle: Path, folder: Path) -> Path:
    """A bare repository that has the bundle, tagged."""
    work, path = folder / bundle.name, folder / f"{bundle.name}.git"
    shutil.copytree(bundle, work)
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
    for words in (("init",), ("add", "."), (*author, "commit", "-m", "Add the bundle"), ("tag", "v1.2.3")):
        subprocess.run(["git", "-C", str(work), *words], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(path)], check=True)
    return path


def _write_environments(folder: Path, bundles: Mapping[str, Mapping[str, str]]) -> None:
    folder.mkdir(exist_ok=True)
    located = {one: {"location": dict(location)} for one, location in bundles.items()}
    shell = located.pop("tk-shell")
    engine = {**shell, "debug_logging": False, "apps": located}
    for name in ("project", "shot", "asset", "site"):
        write(folder / f"{name}.yml", {"engines": {"tk-shell": engine}, "frameworks": {}})


def _sources(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".pem"))
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in files}

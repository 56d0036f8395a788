"""Finds what a project's sessions are started from, and notices when that is not so any more."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from callsheet.agent.toolkit.environment import environment
from callsheet.domain.toolkit_entities import Project, SiteConfiguration
from callsheet.errors import ToolkitError
from callsheet.runtimes import studio_core
from callsheet.runtimes.config_errors import away, missing
from callsheet.runtimes.fingerprint import Print, changed, folders, of_source, prints
from callsheet.runtimes.prepare import Preparer
from callsheet.runtimes.resolve import resolve
from callsheet.runtimes.runtime import Runtime
from callsheet.runtimes.session_spec import UPGRADE, SessionSpec
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import ToolkitSettings

STILL = 1.0
"""Seconds in which nothing of a core may change for what it fails with to be believed."""

ASK_AGAIN = 30.0
"""Seconds after which the site is asked again whether a project's configuration is still the one that its session has."""


class Catalogue(Protocol):
    """What a site knows of projects and their configurations. Raises SiteError."""

    def project(self, project: int | str) -> Project | None:
        """The project of that id or name."""

    def configurations(self, project: int) -> Sequence[SiteConfiguration]:
        """Those of a project and of the whole site."""


@dataclass(slots=True)
class _Made:
    """What an opening is made of. ``core``: the folders of its core, which is not watched as a whole. ``known``: what the site
    said; ``asked_at``: the monotonic time at which it did.
    """

    runtime: Runtime
    prints: Mapping[str, Print | None]
    core: Mapping[str, Print | None]
    known: Sequence[SiteConfiguration]
    asked_at: float


def changed_lately(path: str) -> bool:
    """Whether something was put into a folder, or taken out, not long ago; where it is not there, of the one above it."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    try:
        return abs(time.time() - os.stat(path).st_mtime) < UPGRADE
    except OSError:
        return False


class ToolkitRuntimeResolver:
    """Implements ``opening.RuntimeResolver`` on the site's PipelineConfigurations and the disk."""

    def __init__(
        self,
        setups: Mapping[str, WorkerConfig],
        settings: ToolkitSettings,
        archive: Path,
        state: Path,
        catalogue: Callable[[str], Catalogue],
        *,
        homes: str = "homes",
    ) -> None:
        """``archive``: the agent's. ``state``: a folder for caches and locks, which all processes of this machine may share, and
        for ``homes``, which no two may. ``catalogue``: of a site, by name.
        """
        self._setups = setups
        self._settings = settings
        self._archive = archive
        self._state = state
        self._catalogue = catalogue
        self._homes = state / homes
        self._catalogues: dict[str, Catalogue] = {}
        self._locks = {site: threading.Lock() for site in setups}

    def project(self, site: str, name: str) -> Project:
        """The project of that name. Raises ToolkitError, or SiteError if the site does not answer."""
        with self._locks[site]:
            return self._project(site, name)

    def find(self, site: str, project: int) -> SessionSpec:
        """The opening for a project. Raises ToolkitError, or SiteError if the site does not answer."""
        setup = self._setups[site]
        found, known = self._ask(site, project)
        try:
            runtime = resolve(found, known, self._settings, worker_python=setup.python or sys.executable)
        except ToolkitError as trouble:
            if trouble.kind == "core-location" and trouble.file is not None and changed_lately(trouble.file):
                trouble.passing = True  # somebody puts another core there
            raise
        home = self._home(site, found)
        environ = self._environ(setup, runtime, home)
        if runtime.kind == "distributed":
            try:
                runtime = self._preparer(setup).prepare(runtime, home=home, environ=environ)
            except ToolkitError as trouble:
                raise self._of_mount(runtime, trouble) or trouble from trouble
            runtime = replace(runtime, watched=of_source(runtime.descriptor or {}))
        elif runtime.kind == "studio":
            runtime = replace(runtime, config=studio_core.view(runtime.config or "", str(self._settings.studio), home))
        key = setup.key.reveal()
        told = runtime.opening(host=setup.url, script=setup.script, key=key, proxy=setup.proxy, home=home, level=setup.level)
        made = _Made(runtime, prints(runtime.watched), folders(runtime.core or ""), known, time.monotonic())
        return SessionSpec(found, runtime.kind, runtime.name, told, environ, runtime.python, self._settings.opening, made)

    def changed(self, site: str, opening: SessionSpec) -> str | None:
        """The first file that has changed since, or what the site says otherwise now; None if nothing has."""
        made: _Made = opening.made_of
        file = changed(made.prints, prints(made.runtime.watched))
        if file is not None:
            return file
        if time.monotonic() - made.asked_at < ASK_AGAIN:
            return None
        made.asked_at = time.monotonic()
        _, known = self._ask(site, opening.project.id)
        if known != made.known:
            return "what the site's PipelineConfigurations say"
        if made.runtime.kind == "distributed":
            setup = self._setups[site]
            home = self._home(site, opening.project, "look")
            now = self._preparer(setup).descriptor(made.runtime, home=home, environ=self._environ(setup, made.runtime, home))
            if now != made.runtime.descriptor:
                return f"the descriptor of {opening.configuration}"
        return None

    def reconsidered(self, opening: SessionSpec, trouble: ToolkitError) -> ToolkitError:
        """The trouble that a worker met; one that passes where what it was to open is on a share that is away, or changes now."""
        made: _Made = opening.made_of
        found = self._of_mount(made.runtime, trouble) or trouble
        if not found.passing and changed(made.core, folders(made.runtime.core or "")) is None:
            time.sleep(STILL)
        if changed(made.core, folders(made.runtime.core or "")) or changed(made.prints, prints(made.runtime.watched)):
            found.passing = True
        return found

    def _of_mount(self, runtime: Runtime, trouble: ToolkitError) -> ToolkitError | None:
        """The trouble in whose place one should be told of that lies in a share that is away; None where it does not."""
        core = None if runtime.core is None else os.path.dirname(runtime.core)
        cache = os.environ.get("SHOTGUN_BUNDLE_CACHE_PATH")  # others are no shares, and may well be empty
        places = (runtime.source, runtime.starter, runtime.config, core, cache, runtime.python)
        gone = [] if trouble.passing else [one for one in places if one and away(one)]
        return missing(runtime.project, runtime.name, gone[0], "what names it") if gone else None

    def _ask(self, site: str, project: int) -> tuple[Project, Sequence[SiteConfiguration]]:
        with self._locks[site]:  # a connection is for one thread at a time; a site that hangs holds up no other
            found = self._project(site, project)
            return found, self._catalogues[site].configurations(found.id)

    def _project(self, site: str, project: int | str) -> Project:
        catalogue = self._catalogues.get(site)
        if catalogue is None:
            catalogue = self._catalogues[site] = self._catalogue(site)
        found = catalogue.project(project)
        if found is None:
            named = f"id {project}" if isinstance(project, int) else repr(project)
            raise ToolkitError(
                "no-project",
                f"Toolkit of project {named}: site {site} shows no such project.",
                "See its name, whether it is archived, and whether the script user may see it.",
            )
        return found

    def _home(self, site: str, project: Project, more: str = "") -> str:
        home = self._homes / f"{site}-{project.id}{more and '-'}{more}"
        home.mkdir(parents=True, exist_ok=True)
        return str(home)

    def _environ(self, setup: WorkerConfig, runtime: Runtime, home: str) -> Mapping[str, str]:
        return environment(
            setup.process_environ(),
            home=home,
            downloads=str(self._state / "bundles") if runtime.kind == "distributed" else None,
            use_bundle_cache=runtime.use_bundle_cache,
            byte_code=str(self._state / "bytecode"),
            app_store=self._settings.app_store,
        )

    def _preparer(self, setup: WorkerConfig) -> Preparer:
        place, locks = self._archive, self._state / "locks"
        return Preparer(place, locks, setup.url, setup.script, setup.key.reveal(), proxy=setup.proxy, timeout=setup.timeout)

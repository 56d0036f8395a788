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
from callsheet.runtimes.fingerprint import Print, changed, of_source, prints
from callsheet.runtimes.prepare import Preparer
from callsheet.runtimes.resolve import resolve
from callsheet.runtimes.runtime import Runtime
from callsheet.runtimes.session_spec import SessionSpec
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import ToolkitSettings

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
    """What an opening is made of. ``known``: what the site said; ``asked_at``: the monotonic time at which it did."""

    runtime: Runtime
    prints: Mapping[str, Print | None]
    known: Sequence[SiteConfiguration]
    asked_at: float


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
        self._lock = threading.Lock()

    def project(self, site: str, name: str) -> Project:
        """The project of that name. Raises ToolkitError, or SiteError if the site does not answer."""
        with self._lock:
            return self._project(site, name)

    def find(self, site: str, project: int) -> SessionSpec:
        """The opening for a project. Raises ToolkitError, or SiteError if the site does not answer."""
        setup = self._setups[site]
        found, known = self._ask(site, project)
        runtime = resolve(found, known, self._settings, worker_python=setup.python or sys.executable)
        home = self._home(site, found)
        environ = self._environ(setup, runtime, home)
        if runtime.kind == "distributed":
            runtime = self._preparer(setup).prepare(runtime, home=home, environ=environ)
            runtime = replace(runtime, watched=of_source(runtime.descriptor or {}))
        elif runtime.kind == "studio":
            runtime = replace(runtime, config=studio_core.view(runtime.config or "", str(self._settings.studio), home))
        key = setup.key.reveal()
        told = runtime.opening(host=setup.url, script=setup.script, key=key, proxy=setup.proxy, home=home, level=setup.level)
        made = _Made(runtime, prints(runtime.watched), known, time.monotonic())
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

    def _ask(self, site: str, project: int) -> tuple[Project, Sequence[SiteConfiguration]]:
        with self._lock:  # a connection is for one thread at a time
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
            {**os.environ, **setup.environ},
            home=home,
            downloads=str(self._state / "bundles") if runtime.kind == "distributed" else None,
            use_bundle_cache=runtime.use_bundle_cache,
            byte_code=str(self._state / "bytecode"),
            app_store=self._settings.app_store,
        )

    def _preparer(self, setup: WorkerConfig) -> Preparer:
        place, locks = self._archive, self._state / "locks"
        return Preparer(place, locks, setup.url, setup.script, setup.key.reveal(), proxy=setup.proxy, timeout=setup.timeout)

"""What workers and sessions are made of, out of the settings: for the daemon, and for whoever starts some of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from callsheet.config import legacy_sections
from callsheet.runtimes.resolver import ToolkitRuntimeResolver
from callsheet.runtimes.worker_config import WorkerConfig
from callsheet.settings import Settings, SiteSettings
from callsheet.site.catalogue import ConfigurationCatalogue
from callsheet.state_folder import TOOLKIT

CA_VARIABLE = "SHOTGUN_API_CACERTS"
"""Where the vendor's client looks for the file of certificates, in workers and sessions, whoever makes the connection there."""


def worker_setups(settings: Settings) -> dict[str, WorkerConfig]:
    """What workers are told, by site."""
    return {site.name: _setup(settings, site) for site in settings.sites}


def catalogue(setup: WorkerConfig) -> ConfigurationCatalogue:
    """What a site knows of projects and their configurations."""
    return ConfigurationCatalogue(
        setup.url, setup.script, setup.key.reveal(), proxy=setup.proxy, ca=setup.environ.get(CA_VARIABLE), timeout=setup.timeout
    )


def finder(settings: Settings, setups: Mapping[str, WorkerConfig], archive: Path, homes: str = "homes") -> ToolkitRuntimeResolver:
    """Finds projects' Toolkit. ``archive``: the agent's. ``homes``: a folder of this process alone, in the state folder."""
    state = settings.state / TOOLKIT
    return ToolkitRuntimeResolver(setups, settings.toolkit, archive, state, lambda site: catalogue(setups[site]), homes=homes)


def _setup(settings: Settings, site: SiteSettings) -> WorkerConfig:
    return WorkerConfig(
        site=site.name,
        url=site.full_url,
        script=site.script,
        key=site.key,
        proxy=site.proxy,
        environ={} if site.ca is None else {CA_VARIABLE: str(site.ca)},
        hidden=settings.secret_variables,
        use_session_uuid=site.use_session_uuid,
        timeout=site.timeout,
        level=settings.log.level,
        argv0=str(Path(sys.argv[0]).resolve()),
        helpers=tuple(dict.fromkeys(str(path.parent) for path in (settings.source, settings.source.resolve()))),
        config=legacy_sections(settings, site.name),
        python=settings.python,
        hosted=frozenset(name for name, plugin in settings.plugins.items() if plugin.toolkit),
        retry=settings.retry,
        cascade=settings.cascade,
        deadline=settings.timeout,
        deadlines={name: plugin.timeout for name, plugin in settings.plugins.items() if plugin.timeout is not None},
    )

"""Takes over where a shotgunEvents daemon stood: its id file goes into the ledger, once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callsheet.discovery import discover
from callsheet.domain.plugin import PluginFile, PluginState
from callsheet.domain.reading import Gap, Intake
from callsheet.errors import StateError
from callsheet.legacy.idfile import IdFile, Place, Waiting, plan, present, read
from callsheet.ports import Ledger
from callsheet.settings import Settings, SiteSettings
from callsheet.telemetry import emit


@dataclass(frozen=True, slots=True)
class Imported:
    """What an id file says for the plugins on disk.

    ``positions``: plugin → last id it had, for all plugins found; ``fresh`` are those of them that the file doesn't know and that
    begin at the newest event; ``unused`` are names that only the file knows. With ``problem`` (an empty file) nothing was imported.
    """

    site: str
    source: Path
    cursor: int = 0
    positions: dict[str, int] | None = None
    gaps: tuple[Gap, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    problem: str | None = None


def import_state(
    ledger: Ledger,
    settings: Settings,
    newest: Callable[[], int],
    now: float,
    *,
    file: Path | None = None,
    site: str | None = None,
    force: bool = False,
) -> Imported | None:
    """Import ``file`` (None: the configured id file) for ``site`` (None: the only one), unless the ledger knows the site already.

    Returns what was imported; None where there is nothing to import or nothing to do. ``newest`` is asked for the newest event's
    id only where a plugin has no place of its own. ``force``: also where the ledger knows the site, whose plugins then go back (or
    on) to the file's ids. Raises StateError for a file that can't be used, SiteError from ``newest``.
    """
    source = file or settings.id_file
    if source is None or (file is None and not present(source)):
        return None
    chosen = choose_site(settings, site)
    state = ledger.site(chosen.name)
    if state.cursor is not None and not force:
        return None
    plugins = _plugins(chosen, {record.path: record.key.name for record in ledger.plugins(chosen.name)})
    found = prepare(read(source), chosen, plugins, newest, clock=state.clock, base=settings.source.parent)
    if found.positions is None:
        emit("state.imported", site=chosen.name, source=str(source), plugins={}, problem=found.problem)
        return found
    # A daemon may have met and even described them by now; only their places are missing.
    met = {record.key for record in ledger.plugins(chosen.name)}
    if new := [plugin for plugin in plugins if plugin.key not in met]:
        ledger.enrol(new, PluginState.LOADING, now)
    # Standing at the cursor is standing nowhere in particular: None.
    apart = {name: None if last == found.cursor else last for name, last in found.positions.items()}
    ledger.record(Intake(chosen.name, cursor=found.cursor, gaps=found.gaps, positions=apart), now)
    emit("state.imported", site=chosen.name, source=str(source), plugins=dict(found.positions))
    return found


def preview(
    ledger: Ledger | None, settings: Settings, newest: Callable[[], int], *, file: Path, site: str | None = None
) -> Imported:
    """What ``import_state`` would import of ``file``, with ``force`` where the ledger (None: a new one) knows the site; changes
    nothing.
    """
    chosen = choose_site(settings, site)
    known = {} if ledger is None else {record.path: record.key.name for record in ledger.plugins(chosen.name)}
    clock = 0.0 if ledger is None else ledger.site(chosen.name).clock
    return prepare(read(file), chosen, _plugins(chosen, known), newest, clock=clock, base=settings.source.parent)


def prepare(
    idfile: IdFile,
    site: SiteSettings,
    plugins: Sequence[PluginFile],
    newest: Callable[[], int],
    *,
    clock: float = 0.0,
    base: Path | None = None,
) -> Imported:
    """What importing ``idfile`` for these plugins comes to; changes nothing. ``clock``: the site's, in which gaps are counted."""
    if idfile.problem:
        return Imported(site.name, idfile.path, problem=idfile.problem)
    wanted = {plugin: (Path(plugin.path).parent, Path(plugin.path).stem) for plugin in plugins}
    places = plan(idfile, list(wanted.values()), base)
    fresh = [plugin.key.name for plugin, key in wanted.items() if places[key].last is None]
    stems = {stem for _, stem in wanted.values()}
    unused = sorted({name for names in idfile.folders.values() for name in names} - stems)
    if len(fresh) == len(wanted) and unused:
        problem = (
            f"id file {idfile.path} knows none of the plugins here, but only {', '.join(unused[:10])}: is it of another install?"
        )
        return Imported(site.name, idfile.path, fresh=tuple(fresh), unused=tuple(unused), problem=problem)
    known = [place.last for place in places.values() if place.last is not None]
    cursor = max([*known, *([newest()] if fresh or not known else [])])
    positions: dict[str, int] = {}
    gaps: list[Gap] = []
    for plugin, key in wanted.items():
        place: Place = places[key]
        positions[plugin.key.name] = cursor if place.last is None else place.last
        gaps += _gaps(plugin.key.name, place.backlog, clock)
    return Imported(site.name, idfile.path, cursor, positions, tuple(gaps), tuple(fresh), tuple(unused))


def _gaps(plugin: str, backlog: Sequence[Waiting], clock: float) -> list[Gap]:
    """The missing ids as ranges; neighbours whose waits end within one second of each other are one range."""
    gaps: list[Gap] = []
    for event_id, seconds in backlog:
        until = clock + math.ceil(seconds)
        if gaps and gaps[-1].last + 1 == event_id and abs(gaps[-1].until - until) <= 1:
            gaps[-1] = Gap(gaps[-1].first, event_id, max(gaps[-1].until, until), plugin)
        else:
            gaps.append(Gap(event_id, event_id, until, plugin))
    return gaps


def _plugins(site: SiteSettings, known: Mapping[str, str] | None = None) -> list[PluginFile]:
    """All plugins of the site. Raises StateError where a folder can't be listed: its plugins would lose their places for good."""
    found = discover(site.name, site.plugins, known)
    if found.missing:
        raise StateError(f"plugin folder {found.missing[0]} can't be listed, so its plugins' ids can't be imported; fix it first")
    return found.plugins


def choose_site(settings: Settings, name: str | None) -> SiteSettings:
    """The site of that name; None: the only one. Raises StateError for a name that there is not, and where there are several."""
    names = ", ".join(site.name for site in settings.sites)
    if name is None:
        if len(settings.sites) > 1:
            raise StateError(f"{settings.source} has several sites; name one with --site: {names}")
        return settings.sites[0]
    for site in settings.sites:
        if site.name == name:
            return site
    raise StateError(f"{settings.source} has no site {name!r}; name one of: {names}")

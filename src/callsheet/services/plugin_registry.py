"""Which plugins there are, and what they said of themselves. Watches the plugin folders; owns the manifests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from callsheet import telemetry
from callsheet.discovery import SETTLE, Discovery, Watch, discover, fingerprint, renewed
from callsheet.domain.callback import GLOBAL, Callback, CallbackKey, PluginKey
from callsheet.domain.overview import Described
from callsheet.domain.plugin import Manifest, PluginFile, PluginImports, PluginState
from callsheet.errors import StateError
from callsheet.ports import Executor, Ledger
from callsheet.services import bisection
from callsheet.services.helper_watch import HelperWatch
from callsheet.services.known_plugins import AS_IS_LOADS, LOADING_LOADS, KnownPlugin, LateCallback, Ready, tell_broken
from callsheet.services.look_findings import LookFindings
from callsheet.services.service import Service
from callsheet.timed_io import TimedIo
from callsheet.wire.texts import storable

LOOK_EVERY = 1.0
"""Seconds between two looks at the plugin folders."""

START_PATIENCE = 2.0
"""At the daemon's start the reading waits for plugins to register, as long as one does within this many seconds of the last."""


class PluginRegistry(Service):
    """Loads plugins that are new, reloads those whose file is another one than was loaded, and keeps their manifests."""

    name = "roster"

    def __init__(
        self,
        folders: Mapping[str, Sequence[Path]],
        executor: Executor,
        ledger: Ledger,
        *,
        in_turn: Container[str] = (),
        answers: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``in_turn``: the sites whose legacy plugins run one after another, event by event. ``answers``: whether a site answers
        its reading.
        """
        super().__init__()
        self._in_turn = in_turn
        self._answers = answers
        self._folders = folders
        self._executor = executor
        self._ledger = ledger
        self._clock = clock
        self._io = TimedIo()
        self._watch = Watch(steady, self._io)
        self._helpers = HelperWatch(folders, self._io, steady)
        self._lock = threading.RLock()
        self._fingerprints: dict[PluginKey, str] = {}
        """Of the files that were loaded last, in this life of the daemon or an earlier one."""
        self._last_life: dict[PluginKey, float] = {}
        """When the daemon's last life took note of a plugin that was not described since."""
        self._known: dict[PluginKey, KnownPlugin] = {}
        self._ready: dict[str, Ready] = {site: Ready() for site in folders}
        self._callbacks: dict[CallbackKey, Callback] = {}
        self._late: dict[str, list[LateCallback]] = {site: [] for site in folders}
        self._looked: set[str] = set()
        self._started: set[str] = set()
        self.findings = LookFindings(clock)
        """What was odd at the last look."""
        self._ordered: set[PluginKey] = set()
        """Those to be loaded anew, though nothing of them has changed."""
        self._progress = time.monotonic()

    def step(self) -> float:
        """Look at the folders of every site."""
        for site, folders in self._folders.items():
            with self._lock:
                names = {one.file.path: key.name for key, one in self._known.items() if key.site == site}
            if site not in self._looked:
                names = {record.path: record.key.name for record in self._ledger.plugins(site)}
            changed = self._helpers.changed(site)
            with self._lock:
                for key, helper in changed.items():
                    self._renew(key, helper)
            self._look(site, discover(site, folders, names, self._io))
        restless, self._watch.restless = self._watch.restless or self._helpers.restless, False
        return SETTLE if restless else LOOK_EVERY

    def imported(self, imports: PluginImports) -> None:
        """Take in which modules a plugin has imported: it is loaded anew when one of them changes."""
        with self._lock:
            known = self._known.get(imports.plugin)
            if known is not None and known.file.generation == imports.generation:
                self._helpers.imported(imports)

    def described(self, manifest: Manifest) -> None:
        """Take in what a worker said of its plugin. What comes from an older load than the last is stale, and dropped."""
        with self._lock:
            known = self._known.get(manifest.plugin)
            if known is None or known.file.generation != manifest.generation:
                return
            if manifest.plugin.site in self._in_turn:
                manifest = replace(manifest, callbacks=tuple(_in_turn(callback) for callback in manifest.callbacks))
            before = {one.key.name for one in known.callbacks} if known.state is PluginState.READY else set()
            if manifest.passing:
                known.loaded_in_vain(manifest, answers=self._answers(manifest.plugin.site))
            else:
                self._progress = time.monotonic()
                known.in_vain = known.unchanged = 0
            if manifest.passing and known.in_vain < LOADING_LOADS:
                known.state, described = PluginState.LOADING, Described()
                self._ledger.enrol([known.file], known.state, self._clock(), problem=manifest.problem or "")
            else:
                if manifest.problem is None and self._helpers.newest(manifest.plugin) > self._last_life.pop(manifest.plugin, inf):
                    known.file = replace(known.file, fingerprint=self._renewed(manifest.plugin))
                manifest, described = bisection.describe(self._ledger, known.file, manifest, self._clock())
                known.state = PluginState.READY if manifest.problem is None else PluginState.BROKEN
            told, known.problem = known.problem, manifest.problem
            known.callbacks = manifest.callbacks
            self._publish(manifest.plugin.site)
            late = [LateCallback(manifest.plugin.name, *one) for one in manifest.later.items() if one[0] not in before]
            self._late[manifest.plugin.site] += late
        facts = {"site": manifest.plugin.site, "plugin": manifest.plugin.name, "path": known.file.path}
        if manifest.problem is not None:
            if manifest.problem != told:
                tell_broken(manifest, known.file.path)
            return
        names = [callback.key.name for callback in manifest.callbacks]
        telemetry.emit("plugin.ready", **facts, callbacks=names, pid=manifest.pid, python=manifest.python)
        if described.released:
            why = "its file is another one than before"
            telemetry.emit("lane.released", site=facts["site"], plugin=facts["plugin"], count=described.released, why=why)
        # Of the same file: what it had registered after loading is gone with its worker.
        for name, count in (dict.fromkeys(before.difference(names), 0) | dict(described.skipped)).items():
            telemetry.emit("plugin.orphans", **facts, callback=name, count=count)

    def ready(self, site: str) -> Ready:
        """The plugins of ``site`` that can be routed to now."""
        return self._ready[site]

    def take_late(self, site: str) -> list[LateCallback]:
        """Those that were registered since the last call; `ready` has them."""
        with self._lock:
            late, self._late[site] = self._late[site], []
        return late

    def callback(self, key: CallbackKey) -> Callback | None:
        """The callback as last described; None if its plugin has no such callback any more."""
        return self._callbacks.get(key)

    def state(self, site: str, plugin: str) -> PluginState:
        """How the plugin is; GONE for one that is not in the folders."""
        known = self._known.get(PluginKey(site, plugin))
        return known.state if known else PluginState.GONE

    def remark(self, site: str, plugin: str, callbacks: tuple[Callback, ...], text: str) -> bool:
        """Keep what is doubtful about a plugin that is ready with these callbacks; False if it is not, any more."""
        with self._lock:
            known = self._known.get(PluginKey(site, plugin))
            if known is None or known.state is not PluginState.READY or known.callbacks != callbacks:
                return False
            self._ledger.enrol([known.file], known.state, self._clock(), problem=text)
            return True

    def starting(self, site: str) -> bool:
        """Whether the site's plugins are still registering for the first time, and getting on with it."""
        with self._lock:
            if site in self._started:
                return False
            if site not in self._looked:
                return True
            loading = any(one.state is PluginState.LOADING for key, one in self._known.items() if key.site == site)
            if loading and time.monotonic() - self._progress < START_PATIENCE:
                return True
            self._started.add(site)  # a reload later on holds up nobody but its own plugin
            return False

    def reload(self, site: str | None = None, plugin: str | None = None) -> None:
        """Load a plugin anew that is in the folders: that one (None: all), of that site (None: of every one). Returns at once."""
        with self._lock:
            self._ordered |= {key for key in self._known if site in (None, key.site) and plugin in (None, key.name)}
        self.wake()

    def unserved(self, free: Container[PluginKey]) -> bool:
        """Whether any plugin is loading, or ready and not in ``free``: its deliveries may be due, and nobody runs them now."""
        with self._lock:
            if self._looked != set(self._folders):
                return True
            alive = ((key, one.state) for key, one in self._known.items())
            return any(state is PluginState.LOADING or (state is PluginState.READY and key not in free) for key, state in alive)

    def _look(self, site: str, found: Discovery) -> None:
        unloadable: list[tuple[str, str]] = []
        with self._lock:
            present = {file.key for file in found.plugins}
            if site not in self._looked:
                self._first_look(site, present, found.missing)
            for file in found.plugins:
                self.got_on()
                try:
                    self._meet(file)
                except StateError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever is odd about a file, the look goes on to the others
                    reason = f"it can't be loaded ({type(error).__name__}: {error}); rename or replace it"
                    unloadable.append((file.path, reason))
            missing = {str(folder) for folder in found.missing}
            for key, known in self._known.items():
                # A folder that is away (a mount, a network share) says nothing about the plugins in it: they keep running.
                away = str(Path(known.file.path).parent) in missing
                lost = key.site == site and key not in present and not away and known.state is not PluginState.GONE
                if lost and self._watch.gone(key):
                    self._ordered.discard(key)
                    self._lose(known)
            self._looked.add(site)
        self.findings.note(site, found, unloadable)

    def _meet(self, file: PluginFile) -> None:
        """Load it if it is new, or another one than before; note where it stands."""
        known = self._known.get(file.key)
        due = file.key in self._ordered or (known is None and file.key.site not in self._looked)
        if due or self._watch.is_another(file):
            self._load(file)
        elif known is not None and known.unchanged >= AS_IS_LOADS and self._lacks_nothing(known):
            telemetry.emit("plugin.as_is", site=file.key.site, plugin=file.key.name, path=file.path, problem=known.problem)
            self._load(replace(file, as_is=True))
        elif known is not None and (file.ordinal, file.path) != (known.file.ordinal, known.file.path):
            known.file = replace(known.file, ordinal=file.ordinal, path=file.path, stamp=file.stamp)
            self._ledger.enrol([known.file], known.state, self._clock())
            self._publish(file.key.site)

    def _lacks_nothing(self, known: KnownPlugin) -> bool:
        """Whether the plugin has registered all that it had before."""
        before = next((one.callbacks for one in self._ledger.plugins(known.file.key.site) if one.key == known.file.key), ())
        return {one.key for one in before} <= {one.key for one in known.callbacks}

    def _first_look(self, site: str, present: set[PluginKey], missing: Sequence[Path]) -> None:
        """Mark what the ledger remembers and the folders no longer have; loading is told by `_load`.

        What stood in a folder that can't be seen is not gone: it gets all that it missed, however long that takes.
        """
        away = {storable(str(folder)) for folder in missing}
        for record in self._ledger.plugins(site):
            self._fingerprints[record.key] = record.fingerprint
            self._last_life[record.key] = record.updated_at
            if record.key not in present and record.state is not PluginState.GONE:
                file = PluginFile(record.key, record.path, record.ordinal, record.mtime)
                if str(Path(record.path).parent) in away:
                    problem = f"The folder {Path(record.path).parent} is not there."
                    self._ledger.enrol([file], PluginState.BROKEN, self._clock(), problem=problem)
                    continue
                self._ledger.enrol([file], PluginState.GONE, self._clock())
                telemetry.emit("plugin.gone", site=site, plugin=record.key.name, path=record.path, position=record.position)

    def _renew(self, key: PluginKey, helper: str) -> None:
        """Have a plugin loaded anew, and taken for another one, since a module that it imports has changed."""
        known = self._known.get(key)
        if known is not None and known.state is not PluginState.GONE:
            telemetry.emit("plugin.helper_changed", site=key.site, plugin=key.name, path=known.file.path, helper=helper)
            self._renewed(key)
            self._ordered.add(key)

    def _renewed(self, key: PluginKey) -> str:
        self._fingerprints[key] = renewed(self._fingerprints.get(key, ""), self._clock())
        return self._fingerprints[key]

    def _load(self, file: PluginFile) -> None:
        known = self._known.get(file.key)
        again = known is not None and known.state is not PluginState.GONE
        generation = known.file.generation + 1 if known else 1
        file = replace(file, generation=generation, fingerprint=fingerprint(file, self._fingerprints.get(file.key, ""), self._io))
        # The ledger first: where it fails, the next look finds the plugin as it was, and does this again.
        self._ledger.enrol([file], PluginState.LOADING, self._clock())
        self._fingerprints[file.key] = file.fingerprint
        self._known[file.key] = KnownPlugin(file, PluginState.LOADING)
        name = "plugin.reloading" if again else "plugin.loading"
        telemetry.emit(name, site=file.key.site, plugin=file.key.name, path=file.path)
        self._progress = time.monotonic()
        self._publish(file.key.site)
        self._watch.loaded(file)
        self._helpers.loading(file.key)
        self._ordered.discard(file.key)
        self._executor.load(file)

    def _lose(self, known: KnownPlugin) -> None:
        key = known.file.key
        self._ledger.enrol([known.file], PluginState.GONE, self._clock())
        known.state, known.callbacks = PluginState.GONE, ()
        self._helpers.loading(key)
        self._executor.unload(key)
        self._publish(key.site)
        telemetry.emit("plugin.gone", site=key.site, plugin=key.name, path=known.file.path, position=None)

    def _publish(self, site: str) -> None:
        mine = sorted((one for key, one in self._known.items() if key.site == site), key=lambda one: one.file.ordinal)
        ready = {one.file.key.name: one.callbacks for one in mine if one.state is PluginState.READY}
        self._ready[site] = Ready(self._ready[site].version + 1, ready)
        self._callbacks = {callback.key: callback for one in self._known.values() for callback in one.callbacks}


def _in_turn(callback: Callback) -> Callback:
    return replace(callback, lane=GLOBAL) if callback.legacy else callback

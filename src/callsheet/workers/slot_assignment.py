"""Which plugins share a worker: those that the configuration groups, and others where workers are few; otherwise none."""

from __future__ import annotations

from collections.abc import Mapping

from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import PluginFile
from callsheet.workers.slot import WorkerSlot


class SlotAssignment:
    """All slots. A plugin keeps its slot for as long as it is there, whatever comes and goes beside it."""

    def __init__(self, groups: Mapping[PluginKey, str] | None = None, most: int | None = None) -> None:
        """``groups``: plugins whose worker is shared by all of the same group (and site). ``most``: how many slots there are for
        the others, over all sites; None: one for each.
        """
        self._groups = groups or {}
        self._most = most
        self._places: dict[PluginKey, WorkerSlot] = {}
        self._homes: dict[PluginKey, WorkerSlot] = {}
        self._apart: set[PluginKey] = set()
        self.worker_slots: list[WorkerSlot] = []

    def slot_of(self, key: PluginKey) -> WorkerSlot | None:
        """The slot of the plugin; None if it has none."""
        return self._places.get(key)

    def taken(self) -> list[PluginKey]:
        """All plugins that have a slot."""
        return list(self._places)

    def take(self, plugin: PluginFile) -> WorkerSlot:
        """A slot for the plugin: the one it had, if that is still there."""
        key = plugin.key
        slot = self._homes.get(key)
        if slot is None or (slot not in self.worker_slots and slot.members):
            slot = self._choose(key)
        if slot not in self.worker_slots:
            self.worker_slots.append(slot)
        self._homes[key] = self._places[key] = slot
        slot.members[key] = plugin
        # Loaded in the order of the folders, whoever came first.
        slot.members = dict(sorted(slot.members.items(), key=lambda one: one[1].ordinal))
        return slot

    def leave(self, key: PluginKey) -> None:
        """The plugin is gone, or about to be loaded anew: one that was set apart gets another chance. A slot without plugins is put
        away.
        """
        slot = self._places.pop(key)
        slot.leave(key)
        if not slot.members:
            self.worker_slots.remove(slot)
        if key in self._apart:
            self._apart.discard(key)
            self._homes.pop(key)

    def apart(self, key: PluginKey) -> WorkerSlot:
        """Give the plugin a slot for itself, until it is loaded anew."""
        slot = self._places[key]
        plugin, other = slot.members[key], slot.split(key)
        self.leave(key)
        self._apart.add(key)
        self._homes[key] = other
        return self.take(plugin)

    def _choose(self, key: PluginKey) -> WorkerSlot:
        group = self._groups.get(key)
        if group is not None:
            mine = (slot for slot in self.worker_slots if slot.name == f"group {group}" and self._site(slot) == key.site)
            return next(mine, None) or WorkerSlot(f"group {group}")
        common = [slot for slot in self.worker_slots if not any(one in self._groups or one in self._apart for one in slot.members)]
        here = [slot for slot in common if self._site(slot) == key.site]
        if self._most is None or len(common) < self._most or not here:
            return WorkerSlot(key.name)
        return min(here, key=lambda slot: (slot.busy, len(slot.members)))

    def _site(self, slot: WorkerSlot) -> str:
        return next((key.site for key in slot.members), "")

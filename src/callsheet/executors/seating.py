"""Which plugins share a worker: those that the configuration groups, and others where workers are few; otherwise none."""

from __future__ import annotations

from collections.abc import Mapping

from callsheet.executors.seat import Seat
from callsheet.model import PluginFile, PluginKey


class Seating:
    """All seats. A plugin keeps its seat for as long as it is there, whatever comes and goes beside it."""

    def __init__(self, groups: Mapping[PluginKey, str] | None = None, most: int | None = None) -> None:
        """``groups``: plugins whose worker is shared by all of the same group (and site). ``most``: how many seats there are for
        the others, over all sites; None: one for each.
        """
        self._groups = groups or {}
        self._most = most
        self._places: dict[PluginKey, Seat] = {}
        self._homes: dict[PluginKey, Seat] = {}
        self._apart: set[PluginKey] = set()
        self.seats: list[Seat] = []

    def seat_of(self, key: PluginKey) -> Seat | None:
        """Where the plugin sits; None if it has no seat."""
        return self._places.get(key)

    def taken(self) -> list[PluginKey]:
        """All plugins that have a seat."""
        return list(self._places)

    def take(self, plugin: PluginFile) -> Seat:
        """A seat for the plugin: the one it had, if that is still there."""
        key = plugin.key
        seat = self._homes.get(key)
        if seat is None or (seat not in self.seats and seat.members):
            seat = self._choose(key)
        if seat not in self.seats:
            self.seats.append(seat)
        self._homes[key] = self._places[key] = seat
        seat.members[key] = plugin
        # Loaded in the order of the folders, whoever came first.
        seat.members = dict(sorted(seat.members.items(), key=lambda one: one[1].ordinal))
        return seat

    def leave(self, key: PluginKey) -> None:
        """The plugin is gone, or about to be loaded anew: one that was set apart gets another chance. A seat without plugins is put
        away.
        """
        seat = self._places.pop(key)
        seat.leave(key)
        if not seat.members:
            self.seats.remove(seat)
        if key in self._apart:
            self._apart.discard(key)
            self._homes.pop(key)

    def apart(self, key: PluginKey) -> Seat:
        """Give the plugin a seat for itself, until it is loaded anew."""
        seat = self._places[key]
        plugin, other = seat.members[key], seat.split(key)
        self.leave(key)
        self._apart.add(key)
        self._homes[key] = other
        return self.take(plugin)

    def _choose(self, key: PluginKey) -> Seat:
        group = self._groups.get(key)
        if group is not None:
            mine = (seat for seat in self.seats if seat.name == f"group {group}" and self._site(seat) == key.site)
            return next(mine, None) or Seat(f"group {group}")
        common = [seat for seat in self.seats if not any(one in self._groups or one in self._apart for one in seat.members)]
        here = [seat for seat in common if self._site(seat) == key.site]
        if self._most is None or len(common) < self._most or not here:
            return Seat(key.name)
        return min(here, key=lambda seat: (seat.busy, len(seat.members)))

    def _site(self, seat: Seat) -> str:
        return next((key.site for key in seat.members), "")

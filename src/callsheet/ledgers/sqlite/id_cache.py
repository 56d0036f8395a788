"""Small integers for sites, plugins and callbacks, so that each of a million deliveries need not repeat their names."""

from __future__ import annotations

import sqlite3

from callsheet.domain.callback import CallbackKey, PluginKey


class Names:
    """Ids by name and names by id, kept in memory. To be used within a transaction, hence by one thread at a time.

    Rows of these tables are never deleted, so what is in memory stays right whatever other processes write. Only a rollback in this
    process can make it wrong: then ``forget``.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._sites: dict[str, int] = {}
        self._plugins: dict[PluginKey, int] = {}
        self._callbacks: dict[CallbackKey, int] = {}
        self._keys: dict[int, CallbackKey] = {}
        self._owners: dict[int, int] = {}

    def site(self, tx: sqlite3.Connection, name: str) -> int:
        """The id of a site, made if there was none."""
        found = self._sites.get(name)
        if found is None:
            tx.execute("INSERT INTO sites (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            (found,) = tx.execute("SELECT id FROM sites WHERE name = ?", (name,)).fetchone()
            self._sites[name] = found
        return found

    def plugin(self, tx: sqlite3.Connection, key: PluginKey) -> int:
        """The id of a plugin. One never seen is made, as GONE and standing at the cursor."""
        found = self.known_plugin(tx, key)
        if found is None:
            tx.execute("INSERT INTO plugins (site_id, name) VALUES (?, ?)", (self.site(tx, key.site), key.name))
            found = self.known_plugin(tx, key)
            assert found is not None
        return found

    def known_plugin(self, tx: sqlite3.Connection, key: PluginKey) -> int | None:
        """The id of a plugin; None for one never seen."""
        found = self._plugins.get(key)
        if found is None:
            sql = "SELECT plugins.id FROM plugins JOIN sites ON sites.id = site_id WHERE sites.name = ? AND plugins.name = ?"
            row = tx.execute(sql, (key.site, key.name)).fetchone()
            if row is None:
                return None
            found = self._plugins[key] = int(row[0])
        return found

    def callback(self, tx: sqlite3.Connection, key: CallbackKey) -> int:
        """The id of a callback, made if there was none."""
        found = self._callbacks.get(key)
        if found is None:
            plugin_id = self.plugin(tx, key.plugin)
            tx.execute("INSERT INTO callbacks (plugin_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (plugin_id, key.name))
            (found,) = tx.execute("SELECT id FROM callbacks WHERE plugin_id = ? AND name = ?", (plugin_id, key.name)).fetchone()
            self._keep(key, found, plugin_id)
        return found

    def callback_key(self, tx: sqlite3.Connection, callback_id: int) -> CallbackKey:
        """Whose id that is."""
        if callback_id not in self._keys:
            self._read_callbacks(tx)
        return self._keys[callback_id]

    def plugin_of(self, tx: sqlite3.Connection, callback_id: int) -> int:
        """The id of the plugin that a callback belongs to."""
        if callback_id not in self._owners:
            self._read_callbacks(tx)
        return self._owners[callback_id]

    def _read_callbacks(self, tx: sqlite3.Connection) -> None:
        sql = """
            SELECT callbacks.id, plugins.id, sites.name, plugins.name, callbacks.name
            FROM callbacks JOIN plugins ON plugins.id = plugin_id JOIN sites ON sites.id = site_id
        """
        for callback_id, plugin_id, site, plugin, name in tx.execute(sql):
            self._keep(CallbackKey(PluginKey(site, plugin), name), callback_id, plugin_id)

    def _keep(self, key: CallbackKey, callback_id: int, plugin_id: int) -> None:
        self._callbacks[key] = callback_id
        self._keys[callback_id] = key
        self._owners[callback_id] = plugin_id

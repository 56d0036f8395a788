-- What tells later why an event did not run.

-- began_after: events up to this id came before the plugin; NULL: not known yet, 0: it was there before this was noted.
ALTER TABLE plugins ADD COLUMN began_after INTEGER;
UPDATE plugins SET began_after = 0;

-- pruned_to: the newest event of which a delivery was forgotten, with its history.
ALTER TABLE sites ADD COLUMN pruned_to INTEGER;

-- What a plugin had registered, up to an event: the next row, or the manifest, holds for what comes behind it.
CREATE TABLE earlier_callbacks (
    plugin_id   INTEGER NOT NULL,
    until_event INTEGER NOT NULL,
    at          REAL NOT NULL,           -- when it changed
    callbacks   TEXT NOT NULL
);
CREATE INDEX earlier_callbacks_of_plugin ON earlier_callbacks (plugin_id, until_event);

-- Ids that did not show while they were waited for, or were not waited for, since what follows them is old.
CREATE TABLE expired_gaps (
    site_id INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    at      REAL NOT NULL
);
CREATE INDEX expired_gaps_of_site ON expired_gaps (site_id, last);

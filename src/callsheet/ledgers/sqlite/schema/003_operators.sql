-- What operators hold, until they release it.
CREATE TABLE holds (
    plugin_id INTEGER NOT NULL,
    lane      TEXT,                     -- a lane's key, which may have no deliveries yet; NULL: the whole plugin
    at        REAL NOT NULL,
    who       TEXT NOT NULL,
    why       TEXT NOT NULL
);
CREATE INDEX holds_of_plugin ON holds (plugin_id, lane);

-- Events to be read from the site again, for one plugin.
CREATE TABLE replays (
    id         INTEGER PRIMARY KEY,     -- of its operation
    plugin_id  INTEGER NOT NULL,
    callback   TEXT,                    -- NULL: all that want the event
    ranges     TEXT NOT NULL,           -- ids as JSON: [[first, last], ...]
    position   INTEGER NOT NULL,        -- the last id read for it
    events     INTEGER NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL DEFAULT 0,
    since      REAL NOT NULL,
    ended      REAL
);
CREATE INDEX replays_open ON replays (plugin_id) WHERE ended IS NULL;

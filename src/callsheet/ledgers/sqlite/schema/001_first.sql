-- The ledger, version 1. Files of this folder are applied in the order of their numbers, each in one transaction.
--
-- Needs SQLite 3.34 (Rocky and RHEL 9 link Python 3.11 to that): no RETURNING, no STRICT, no ->>.
-- Times are seconds since the epoch. Rows of sites, plugins and callbacks are never deleted, so their ids may be kept in memory.
-- No foreign keys: they would cost a look-up per delivery, and the contract suite checks that nothing dangles.
--
-- deliveries.state (callsheet.model.State): 0 waiting, 2 retrying, 3 held | 4 done, 5 dead, 6 skipped. Those below 4 are open.
-- 1, running, is never stored: it follows from the lane that is handed out (see lanes), so a claim writes one row per lane.

CREATE TABLE sites (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    cursor INTEGER,                     -- the last event id read; NULL: never read
    clock  REAL NOT NULL DEFAULT 0      -- seconds in which the site answered
);

CREATE TABLE gaps (
    site_id INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    until   REAL NOT NULL,              -- on the site's clock
    plugin  TEXT                        -- NULL: of every plugin that has passed it
);
CREATE INDEX gaps_of_site ON gaps (site_id, first);

-- Small and hot: every transaction that changes deliveries adjusts the counts of their plugin here, so nobody ever has to count.
CREATE TABLE plugins (
    id       INTEGER PRIMARY KEY,
    site_id  INTEGER NOT NULL,
    name     TEXT NOT NULL,
    path     TEXT NOT NULL DEFAULT '',
    ordinal  INTEGER NOT NULL DEFAULT 0,
    state    TEXT NOT NULL DEFAULT 'gone',
    mtime    REAL NOT NULL DEFAULT 0,
    position INTEGER,                   -- the last event id routed to it; NULL: stands at the cursor
    updated  REAL NOT NULL DEFAULT 0,
    waiting  INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    held     INTEGER NOT NULL DEFAULT 0,
    done     INTEGER NOT NULL DEFAULT 0,
    dead     INTEGER NOT NULL DEFAULT 0,
    skipped  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (site_id, name)
);

-- Large and cold, hence apart from plugins.
CREATE TABLE manifests (
    plugin_id INTEGER PRIMARY KEY,
    callbacks TEXT NOT NULL DEFAULT '[]',
    problem   TEXT NOT NULL DEFAULT ''
);

CREATE TABLE callbacks (
    id        INTEGER PRIMARY KEY,
    plugin_id INTEGER NOT NULL,
    name      TEXT NOT NULL,
    UNIQUE (plugin_id, name)
);

-- Only events that some delivery refers to, each once.
CREATE TABLE events (
    site_id INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    type    TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (site_id, id)
);

-- One row per lane that has deliveries; the only table a claim searches or writes.
--   ready    may be handed out from `due` on: since when it waits for a slot, or when its first delivery is to be tried again
--   running  handed out to `owner` as `run`: the waiting deliveries from head to tail (event id, ordinal), without those that came
--            late (their id is beyond `newest`) and those that an operator reopened meanwhile (they have a `due`)
--   held     a held delivery stands in it
--   idle     nothing open in it, since `due`
CREATE TABLE lanes (
    id           INTEGER PRIMARY KEY,
    plugin_id    INTEGER NOT NULL,
    key          TEXT NOT NULL,
    state        TEXT NOT NULL,
    due          REAL NOT NULL,
    owner        TEXT,
    run          INTEGER,               -- NULL unless running
    head_event   INTEGER,
    head_ordinal INTEGER,
    tail_event   INTEGER,
    tail_ordinal INTEGER,
    newest       INTEGER,
    UNIQUE (plugin_id, key)
);
CREATE INDEX lanes_ready ON lanes (plugin_id, due) WHERE state = 'ready';
CREATE UNIQUE INDEX lanes_run ON lanes (run) WHERE run IS NOT NULL;

CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,    -- grows with the order of recording; never used twice
    lane_id     INTEGER NOT NULL,
    event_id    INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,
    callback_id INTEGER NOT NULL,
    recorded    REAL NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    crashes     INTEGER NOT NULL DEFAULT 0,
    started     REAL,
    finished    REAL,
    due         REAL                    -- open: not before this; NULL: as soon as its lane comes to it
);
-- The event first: new rows go to the end of the index, and all deliveries of an event are found by it.
CREATE UNIQUE INDEX deliveries_once ON deliveries (event_id, callback_id);
CREATE INDEX deliveries_open ON deliveries (lane_id, event_id, ordinal) WHERE state < 4;
CREATE INDEX deliveries_troubled ON deliveries (state, lane_id) WHERE state IN (2, 3, 5);

-- One row per failed attempt.
CREATE TABLE failures (
    id          INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    state       INTEGER NOT NULL,       -- what was decided
    started     REAL NOT NULL,
    ended       REAL NOT NULL,
    kind        TEXT NOT NULL,
    text        TEXT NOT NULL,
    traceback   TEXT NOT NULL,
    locals      TEXT NOT NULL
);
CREATE INDEX failures_of_delivery ON failures (delivery_id);

CREATE TABLE operations (
    id      INTEGER PRIMARY KEY,
    at      REAL NOT NULL,
    verb    TEXT NOT NULL,
    who     TEXT NOT NULL,
    why     TEXT NOT NULL,
    query   TEXT NOT NULL,              -- the DeliveryQuery as JSON
    changed INTEGER NOT NULL            -- how many deliveries
);

CREATE TABLE heartbeat (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    pid        INTEGER NOT NULL,
    started_at REAL NOT NULL,
    at         REAL NOT NULL,
    version    TEXT NOT NULL,
    config     TEXT NOT NULL,
    stopped_at REAL
);

CREATE TABLE health (
    site        TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    newest      INTEGER,
    answered_at REAL,
    error       TEXT,
    error_since REAL
);

-- The last id given out, of deliveries and of runs.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('delivery', 0), ('run', 0);

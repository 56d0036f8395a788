-- What a sandbox keeps. Entities are read into memory at start and written through; events stay here.

CREATE TABLE IF NOT EXISTS facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL              -- JSON
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS entities (
    type    TEXT NOT NULL,
    id      INTEGER NOT NULL,
    retired INTEGER NOT NULL,
    data    TEXT NOT NULL,           -- JSON; links as [type, id]
    PRIMARY KEY (type, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS changed_fields (
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    data TEXT,                       -- JSON of the field; NULL: the field was deleted
    PRIMARY KEY (type, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS credentials (
    kind   TEXT NOT NULL,            -- script, user or session
    name   TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

-- `head` is the event's JSON as the poll wants it, up to its entity: that is filled in at reading time, since an
-- event's entity is null once it is retired and carries its present name until then.
CREATE TABLE IF NOT EXISTS events (
    id             INTEGER PRIMARY KEY,
    event_type     TEXT NOT NULL,
    attribute_name TEXT,
    created_at     TEXT NOT NULL,
    project        INTEGER,
    user           TEXT,             -- Type:id
    entity         TEXT,             -- Type:id
    session_uuid   TEXT,
    description    TEXT,
    head           TEXT NOT NULL
);

-- Events that have their id and are not to be seen yet.
CREATE TABLE IF NOT EXISTS withheld AS SELECT * FROM events WHERE 0;

-- The crew as the daemon last said; written as a whole, see ``crew.py``.
CREATE TABLE workers (
    site     TEXT NOT NULL,
    plugins  TEXT NOT NULL,             -- their names, as a JSON list
    project  INTEGER,
    pid      INTEGER,
    state    TEXT NOT NULL,             -- starting, idle, busy, stopping, backing off
    since    REAL NOT NULL,
    memory   INTEGER,                   -- bytes
    calls    INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    problem  TEXT NOT NULL,
    retry_at REAL
);

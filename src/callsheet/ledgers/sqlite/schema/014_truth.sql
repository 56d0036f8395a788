-- What tells whether all is well.

-- report: how the daemon's services are, what it found not well around it, and where it writes, as JSON.
ALTER TABLE heartbeat ADD COLUMN report TEXT NOT NULL DEFAULT '{}';

-- patience: seconds within which the daemon asks the site again, and has its answer.
ALTER TABLE health ADD COLUMN patience REAL NOT NULL DEFAULT 60;

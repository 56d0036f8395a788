-- Which event log a site shows, so that another one (of a restored site, of another site under that name) is noticed before it is read.
-- address: host and path of the site; NULL: not known yet
-- recent: the last events read, as JSON: [[id, type, created_at], ...]
-- empty_at: the log was empty at the first start, which was then
-- log_epoch: how many event logs were read before this one; their events and deliveries have ids below zero, see event_logs.py
ALTER TABLE sites ADD COLUMN address TEXT;
ALTER TABLE sites ADD COLUMN recent TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sites ADD COLUMN empty_at REAL;
ALTER TABLE sites ADD COLUMN log_epoch INTEGER NOT NULL DEFAULT 0;

-- Why a site is not read though it answers.
ALTER TABLE health ADD COLUMN problem TEXT;

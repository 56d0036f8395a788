-- Since when a plugin's file is gone, and the site's newest event at that moment (NULL: not known). Both stay until it is back, and
-- it was checked how far it is behind.
ALTER TABLE plugins ADD COLUMN gone_since REAL;
ALTER TABLE plugins ADD COLUMN gone_newest INTEGER;

-- When an operator had it forgotten: nothing but its history is left of it, until a file of that name appears. Its row stays, since
-- ids of plugins may be kept in memory.
ALTER TABLE plugins ADD COLUMN forgotten REAL;

-- Which file a plugin was when it was last described without a problem: only another one releases what is held.
ALTER TABLE manifests ADD COLUMN file TEXT NOT NULL DEFAULT '';

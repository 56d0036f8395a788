-- What a worker has been calling for more than a moment, and since when.
ALTER TABLE workers ADD COLUMN call TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN called_at REAL;

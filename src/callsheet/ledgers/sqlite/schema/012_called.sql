-- When a call of a callback ended last; NULL: it has not been called since this was noted.
ALTER TABLE callbacks ADD COLUMN called REAL;

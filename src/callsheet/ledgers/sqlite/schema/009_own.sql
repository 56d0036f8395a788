-- How many deliveries of a plugin were not made, since the plugin itself caused the event.
ALTER TABLE plugins ADD COLUMN own INTEGER NOT NULL DEFAULT 0;

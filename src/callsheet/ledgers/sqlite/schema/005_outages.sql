-- How often a delivery failed since the site did not answer: those tries are not among its attempts.

ALTER TABLE deliveries ADD COLUMN outages INTEGER NOT NULL DEFAULT 0;

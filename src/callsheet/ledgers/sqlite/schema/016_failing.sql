-- What `status` asks of failures and of waiting, so that it need not walk through deliveries.

-- troubled: the last delivery of the plugin that was held or failed for good; troubled_since: since when there is one.
ALTER TABLE plugins ADD COLUMN troubled INTEGER;
ALTER TABLE plugins ADD COLUMN troubled_since REAL;
UPDATE plugins SET troubled = (
    SELECT max(d.id) FROM lanes AS l JOIN deliveries AS d ON d.lane_id = l.id
    WHERE l.plugin_id = plugins.id AND d.state IN (2, 3, 5) AND d.state IN (3, 5)
) WHERE dead + held > 0;

-- failures: how many of the last calls in a row have failed, since failing_since; last_failed: the delivery of the last of them.
ALTER TABLE callbacks ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE callbacks ADD COLUMN failing_since REAL;
ALTER TABLE callbacks ADD COLUMN last_failed INTEGER;

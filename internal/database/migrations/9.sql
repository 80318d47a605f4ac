-- The attempt that a record was made with, which is most deliveries' only one; null where
-- there was none. All others are in attempts.
ALTER TABLE deliveries ADD COLUMN first_attempt BLOB;
ALTER TABLE deliveries ADD COLUMN first_response BLOB;

CREATE VIEW all_attempts (delivery, number, item, response) AS
	SELECT number, 1, first_attempt, first_response FROM deliveries WHERE first_attempt IS NOT NULL
	UNION ALL SELECT delivery, number, item, response FROM attempts;

-- The id of a delivery begins with its event's time: whoever wants deliveries by time has
-- them by id.
DROP INDEX deliveries_of_webhook;
DROP INDEX deliveries_not_succeeded;
DROP INDEX deliveries_of_workspace;
DROP INDEX deliveries_of_workspace_not_succeeded;
CREATE INDEX deliveries_of_webhook ON deliveries (workspace_id, webhook_id, id);
CREATE INDEX deliveries_not_succeeded ON deliveries (workspace_id, webhook_id, status, id) WHERE status <> 'succeeded';
CREATE INDEX deliveries_of_workspace_not_succeeded ON deliveries (workspace_id, id, status) WHERE status <> 'succeeded';

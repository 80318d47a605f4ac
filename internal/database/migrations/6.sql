-- The deliveries of all of a workspace's webhooks.
CREATE INDEX deliveries_of_workspace ON deliveries (workspace_id, event_at, id);
CREATE INDEX deliveries_of_workspace_not_succeeded ON deliveries (workspace_id, event_at, id, status) WHERE status <> 'succeeded';

-- What the sender of a trigger calls it; empty if it told nothing.
ALTER TABLE runs ADD COLUMN delivery_id TEXT NOT NULL DEFAULT '';
UPDATE runs SET delivery_id = coalesce(json_extract(CAST(item AS TEXT), '$.details.delivery_id'), '');
CREATE INDEX runs_by_delivery ON runs (workspace_id, delivery_id, created_at, id) WHERE delivery_id <> '';

-- How many attempts a webhook has had in an hour, and what came of them.
CREATE TABLE statistics (
	webhook_id TEXT NOT NULL,
	hour       INTEGER NOT NULL, -- its beginning
	expires    INTEGER NOT NULL,
	item       BLOB NOT NULL,
	PRIMARY KEY (webhook_id, hour)
);
CREATE INDEX statistics_by_expiry ON statistics (expires);

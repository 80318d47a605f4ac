-- The newest burst of each key of an incoming webhook that coalesces its triggers.
CREATE TABLE bursts (
	webhook_id TEXT NOT NULL,
	key        TEXT NOT NULL,
	run_id     TEXT NOT NULL,
	began_at   INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	PRIMARY KEY (webhook_id, key)
);
CREATE INDEX bursts_by_expiry ON bursts (expires);

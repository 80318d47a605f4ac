-- Who has a turn of a deployment whose runs take turns.
CREATE TABLE turns (
	source_id TEXT PRIMARY KEY,
	expires   INTEGER NOT NULL,
	item      BLOB NOT NULL
);
CREATE INDEX turns_by_expiry ON turns (expires);

-- Who waits for one.
CREATE TABLE waiting (
	source_id   TEXT NOT NULL,
	accepted_at INTEGER NOT NULL,
	run_id      TEXT NOT NULL,
	expires     INTEGER NOT NULL,
	PRIMARY KEY (source_id, accepted_at, run_id)
);
CREATE INDEX waiting_by_expiry ON waiting (expires);

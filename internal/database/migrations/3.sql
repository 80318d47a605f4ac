CREATE TABLE event_types (
	workspace_id TEXT NOT NULL,
	name         TEXT NOT NULL,
	item         BLOB NOT NULL,
	PRIMARY KEY (workspace_id, name)
) WITHOUT ROWID;

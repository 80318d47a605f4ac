-- Times are Unix milliseconds, but for slots.free_at, which is microseconds.
-- "item" is JSON; "body", "text", "lines" and "response" are compressed by package
-- compress. What has "expires" is absent from that time on.

-- What the program itself must remember.

CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- What users set up.

CREATE TABLE workspaces (
	id         TEXT PRIMARY KEY,
	created_at INTEGER NOT NULL,
	item       BLOB NOT NULL
);
CREATE INDEX workspaces_by_time ON workspaces (created_at, id);

CREATE TABLE tokens (
	workspace_id TEXT NOT NULL,
	id           TEXT NOT NULL,
	hash         BLOB NOT NULL,
	created_at   INTEGER NOT NULL,
	item         BLOB NOT NULL,
	PRIMARY KEY (workspace_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_hash ON tokens (hash);
CREATE INDEX tokens_by_time ON tokens (workspace_id, created_at, id);

CREATE TABLE sources (
	id           TEXT PRIMARY KEY,
	workspace_id TEXT NOT NULL,
	kind         TEXT NOT NULL,
	crew_id      TEXT NOT NULL, -- of an agent
	slug         TEXT NOT NULL, -- of an agent
	created_at   INTEGER NOT NULL,
	item         BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX sources_by_time ON sources (workspace_id, kind, created_at, id);
CREATE INDEX agents_by_crew ON sources (workspace_id, crew_id, created_at, id) WHERE kind = 'agent';
CREATE UNIQUE INDEX agents_by_slug ON sources (workspace_id, crew_id, slug) WHERE kind = 'agent';

CREATE TABLE live (
	source_id   TEXT NOT NULL,
	environment TEXT NOT NULL,
	version_id  TEXT NOT NULL,
	number      INTEGER NOT NULL,
	PRIMARY KEY (source_id, environment)
) WITHOUT ROWID;

CREATE TABLE versions (
	source_id TEXT NOT NULL,
	id        TEXT NOT NULL,
	number    INTEGER NOT NULL,
	item      BLOB NOT NULL,
	PRIMARY KEY (source_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX versions_by_number ON versions (source_id, number);

CREATE TABLE incoming (
	source_id  TEXT NOT NULL,
	id         TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	item       BLOB NOT NULL,
	PRIMARY KEY (source_id, id)
) WITHOUT ROWID;

CREATE TABLE outgoing (
	source_id  TEXT NOT NULL,
	id         TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	item       BLOB NOT NULL,
	PRIMARY KEY (source_id, id)
) WITHOUT ROWID;

-- What happens.

CREATE TABLE healths (
	webhook_id TEXT PRIMARY KEY,
	expires    INTEGER NOT NULL,
	item       BLOB NOT NULL
);
CREATE INDEX healths_by_expiry ON healths (expires);

CREATE TABLE runs (
	id           TEXT PRIMARY KEY,
	workspace_id TEXT NOT NULL,
	kind         TEXT NOT NULL, -- of its source
	source_id    TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	active       INTEGER NOT NULL, -- 1 until it is over
	expires      INTEGER NOT NULL,
	item         BLOB NOT NULL -- its head
);
CREATE INDEX runs_of_source ON runs (source_id, created_at, id);
CREATE INDEX runs_of_workspace ON runs (workspace_id, kind, created_at, id);
CREATE INDEX runs_active ON runs (source_id, created_at, id) WHERE active = 1;
CREATE INDEX runs_by_expiry ON runs (expires);

CREATE TABLE run_texts (
	run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	kind   TEXT NOT NULL, -- input or output
	text   BLOB NOT NULL,
	PRIMARY KEY (run_id, kind)
);

CREATE TABLE pinned_runs (
	id      TEXT PRIMARY KEY,
	run_id  TEXT NOT NULL,
	expires INTEGER NOT NULL
);
CREATE INDEX pinned_runs_by_expiry ON pinned_runs (expires);

CREATE TABLE loads (
	agent_id TEXT PRIMARY KEY,
	item     BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE backlogs (
	source_id TEXT PRIMARY KEY,
	until     INTEGER NOT NULL,
	expires   INTEGER NOT NULL
);
CREATE INDEX backlogs_by_expiry ON backlogs (expires);

CREATE TABLE requests (
	webhook_id TEXT NOT NULL,
	rejected   INTEGER NOT NULL,
	slot       INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	id         TEXT NOT NULL,
	expires    INTEGER NOT NULL,
	item       BLOB NOT NULL,
	PRIMARY KEY (webhook_id, rejected, slot)
);
CREATE INDEX requests_by_expiry ON requests (expires);

CREATE TABLE logs (
	run_id     TEXT NOT NULL,
	first      INTEGER NOT NULL, -- the number of the first line
	ends       INTEGER NOT NULL, -- the number after the last one's
	agent_id   TEXT,             -- null: its run is no agent's
	created_at INTEGER NOT NULL, -- of the run
	expires    INTEGER NOT NULL,
	lines      BLOB NOT NULL,
	PRIMARY KEY (run_id, first)
);
CREATE INDEX logs_of_agent ON logs (agent_id, created_at, run_id, first) WHERE agent_id IS NOT NULL;
CREATE INDEX logs_by_expiry ON logs (expires);

CREATE TABLE pins (
	workspace_id TEXT NOT NULL,
	id           TEXT NOT NULL,
	expires      INTEGER NOT NULL,
	item         BLOB NOT NULL,
	PRIMARY KEY (workspace_id, id)
);
CREATE INDEX pins_by_expiry ON pins (expires);

CREATE TABLE deliveries (
	number       INTEGER PRIMARY KEY,
	workspace_id TEXT NOT NULL,
	id           TEXT NOT NULL,
	webhook_id   TEXT NOT NULL,
	event_at     INTEGER NOT NULL,
	status       TEXT NOT NULL,
	expires      INTEGER NOT NULL,
	item         BLOB NOT NULL,
	body         BLOB NOT NULL
);
CREATE UNIQUE INDEX deliveries_by_id ON deliveries (workspace_id, id);
CREATE INDEX deliveries_of_webhook ON deliveries (workspace_id, webhook_id, event_at, id);
CREATE INDEX deliveries_not_succeeded ON deliveries (workspace_id, webhook_id, status, event_at, id) WHERE status <> 'succeeded';
CREATE INDEX deliveries_by_expiry ON deliveries (expires);

CREATE TABLE attempts (
	delivery INTEGER NOT NULL REFERENCES deliveries (number) ON DELETE CASCADE,
	number   INTEGER NOT NULL,
	item     BLOB NOT NULL,
	response BLOB, -- what the receiver answered, compressed; null for nothing
	PRIMARY KEY (delivery, number)
);

CREATE TABLE schedule (
	shard   INTEGER NOT NULL,
	due_at  INTEGER NOT NULL,
	id      TEXT NOT NULL,
	kind    TEXT NOT NULL,
	payload BLOB,
	PRIMARY KEY (shard, due_at, id)
) WITHOUT ROWID;

CREATE TABLE slots (
	webhook_id   TEXT NOT NULL,
	microseconds INTEGER NOT NULL, -- between two
	free_at      INTEGER NOT NULL, -- the next that is free, in microseconds
	expires      INTEGER NOT NULL,
	PRIMARY KEY (webhook_id, microseconds)
);
CREATE INDEX slots_by_expiry ON slots (expires);

CREATE TABLE leases (
	name    TEXT NOT NULL,
	place   INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (name, place)
);
CREATE INDEX leases_by_expiry ON leases (expires);

CREATE TABLE connections (
	id      TEXT PRIMARY KEY,
	expires INTEGER NOT NULL,
	item    BLOB NOT NULL
);
CREATE INDEX connections_by_expiry ON connections (expires);

CREATE TABLE watchers (
	workspace_id TEXT NOT NULL,
	id           TEXT NOT NULL,
	token_id     TEXT NOT NULL,
	expires      INTEGER NOT NULL,
	item         BLOB NOT NULL,
	PRIMARY KEY (workspace_id, id)
);
CREATE INDEX watchers_by_expiry ON watchers (expires);

-- What waits to be done.

CREATE TABLE messages (
	number        INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which they were sent
	queue         TEXT NOT NULL,
	message_group TEXT NOT NULL,
	visible_at    INTEGER NOT NULL, -- before that it is delayed
	body          TEXT NOT NULL
);
CREATE INDEX messages_of_queue ON messages (queue, number);

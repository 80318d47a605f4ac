-- How many positions a source's feed has given.
CREATE TABLE feeds (
	source_id TEXT PRIMARY KEY,
	last      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE feed_events (
	source_id TEXT NOT NULL,
	position  INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	item      BLOB NOT NULL,
	data      BLOB NOT NULL, -- compressed
	PRIMARY KEY (source_id, position)
);
CREATE INDEX feed_events_by_expiry ON feed_events (expires);

-- The events that may be published again and are, or were, in a feed.
CREATE TABLE feed_marks (
	source_id TEXT NOT NULL,
	event_id  TEXT NOT NULL,
	expires   INTEGER NOT NULL,
	PRIMARY KEY (source_id, event_id)
);
CREATE INDEX feed_marks_by_expiry ON feed_marks (expires);

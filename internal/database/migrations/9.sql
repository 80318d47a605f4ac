-- The attempt that a record was made with, which is most deliveries' only one; null where
-- there was none. All others are in attempts.
ALTER TABLE deliveries ADD COLUMN first_attempt BLOB;
ALTER TABLE deliveries ADD COLUMN first_response BLOB;

CREATE VIEW all_attempts (delivery, number, item, response) AS
	SELECT number, 1, first_attempt, first_response FROM deliveries WHERE first_attempt IS NOT NULL
	UNION ALL SELECT delivery, number, item, response FROM attempts;

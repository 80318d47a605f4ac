ALTER TABLE sources ADD COLUMN external_id TEXT NOT NULL DEFAULT ''; -- of a customer, if it has one
CREATE UNIQUE INDEX customers_by_external_id ON sources (workspace_id, external_id) WHERE kind = 'customer' AND external_id <> '';

-- +goose Up

-- Statements by which the authority's log keys were handed over to others, as
-- receipts carried them. What they say is public.
CREATE TABLE handovers (
    generation INTEGER PRIMARY KEY, -- of the new keys
    statement  BLOB NOT NULL,
    at         INTEGER NOT NULL     -- when it came, Unix milliseconds
) STRICT;

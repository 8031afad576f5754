-- +goose Up

-- What the reconciler found to differ between this database and the business
-- chain. No content: ids, hashes and the chain's own names.
CREATE TABLE findings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,              -- the decision's transaction; of what is undecided, the submission's id
    flow        TEXT NOT NULL DEFAULT '',
    step        TEXT NOT NULL DEFAULT '',
    expected    TEXT NOT NULL DEFAULT '',   -- what this database has
    actual      TEXT NOT NULL DEFAULT '',   -- what the business chain has
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    resolved_at INTEGER NOT NULL DEFAULT 0, -- 0: open
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX findings_open ON findings (last_at) WHERE resolved_at = 0;
CREATE INDEX findings_resolved ON findings (resolved_at) WHERE resolved_at <> 0;

-- How far each comparison has come.
CREATE TABLE reconcile_progress (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_undone ON outbox (state, created_at) WHERE state IN ('pending', 'granted');

-- +goose Up

-- What the platform knows of each flow. ref is the registration's submission id,
-- flow its txhash once granted (R1.6).
CREATE TABLE flows (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    ref         TEXT NOT NULL UNIQUE,
    flow        TEXT UNIQUE,             -- NULL until granted
    state       TEXT NOT NULL DEFAULT '',
    originator  TEXT NOT NULL,
    number      TEXT NOT NULL,
    content     TEXT NOT NULL, -- SHA-256 of the canonical record
    title       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX flows_record ON flows (originator, number, content) WHERE state <> 'refused';
CREATE INDEX flows_state ON flows (state, seq);

-- Intents: each stands here before its effect, and goes through the states
-- pending -> (held ->) granted -> done, or ends as refused or lapsed.
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    ref          TEXT NOT NULL DEFAULT '',
    flow         TEXT NOT NULL DEFAULT '',
    step         TEXT NOT NULL,
    actor        TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    state        TEXT NOT NULL CHECK (state IN ('pending', 'held', 'granted', 'done', 'refused', 'lapsed')),
    submission   BLOB,
    value        BLOB,
    commitment   TEXT NOT NULL,
    record       TEXT NOT NULL DEFAULT '',
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL,
    error        TEXT NOT NULL DEFAULT '',
    verdict      TEXT NOT NULL DEFAULT '',
    reasons      TEXT NOT NULL DEFAULT '',
    tx           TEXT NOT NULL DEFAULT '',
    token        TEXT NOT NULL DEFAULT '',
    issued       INTEGER NOT NULL DEFAULT 0, -- milliseconds, as the leaf says
    expires      INTEGER NOT NULL DEFAULT 0, -- milliseconds, 0 is never
    receipt      BLOB,
    business_tx  TEXT NOT NULL DEFAULT '',
    anchored     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL DEFAULT 0,
    decided_at   INTEGER NOT NULL DEFAULT 0,
    stored_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX outbox_one_of_flow ON outbox (ref)
    WHERE ref <> '' AND state IN ('pending', 'held', 'granted');
CREATE UNIQUE INDEX outbox_one_of_actor ON outbox (actor)
    WHERE ref = '' AND state IN ('pending', 'held', 'granted');
CREATE INDEX outbox_due ON outbox (state, next_at);
CREATE INDEX outbox_ref ON outbox (ref, seq);
CREATE INDEX outbox_tx ON outbox (tx) WHERE tx <> '';
CREATE INDEX outbox_unanchored ON outbox (seq) WHERE business_tx <> '' AND anchored = 0;

-- Who was enrolled through this platform (R2.1). No names, no licences.
CREATE TABLE participants (
    id         TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    state      TEXT NOT NULL, -- asked, active, refused
    submission TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Permits to review: one for each granted review request (R2.2).
CREATE TABLE reviews (
    request    TEXT PRIMARY KEY, -- transaction hash of the granted request
    flow       TEXT NOT NULL REFERENCES flows (flow),
    reviewer   TEXT NOT NULL,
    token      TEXT NOT NULL,
    expires    INTEGER NOT NULL, -- milliseconds
    state      TEXT NOT NULL,    -- granted, spent, used
    submission TEXT NOT NULL,    -- of the request
    result     TEXT NOT NULL DEFAULT '', -- submission id of the result
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX reviews_flow ON reviews (flow);

CREATE TABLE orders (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    submission TEXT NOT NULL UNIQUE,
    flow       TEXT NOT NULL REFERENCES flows (flow),
    producer   TEXT NOT NULL,
    delivery   TEXT NOT NULL,
    currency   TEXT NOT NULL,
    amount     INTEGER NOT NULL, -- minor units
    state      TEXT NOT NULL,    -- asked, granted, refused, lapsed, replaced, settled, delivered
    tx         TEXT NOT NULL DEFAULT '',
    token      TEXT NOT NULL DEFAULT '',
    expires    INTEGER NOT NULL DEFAULT 0, -- milliseconds
    fetched_at INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_flow ON orders (flow, seq);
CREATE INDEX orders_producer ON orders (producer, state, seq);

-- One for each order that was made up (R4.3). draft is the settlement so far,
-- sealed to the platform's own key.
CREATE TABLE payments (
    ref        TEXT PRIMARY KEY REFERENCES orders (submission),
    flow       TEXT NOT NULL,
    payment    TEXT NOT NULL DEFAULT '', -- the provider's id
    url        TEXT NOT NULL DEFAULT '',
    currency   TEXT NOT NULL,
    total      INTEGER NOT NULL,
    insured    INTEGER NOT NULL,
    self       INTEGER NOT NULL,
    draft      BLOB NOT NULL,
    state      TEXT NOT NULL,    -- made, open, settling, settled, failed
    submission TEXT NOT NULL DEFAULT '', -- of the settlement
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX payments_payment ON payments (payment) WHERE payment <> '';
CREATE INDEX payments_state ON payments (state);

CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    flow    TEXT NOT NULL DEFAULT '',
    ref     TEXT NOT NULL DEFAULT '',
    step    TEXT NOT NULL DEFAULT '',
    verdict TEXT NOT NULL DEFAULT '',
    tx      TEXT NOT NULL DEFAULT '',
    party   TEXT NOT NULL DEFAULT '' -- whom it concerns: a reviewer or producer
) STRICT;

CREATE TABLE idempotency (
    key        TEXT PRIMARY KEY, -- SHA-256 of the caller's key
    body       TEXT NOT NULL,    -- SHA-256 of the request
    ref        TEXT NOT NULL REFERENCES flows (ref),
    created_at INTEGER NOT NULL
) STRICT;

-- The built-in payment provider's own book.
CREATE TABLE sandbox_charges (
    id          TEXT PRIMARY KEY,
    ref         TEXT NOT NULL UNIQUE,
    currency    TEXT NOT NULL,
    amount      INTEGER NOT NULL,
    description TEXT NOT NULL,
    paid_at     INTEGER NOT NULL DEFAULT 0
) STRICT;

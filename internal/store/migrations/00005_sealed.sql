-- +goose Up

-- What an intent carries, sealed, until it has ended. Apart from the outbox, whose
-- rows change several times on their way: SQLite writes a changed row anew, whole.
CREATE TABLE outbox_sealed (
    seq        INTEGER PRIMARY KEY REFERENCES outbox (seq),
    submission BLOB NOT NULL,
    value      BLOB
) STRICT;
INSERT INTO outbox_sealed SELECT seq, submission, value FROM outbox WHERE submission IS NOT NULL;
ALTER TABLE outbox DROP COLUMN submission;
ALTER TABLE outbox DROP COLUMN value;

-- Of what has ended nothing is due.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (state, next_at) WHERE state IN ('pending', 'held', 'granted');

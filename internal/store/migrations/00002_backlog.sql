-- +goose Up

-- How often the fusion node took a submission: the number of the next attempt.
ALTER TABLE outbox ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET accepted = 1 WHERE submitted_at > 0;

-- How many intents wait for a machine: for a decision, or for the business
-- chain. Kept here, by whatever changes a state, so that the bound costs no scan.
CREATE TABLE outbox_backlog (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    waiting INTEGER NOT NULL CHECK (waiting >= 0)
) STRICT;
INSERT INTO outbox_backlog SELECT 1, count(*) FROM outbox WHERE state IN ('pending', 'granted');

-- +goose StatementBegin
CREATE TRIGGER outbox_backlog_intended AFTER INSERT ON outbox
WHEN NEW.state IN ('pending', 'granted')
BEGIN
    UPDATE outbox_backlog SET waiting = waiting + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_backlog_moved AFTER UPDATE OF state ON outbox
WHEN (NEW.state IN ('pending', 'granted')) <> (OLD.state IN ('pending', 'granted'))
BEGIN
    UPDATE outbox_backlog SET waiting = waiting + (NEW.state IN ('pending', 'granted')) - (OLD.state IN ('pending', 'granted'));
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_backlog_gone AFTER DELETE ON outbox
WHEN OLD.state IN ('pending', 'granted')
BEGIN
    UPDATE outbox_backlog SET waiting = waiting - 1;
END;
-- +goose StatementEnd

package chain

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/receipt"
)

// checkpoints are the log's signed tree heads, one for each block that made it
// grow; one signature serves every decision of its block. They are local: a
// signature is not reproducible, so it has no place in the application hash.
type checkpoints struct {
	db      comet.KV
	origin  string
	signers []note.Signer
}

// sign stores the signed checkpoint of a log size. It is not synced: what a
// crash loses, ensure signs again.
func (c checkpoints) sign(size int64, root tlog.Hash) error {
	if len(c.signers) == 0 {
		return nil // an observer: it has no key
	}
	if err := fault.Before(fault.Checkpoint); err != nil {
		return err
	}
	cp, err := receipt.SignCheckpoint(c.origin, size, root, c.signers...)
	if err != nil {
		return err
	}
	if err := c.db.Set([]byte(checkpointKey(size)), cp); err != nil {
		return fmt.Errorf("storing checkpoint of size %d: %w", size, err)
	}
	return fault.After(fault.Checkpoint)
}

// ensure signs the checkpoint of the present size when a crash lost it.
func (c checkpoints) ensure(size int64) error {
	if size == 0 {
		return nil
	}
	if have, err := c.db.Has([]byte(checkpointKey(size))); err != nil || have {
		return err
	}
	root, err := newOverlay(c.db).root(size)
	if err != nil {
		return err
	}
	return c.sign(size, root)
}

var errNoCheckpoint = errors.New("no signed checkpoint covers the decision yet")

// covering gives the first checkpoint that covers the leaf, and its size.
func (c checkpoints) covering(index int64) ([]byte, int64, error) {
	it, err := c.db.Iterator([]byte(checkpointKey(index+1)), []byte(prefixEnd(cpPrefix)))
	if err != nil {
		return nil, 0, fmt.Errorf("looking for a checkpoint: %w", err)
	}
	defer it.Close()
	if !it.Valid() {
		return nil, 0, errNoCheckpoint
	}
	size := ordinalOf(it.Key()[len(cpPrefix):])
	return append([]byte(nil), it.Value()...), size, it.Error()
}

// prefixEnd is the first key after all keys with the prefix.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]++
	return string(b)
}

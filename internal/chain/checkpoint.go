package chain

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/contract"
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
	signers []note.Signer // of the keys that the log began with; none on an observer
	ring    func(vkeys []string) ([]note.Signer, error)

	mu    *sync.Mutex // guards known
	known *logKeys
}

// logKeys are the log's keys as the chain's state has them, read once.
type logKeys struct {
	text string
	keys receipt.Keys
}

// keys are the log's as the committed state has them; none where it has none.
func (c checkpoints) keys() (receipt.Keys, error) {
	text, err := contract.LogKeysText(readState{c.db})
	if err != nil {
		return receipt.Keys{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if text != c.known.text {
		keys, err := receipt.ParseKeys(text)
		if err != nil {
			return receipt.Keys{}, err
		}
		*c.known = logKeys{text, keys}
	}
	return c.known.keys, nil
}

// ErrKeysElsewhere says that a log's keys were or would be handed over to keys that
// this node does not hold.
var ErrKeysElsewhere = errors.New("this node does not hold these log keys")

// holders are the signers of the given keys.
func (c checkpoints) holders(vkeys []string) ([]note.Signer, error) {
	if own := matching(c.signers, vkeys); own != nil {
		return own, nil
	}
	if c.ring == nil {
		return nil, ErrKeysElsewhere
	}
	all, err := c.ring(vkeys)
	if err != nil {
		return nil, err
	}
	if all = matching(all, vkeys); all == nil {
		return nil, ErrKeysElsewhere
	}
	return all, nil
}

// matching picks the signers of exactly these keys; nil when one is missing.
func matching(signers []note.Signer, vkeys []string) []note.Signer {
	var out []note.Signer
	for _, line := range vkeys {
		for _, s := range signers {
			if strings.HasPrefix(line, fmt.Sprintf("%s+%08x+", s.Name(), s.KeyHash())) {
				out = append(out, s)
				break
			}
		}
	}
	if len(out) != len(vkeys) {
		return nil
	}
	return out
}

// signersAt are the signers of checkpoints of a size, and the lines that carry how
// the keys came to be those.
func (c checkpoints) signersAt(size int64) ([]note.Signer, []byte, error) {
	keys, err := c.keys()
	if err != nil || keys.Known() == 0 {
		return c.signers, nil, err
	}
	signers, err := c.holders(keys.At(size))
	return signers, keys.Carry(), err
}

// mayHandOver says whether this node could go on signing after a hand-over, and
// whether the keys that give way are those that it signs with.
func (c checkpoints) mayHandOver(h receipt.Handover) error {
	if _, err := c.holders(h.New); err != nil {
		return fmt.Errorf("the new keys: %w", err)
	}
	if _, err := c.holders(h.Old); err != nil {
		return fmt.Errorf("the old keys: %w", err)
	}
	return nil
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
	signers, carried, err := c.signersAt(size)
	if err != nil {
		return fmt.Errorf("signing checkpoint of size %d: %w", size, err)
	}
	cp, err := receipt.SignCheckpoint(c.origin, size, root, signers...)
	if err != nil {
		return err
	}
	cp = append(cp, carried...)
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

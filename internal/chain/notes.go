package chain

import (
	"bytes"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
)

// Notes are what a part that runs on this node keeps for itself beside the
// chain: how far it has come, what it has found. They are no state of the chain:
// no hash covers them and other nodes know nothing of them. A note that was
// written survives the end of the process, kill -9 included, but maybe not the
// loss of power; then an older one stands. Safe for concurrent use.
type Notes struct {
	db   comet.KV
	part string
}

// Notes are those of one part, named by the caller.
func (c *Chain) Notes(part string) Notes { return Notes{c.db, notesPrefix + part + "/"} }

// Load reads the note under key into v, and says whether there is one.
func (n Notes) Load(key string, v any) (bool, error) {
	return load(func(k string) ([]byte, error) { return n.db.Get([]byte(k)) }, n.part+key, v)
}

// Store writes a note.
func (n Notes) Store(key string, v any) error {
	b, err := flow.Marshal(v)
	if err != nil {
		return fmt.Errorf("noting %q: %w", key, err)
	}
	if err := n.db.Set([]byte(n.part+key), b); err != nil {
		return fmt.Errorf("noting %q: %w", key, err)
	}
	return nil
}

// Delete takes a note out; it need not be there.
func (n Notes) Delete(key string) error {
	if err := n.db.Delete([]byte(n.part + key)); err != nil {
		return fmt.Errorf("taking note %q out: %w", key, err)
	}
	return nil
}

// Each gives fn up to limit notes whose keys begin with prefix, from the key
// prefix+from on, in the order of keys: the key without the prefix, and the
// encoded note. fn must not write notes.
func (n Notes) Each(prefix, from string, limit int, fn func(key string, value []byte) error) error {
	start := n.part + prefix
	it, err := n.db.Iterator([]byte(start+from), []byte(prefixEnd(start)))
	if err != nil {
		return fmt.Errorf("reading notes: %w", err)
	}
	defer it.Close()
	for ; it.Valid() && limit > 0; it.Next() {
		limit--
		if err := fn(string(bytes.TrimPrefix(it.Key(), []byte(start))), bytes.Clone(it.Value())); err != nil {
			return err
		}
	}
	return it.Error()
}

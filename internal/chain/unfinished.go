package chain

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
)

// Unanchored lists up to limit granted records that nobody has said the place of
// (write 7 of the order of writes), by leaf, from the leaf of that index on, as
// far as they were decided until then. The node keeps the list itself as blocks
// are executed: it holds what is open and nothing else, so that looking costs
// what there is to see.
func (c *Chain) Unanchored(from int64, until time.Time, limit int) (list []Decided, err error) {
	err = c.indexed(openPrefix, from, limit, func(_ int64, d Decided) bool {
		if time.Unix(d.Leaf.Issued, 0).After(until) {
			return false // and so is everything behind it
		}
		list = append(list, d)
		return true
	})
	return list, err
}

// Resolved lists up to limit held submissions that got a decision, by the leaf of
// that decision, from the leaf of that index on. Each is as it stands now, which
// may be by a later leaf than the one that it is listed for: next is where the
// following page begins.
func (c *Chain) Resolved(from int64, limit int) (list []Decided, next int64, err error) {
	next = from
	err = c.indexed(resolvedPrefix, from, limit, func(index int64, d Decided) bool {
		list, next = append(list, d), index+1
		return true
	})
	return list, next, err
}

// indexed reads a local index of leaves, until fn has seen enough.
func (c *Chain) indexed(prefix string, from int64, limit int, fn func(int64, Decided) (more bool)) error {
	it, err := c.db.Iterator([]byte(prefix+ordinal(max(from, 0))), []byte(prefixEnd(prefix)))
	if err != nil {
		return fmt.Errorf("listing decisions: %w", err)
	}
	defer it.Close()
	for ; it.Valid() && limit > 0; it.Next() {
		limit--
		d, err := c.ByTx(flow.Hash(it.Value()))
		if err != nil {
			return err
		}
		if !fn(ordinalOf(it.Key()[len(prefix):]), d) {
			break
		}
	}
	return it.Error()
}

package archiving

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Compared is how an archive stands to the chain that it is of.
type Compared struct {
	Waiting  int      // payloads that officers ordered erased and the archive still has, until its next run
	Problems []string // each says what, where
}

// Compare says where an archive and its chain don't fit together: another history, blocks
// that were given up and that the archive lacks, an archive that was set back, erasures
// that no order stands behind (R10.1). Check says whether it holds in itself.
func Compare(ctx context.Context, s archive.Store, source *chain.Source) (Compared, error) {
	c := &comparing{store: s, source: source, erased: map[flow.Hash]uint64{}}
	var last segment.Manifest
	err := List(ctx, s, func(m segment.Manifest) error {
		last = m
		if m.Chain != source.ID() {
			c.problem("segment %d is of chain %s", m.Number, m.Chain)
			return nil
		}
		if err := c.root(ctx, m); err != nil {
			return err
		}
		return c.noted(ctx, m)
	})
	if err == nil {
		err = c.reach(last)
	}
	if err == nil {
		err = c.erasures(last.To)
	}
	return c.Compared, err
}

type comparing struct {
	Compared
	store  archive.Store
	source *chain.Source
	erased map[flow.Hash]uint64 // in the archive, by which order
}

func (c *comparing) problem(format string, args ...any) {
	c.Problems = append(c.Problems, "archive: "+fmt.Sprintf(format, args...))
}

// root compares the log at a segment's end.
func (c *comparing) root(ctx context.Context, m segment.Manifest) error {
	size, err := c.source.Size()
	if err != nil {
		return err
	}
	if m.Size > size {
		c.problem("segment %d is of a log of %d decisions, the chain has %d: it was set back", m.Number, m.Size, size)
		return nil
	}
	here, err := tlog.TreeHash(m.To, &segment.Log{Size: m.Size, Fetch: fetcher(ctx, c.store)})
	if err != nil {
		return err
	}
	root, err := c.source.Root(m.To) // whole tiles: the chain has that without the archive
	if err != nil {
		return err
	}
	if root != here {
		c.problem("segment %d: its root of %d decisions is not the chain's: they are of two histories", m.Number, m.To)
	}
	return nil
}

// noted reads what the archive says of a segment's erasures.
func (c *comparing) noted(ctx context.Context, m segment.Manifest) error {
	data, err := c.store.Get(ctx, segment.Name(m.Number, segment.Erased))
	if errors.Is(err, archive.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := segment.DecodeErased(data)
	if err != nil {
		c.problem("segment %d: %v", m.Number, err)
		return nil
	}
	for _, e := range all {
		c.erased[e.Tx] = e.Order
	}
	return nil
}

// reach compares how far the archive goes with what the chain has given up for it.
func (c *comparing) reach(last segment.Manifest) error {
	base := c.source.Base()
	if base > max(last.Blocks, 1) {
		c.problem("blocks below %d were pruned, and the archive has what they held below %d alone", base, last.Blocks)
	}
	said, err := c.source.Archived()
	if err != nil {
		return err
	}
	if said.Leaves > last.To {
		c.problem("the chain says that %d decisions are archived, and here are %d: it was set back, or is another", said.Leaves, last.To)
	}
	return nil
}

// erasures compares those in the archive with the orders on the chain.
func (c *comparing) erasures(to int64) error {
	err := c.source.Erasures(func(e chain.Erasure) error {
		switch order, done := c.erased[e.Tx]; {
		case !done && e.Index < to:
			c.Waiting++
		case done && order != e.Order:
			c.problem("transaction %s was erased by order %d, and the archive says %d", e.Tx, e.Order, order)
		}
		delete(c.erased, e.Tx)
		return nil
	})
	for tx, order := range c.erased {
		c.problem("transaction %s is erased there by order %d, which the chain does not have", tx, order)
	}
	return err
}

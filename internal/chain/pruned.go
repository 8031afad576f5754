package chain

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/internal/comet"
)

// Base is the lowest height whose block is kept; 0 while the node does not run.
func (c *Chain) Base() int64 { return c.node.Base() }

// transaction reads a decided transaction, wherever it is.
func (c *Chain) transaction(d Decided) ([]byte, error) {
	return pruned{c.Source(), c.cfg.Archive}.transaction(d)
}

// pruned reads from the archive what blocks don't have any more.
type pruned struct {
	*Source
	archive Archived
}

func (p pruned) transaction(d Decided) ([]byte, error) {
	raw, err := p.Transaction(d)
	if p.archive == nil || !errors.Is(err, comet.ErrNoBlock) {
		return raw, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), archiveWait)
	defer cancel()
	if raw, err = p.archive.Transaction(ctx, d.Leaf.Tx, d.Height); err != nil {
		return nil, fmt.Errorf("reading block %d, which was pruned, from the archive: %w", d.Height, err)
	}
	if TxHash(raw) != d.Leaf.Tx {
		return nil, fmt.Errorf("the archive gives another transaction than %s", d.Leaf.Tx)
	}
	return raw, nil
}

package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
)

// Archived gives what blocks held that were pruned (R10.1).
type Archived interface {
	// Transaction gives a decided transaction; height is that of the block where it
	// stood. What it gives is checked against tx.
	Transaction(ctx context.Context, tx flow.Hash, height int64) ([]byte, error)
}

// archiveWait bounds one reading from the archive.
const archiveWait = 30 * time.Second

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

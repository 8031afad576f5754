package chain

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
)

// Archived gives what a node has no more: pruned blocks' transactions, and decisions
// that the chain's state has forgotten (R10.1). What it gives was verified against the
// log's checkpoints.
type Archived interface {
	// Transaction gives a decided transaction; height is that of the block where it
	// stood. What it gives is checked against tx.
	Transaction(ctx context.Context, tx flow.Hash, height int64) ([]byte, error)
	// ByTx gives the decision that stands on a transaction; false when there is none.
	ByTx(ctx context.Context, tx flow.Hash) (Older, bool, error)
	// At gives the decision of a leaf, as it was archived.
	At(ctx context.Context, index int64) (Older, error)
	// List gives the decisions of a flow or, where that is zero, of a subject, in order.
	List(ctx context.Context, id flow.Hash, subject string) ([]Older, error)
	// ReadHashes gives the log's hashes, as golang.org/x/mod/sumdb/tlog counts them.
	tlog.HashReader
}

// Older is a decision from the archive, with its receipt.
type Older struct {
	Decided
	Receipt []byte
}

// archiveWait bounds one reading from the archive.
const archiveWait = 30 * time.Second

// older reads decisions that the state has forgotten.
type older struct {
	get     func(string) ([]byte, error)
	archive Archived // nil: none
}

func (c *Chain) older() older { return older{c.get, c.cfg.Archive} }

// has says whether a leaf is to be read from the archive, and whether there is one.
func (o older) has(index int64) (bool, error) {
	to, err := forgotten(o.get)
	return err == nil && index < to && o.archive != nil, err
}

// any says whether something was forgotten, and can be read.
func (o older) any() (bool, error) { return o.has(0) }

// anchored adds an anchor that came after the decision was archived.
func (o older) anchored(d *Decided) error {
	var n noted
	if _, err := load(o.get, anchorKey(d.Leaf.Tx), &n); err != nil || n.Anchor.BusinessTx == "" {
		return err
	}
	d.Anchor = n.Anchor.BusinessTx
	return nil
}

func (o older) byTx(tx flow.Hash) (Decided, error) {
	none := fmt.Errorf("%w: transaction %s", ErrNotFound, tx)
	any, err := o.any()
	if err != nil {
		return Decided{}, err
	}
	if !any {
		return Decided{}, none
	}
	ctx, cancel := context.WithTimeout(context.Background(), archiveWait)
	defer cancel()
	d, ok, err := o.archive.ByTx(ctx, tx)
	if err != nil {
		return Decided{}, fmt.Errorf("looking for transaction %s in the archive: %w", tx, err)
	}
	if !ok {
		return Decided{}, none
	}
	return d.Decided, o.anchored(&d.Decided)
}

func (o older) at(index int64) (Older, error) {
	if o.archive == nil {
		return Older{}, fmt.Errorf("%w: leaf %d was archived, and this node reads no archive", ErrNotFound, index)
	}
	ctx, cancel := context.WithTimeout(context.Background(), archiveWait)
	defer cancel()
	d, err := o.archive.At(ctx, index)
	if err != nil {
		return Older{}, fmt.Errorf("reading leaf %d from the archive: %w", index, err)
	}
	return d, o.anchored(&d.Decided)
}

// bySubmission finds a forgotten decision by the submission's id.
func (o older) bySubmission(id flow.ID) (Decided, error) {
	raw, err := o.get(idKey(id))
	if err != nil {
		return Decided{}, err
	}
	index, n := binary.Uvarint(raw)
	if n <= 0 {
		return Decided{}, fmt.Errorf("%w: submission %s", ErrNotFound, id)
	}
	d, err := o.at(int64(index))
	return d.Decided, err
}

// list adds the archived decisions of a flow or subject to those in the state.
func (o older) list(have []Decided, id flow.Hash, subject string) ([]Decided, error) {
	any, err := o.any()
	if err != nil || !any {
		return have, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), archiveWait)
	defer cancel()
	all, err := o.archive.List(ctx, id, subject)
	if err != nil {
		return nil, fmt.Errorf("listing decisions in the archive: %w", err)
	}
	seen := map[flow.Hash]bool{}
	for _, d := range have {
		seen[d.Leaf.Tx] = true
	}
	for _, d := range slices.Backward(all) { // of several on one transaction the last stands
		if seen[d.Leaf.Tx] {
			continue
		}
		seen[d.Leaf.Tx] = true
		if err := o.anchored(&d.Decided); err != nil {
			return nil, err
		}
		have = append(have, d.Decided)
	}
	slices.SortFunc(have, func(a, b Decided) int { return cmp.Compare(a.Index, b.Index) })
	return have, nil
}

// hashes reads the log's hashes, those of forgotten tiles from the archive.
type hashes struct {
	*overlay
	archive tlog.HashReader // nil: none
}

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var missing []int64
	for i, x := range indexes {
		b, err := h.get(hashKey(x))
		if err != nil {
			return nil, err
		}
		if b == nil && h.archive != nil {
			missing = append(missing, x)
			continue
		}
		if len(b) != tlog.HashSize {
			return nil, fmt.Errorf("log hash %d is missing or damaged", x)
		}
		out[i] = tlog.Hash(b)
	}
	if len(missing) == 0 {
		return out, nil
	}
	more, err := h.archive.ReadHashes(missing)
	if err != nil {
		return nil, fmt.Errorf("reading the log's hashes from the archive: %w", err)
	}
	for i, x := range indexes {
		if len(missing) > 0 && x == missing[0] {
			out[i], missing, more = more[0], missing[1:], more[1:]
		}
	}
	return out, nil
}

func (c *Chain) hashes() hashes {
	h := hashes{overlay: newOverlay(c.db)}
	if c.cfg.Archive != nil {
		h.archive = c.cfg.Archive
	}
	return h
}

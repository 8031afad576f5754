package archiving

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/receipt"
)

// DefaultLeaves is how many decisions a segment holds where nothing else is said.
const DefaultLeaves = 4 * segment.Width

// Writer writes segments. One archive has one writer.
type Writer struct {
	Source *chain.Source
	Store  archive.Store
	Keys   receipt.Keys
	Leaves int64 // in a segment, a multiple of segment.Width; 0 is DefaultLeaves
}

// Written is a segment that is in the archive and was verified there.
type Written struct {
	Segment int64 `json:"segment"`
	From    int64 `json:"from"` // the first leaf
	To      int64 `json:"to"`   // the leaf after the last
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`
	Blocks  int64 `json:"blocks"` // all that blocks below this height hold is archived
}

// Run writes all whole segments that the chain has beyond the archive, calls done
// after each, and gives the last one's manifest; nil when the archive is empty.
// What it wrote before an error, or before the process ended, stays, and the next
// run goes on from there.
func (w Writer) Run(ctx context.Context, done func(Written) error) (*segment.Manifest, error) {
	if w.Leaves == 0 {
		w.Leaves = DefaultLeaves
	}
	if w.Leaves < 0 || w.Leaves%segment.Width != 0 {
		return nil, fmt.Errorf("archiving: segments of %d decisions: want a multiple of %d", w.Leaves, segment.Width)
	}
	last, sum, err := Last(ctx, w.Store)
	if err != nil {
		return nil, err
	}
	if last != nil && last.Chain != w.Source.ID() {
		return nil, fmt.Errorf("archiving: the archive is of chain %s, this is %s", last.Chain, w.Source.ID())
	}
	r := &writing{Writer: w}
	r.verifier = segment.NewVerifier(w.Keys, r.fetch(ctx))
	for ctx.Err() == nil {
		next, bytes, err := r.next(ctx, last, sum)
		if err != nil || next == nil {
			return last, err
		}
		last, sum = next, flow.SumHash(bytes)
		if err := done(WrittenOf(*next)); err != nil {
			return last, err
		}
	}
	return last, ctx.Err()
}

// writing is one run.
type writing struct {
	Writer
	verifier *segment.Verifier
	manifest segment.Named // that is not in the archive yet
}

// fetch reads the archive as it will be with the manifest.
func (w *writing) fetch(ctx context.Context) segment.Fetch {
	return func(name string) ([]byte, error) {
		if name == w.manifest.Name {
			return w.manifest.Data, nil
		}
		return w.Store.Get(ctx, name)
	}
}

// WrittenOf is what a manifest says of its segment.
func WrittenOf(m segment.Manifest) Written {
	out := Written{Segment: m.Number, From: m.From, To: m.To, Files: len(m.Files), Blocks: m.Blocks}
	for _, f := range m.Files {
		out.Bytes += f.Size
	}
	return out
}

// next writes the segment after last; nil when it is not whole yet.
func (w *writing) next(ctx context.Context, last *segment.Manifest, sum flow.Hash) (*segment.Manifest, []byte, error) {
	c := segment.Content{Chain: w.Source.ID(), Hashes: w.Source, Blocks: 1, Previous: sum}
	if last != nil {
		c.Number, c.From, c.Blocks = last.Number+1, last.To, last.Blocks
	}
	c.To = c.From + w.Leaves
	size, err := w.Source.Size()
	if err != nil || size < c.To {
		return nil, nil, err
	}
	if ok, err := w.checkpoints(&c); err != nil || !ok {
		return nil, nil, err
	}
	if c.Seen, err = w.Source.Height(); err != nil {
		return nil, nil, err
	}
	if err := w.fill(ctx, &c); err != nil {
		return nil, nil, fmt.Errorf("archiving segment %d: %w", c.Number, err)
	}
	files, m, err := segment.Compose(c)
	if err != nil {
		return nil, nil, err
	}
	noted, any, err := c.Erasures()
	if err != nil {
		return nil, nil, err
	}
	if any {
		files = append(files, noted)
	}
	bytes, err := w.store(ctx, files, m)
	if err != nil {
		return nil, nil, fmt.Errorf("archiving segment %d: %w", c.Number, err)
	}
	return &m, bytes, nil
}

// checkpoints collects those over the segment; false when none covers all of it yet.
func (w *writing) checkpoints(c *segment.Content) (bool, error) {
	for at := c.From; at < c.To; {
		size, note, err := w.Source.Checkpoint(at + 1)
		if err != nil || note == nil {
			return false, err
		}
		c.Checkpoints = append(c.Checkpoints, segment.Signed{Size: size, Note: note})
		at = size
	}
	return true, nil
}

// fill reads leaves, decisions, transactions and orders.
func (w *writing) fill(ctx context.Context, c *segment.Content) error {
	for i := c.From; i < c.Checkpoints[len(c.Checkpoints)-1].Size; i++ {
		leaf, err := w.Source.LeafBytes(i)
		if err != nil {
			return err
		}
		c.Leaves = append(c.Leaves, leaf)
	}
	first := c.Blocks
	for i := c.From; i < c.To; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, isFirst, err := w.Source.Decision(i)
		if err != nil {
			return err
		}
		c.Decisions = append(c.Decisions, decision(i, d, isFirst))
		if !isFirst {
			continue
		}
		if err := w.transaction(c, i, d); err != nil {
			return err
		}
		c.Blocks = d.Height // what is in it may go on into the next segment
	}
	for h := first; h < c.Blocks; h++ {
		orders, err := w.Source.Orders(h)
		if err != nil {
			return err
		}
		for _, o := range orders {
			c.Orders = append(c.Orders, segment.Order{Height: h, Slot: o.Slot, Raw: o.Raw})
		}
	}
	return nil
}

// transaction adds a decided transaction; one that was erased comes without its bytes.
func (w *writing) transaction(c *segment.Content, index int64, d chain.Decided) error {
	t := segment.Transaction{Index: index, Tx: d.Leaf.Tx}
	e, erased, err := w.Source.Erasure(d.Leaf.Tx)
	switch {
	case err != nil:
		return err
	case erased && e.Statement == nil:
		return fmt.Errorf("transaction %s: no statement of its erasure is signed: run the authority first", d.Leaf.Tx)
	case erased:
		t.Erased = e.Order
		c.Erased = append(c.Erased, segment.Erasure{Tx: t.Tx, Order: e.Order, Statement: e.Statement})
	default:
		if t.Raw, err = w.Source.Transaction(d); err != nil {
			return err
		}
	}
	c.Transactions = append(c.Transactions, t)
	return nil
}

func decision(index int64, d chain.Decided, first bool) segment.Decision {
	out := segment.Decision{Index: index, Tx: d.Leaf.Tx, Height: d.Height, Slot: d.Slot, First: first, Subject: d.Subject}
	if d.Index == index {
		out.Stands = true
		out.Reasons, out.Basis, out.Flags, out.Observed = d.Reasons, d.Basis, d.Flags, d.Observed
		out.Order, out.Grant, out.Anchor = d.Order, d.Grant, d.Anchor
	}
	return out
}

// store writes the files, verifies them as they are in the archive then, and writes
// the manifest, which makes the segment one.
func (w *writing) store(ctx context.Context, files []segment.Named, m segment.Manifest) ([]byte, error) {
	for _, f := range files {
		if err := w.Store.Put(ctx, f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	bytes, err := m.Encode()
	if err != nil {
		return nil, err
	}
	w.manifest = segment.Named{Name: segment.ManifestName(m.Number), Data: bytes}
	found, err := w.verifier.Segment(m.Number)
	if err != nil {
		return nil, err
	}
	if len(found.Faults) > 0 {
		return nil, fmt.Errorf("it does not verify: %s", found.Faults[0])
	}
	if err := w.Store.Put(ctx, w.manifest.Name, bytes); err != nil {
		return nil, err
	}
	return bytes, w.Store.Put(ctx, segment.Checkpoint, []byte(m.Checkpoint))
}

func fetcher(ctx context.Context, s archive.Store) segment.Fetch {
	return func(name string) ([]byte, error) { return s.Get(ctx, name) }
}

// Last gives the manifest of the archive's last segment, and its SHA-256; nil when
// there is none.
func Last(ctx context.Context, s archive.Store) (*segment.Manifest, flow.Hash, error) {
	count, err := Count(ctx, s)
	if err != nil || count == 0 {
		return nil, flow.Hash{}, err
	}
	return readManifest(ctx, s, count-1)
}

func readManifest(ctx context.Context, s archive.Store, number int64) (*segment.Manifest, flow.Hash, error) {
	raw, err := s.Get(ctx, segment.ManifestName(number))
	if err != nil {
		return nil, flow.Hash{}, fmt.Errorf("segment %d: %w", number, err)
	}
	m, err := segment.DecodeManifest(raw)
	if err != nil {
		return nil, flow.Hash{}, fmt.Errorf("segment %d: %w", number, err)
	}
	return &m, flow.SumHash(raw), nil
}

// List gives fn the manifest of every segment, in order. It checks nothing but
// their form.
func List(ctx context.Context, s archive.Store, fn func(segment.Manifest) error) error {
	for n := int64(0); ; n++ {
		m, _, err := readManifest(ctx, s, n)
		if errors.Is(err, archive.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(*m); err != nil {
			return err
		}
	}
}

// Count is how many segments the archive has: the number after the last one whose
// manifest is there. It looks at few names, however many there are.
func Count(ctx context.Context, s archive.Store) (int64, error) {
	exists := func(n int64) (bool, error) {
		_, err := s.Get(ctx, segment.ManifestName(n))
		if errors.Is(err, archive.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := int64(0), int64(1) // segments below low exist, none from high on
	for {
		ok, err := exists(high - 1)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, high = high, 2*high
	}
	high--
	for low < high {
		middle := (low + high) / 2
		ok, err := exists(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

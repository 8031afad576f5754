package archiving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/receipt"
)

// hashesWait bounds one reading of the log's hashes.
const hashesWait = 30 * time.Second

// Reader finds decisions in an archive. It believes the authority's keys and
// nothing else: what it gives was verified. Safe for concurrent use.
type Reader struct {
	store archive.Store
	keys  receipt.Keys

	mu       sync.Mutex // guards what follows
	segments []*segment.Manifest
	last     opened // what is asked for next is mostly in the same segment
	indexes  map[int64][]byte
	held     int // bytes of indexes

	reading sync.Mutex // held while proofs are read from parts, which guards that
	parts   parts      // of the segment that was read last
}

// maxIndexes bounds the indexes that are kept in memory, in bytes. Whoever asks for
// what is not there has all of them looked through.
const maxIndexes = 64 << 20

// parts are a segment's, as proofs are made from them.
type parts struct {
	segment     int64
	log         *segment.Log // nil: none is read
	checkpoints []segment.Signed
	decisions   []segment.Decision
}

// opened are a segment's transactions.
type opened struct {
	segment int64
	byTx    map[flow.Hash]segment.Transaction // nil: none
}

// NewReader reads an archive of the chain whose log keys these are.
func NewReader(store archive.Store, keys receipt.Keys) *Reader {
	return &Reader{store: store, keys: keys}
}

// Found is an archived decision.
type Found struct {
	Segment   int64
	Index     int64 // of its leaf
	Leaf      receipt.Leaf
	LeafBytes []byte
	Decision  segment.Decision
	Receipt   []byte // verified
}

// ByTx finds the decision that stands on a transaction, as far as is archived.
func (r *Reader) ByTx(ctx context.Context, tx flow.Hash) (Found, error) {
	all, err := r.find(ctx, segment.Key(segment.ByTx, tx))
	if err != nil {
		return Found{}, err
	}
	if len(all) == 0 {
		return Found{}, fmt.Errorf("transaction %s: %w", tx, archive.ErrNotFound)
	}
	return r.open(ctx, all[len(all)-1])
}

// ByFlow finds a flow's decisions, in the log's order.
func (r *Reader) ByFlow(ctx context.Context, id flow.Hash) ([]Found, error) {
	return r.all(ctx, segment.Key(segment.ByFlow, id))
}

// BySubject finds a subject's decisions by its key, the pseudonym, in order.
func (r *Reader) BySubject(ctx context.Context, key string) ([]Found, error) {
	return r.all(ctx, segment.SubjectKey(key))
}

func (r *Reader) all(ctx context.Context, key []byte) ([]Found, error) {
	leaves, err := r.find(ctx, key)
	if err != nil {
		return nil, err
	}
	var out []Found
	for _, l := range leaves {
		f, err := r.open(ctx, l)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Each gives fn every archived decision, in the log's order.
func (r *Reader) Each(ctx context.Context, fn func(Found) error) error {
	segments, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	for _, m := range segments {
		for i := m.From; i < m.To; i++ {
			f, err := r.open(ctx, place{m, i})
			if err != nil {
				return err
			}
			if err := fn(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is a leaf in a segment.
type place struct {
	in    *segment.Manifest
	index int64
}

// find looks a key up in every segment.
func (r *Reader) find(ctx context.Context, key []byte) ([]place, error) {
	segments, err := r.manifests(ctx)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, m := range segments {
		data, err := r.index(ctx, m.Number)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", m.Number, err)
		}
		leaves, err := segment.Find(data, key)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", m.Number, err)
		}
		for _, l := range leaves {
			out = append(out, place{m, l})
		}
	}
	return out, nil
}

// manifests are those of all segments; ones that were read are not read again.
func (r *Reader) manifests(ctx context.Context) ([]*segment.Manifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		m, _, err := readManifest(ctx, r.store, int64(len(r.segments)))
		if errors.Is(err, archive.ErrNotFound) {
			return slices.Clone(r.segments), nil
		}
		if err != nil {
			return nil, err
		}
		r.segments = append(r.segments, m)
	}
}

// open reads a decision and verifies the proof of it.
func (r *Reader) open(ctx context.Context, at place) (Found, error) {
	f := Found{Segment: at.in.Number, Index: at.index}
	fail := func(err error) (Found, error) {
		return Found{}, fmt.Errorf("segment %d, leaf %d: %w", at.in.Number, at.index, err)
	}
	r.reading.Lock()
	p, err := r.opened(ctx, at.in)
	if err == nil {
		p.log.Fetch = fetcher(ctx, r.store)
		f.Receipt, err = p.log.Receipt(at.index, p.checkpoints)
	}
	r.reading.Unlock()
	if err != nil {
		return fail(err)
	}
	proven, err := receipt.Verify(f.Receipt, r.keys, r.keys.Origin())
	if err != nil {
		return fail(err)
	}
	f.Leaf, f.LeafBytes = proven.Leaf, proven.LeafBytes
	i := at.index - at.in.From
	if i < 0 || i >= int64(len(p.decisions)) || p.decisions[i].Tx != f.Leaf.Tx {
		return fail(fmt.Errorf("%w: decisions and leaves don't fit together", segment.ErrDamaged))
	}
	f.Decision = p.decisions[i]
	return f, nil
}

// opened reads the parts of a segment that proofs are made from; reading must be held.
func (r *Reader) opened(ctx context.Context, m *segment.Manifest) (parts, error) {
	if r.parts.log != nil && r.parts.segment == m.Number {
		return r.parts, nil
	}
	p := parts{segment: m.Number, log: &segment.Log{Size: m.Size}}
	data, err := r.part(ctx, m, segment.Checkpoints)
	if err != nil {
		return p, err
	}
	if p.checkpoints, err = segment.DecodeCheckpoints(data); err != nil {
		return p, err
	}
	if data, err = r.part(ctx, m, segment.Decisions); err != nil {
		return p, err
	}
	if p.decisions, err = segment.DecodeDecisions(data); err != nil {
		return p, err
	}
	r.parts = p
	return p, nil
}

// index reads a segment's, and keeps it for the next look.
func (r *Reader) index(ctx context.Context, number int64) ([]byte, error) {
	r.mu.Lock()
	data, ok := r.indexes[number]
	r.mu.Unlock()
	if ok {
		return data, nil
	}
	data, err := r.store.Get(ctx, segment.Name(number, segment.Index))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.indexes == nil || r.held+len(data) > maxIndexes {
		r.indexes, r.held = map[int64][]byte{}, 0
	}
	r.indexes[number], r.held = data, r.held+len(data)
	return data, nil
}

// part reads a part of a segment and compares it with the manifest.
func (r *Reader) part(ctx context.Context, m *segment.Manifest, part string) ([]byte, error) {
	name := segment.Name(m.Number, part)
	data, err := r.store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if f.Name == name && f.SHA256 == flow.SumHash(data) {
			return data, nil
		}
	}
	return nil, fmt.Errorf("%w: %s: its SHA-256 is not the manifest's", segment.ErrDamaged, name)
}

// Transaction gives a decided transaction, as it stood in the block of a height.
// One that was erased is a *chain.ErasedError, whose statement was verified, one that
// is not archived archive.ErrNotFound.
func (r *Reader) Transaction(ctx context.Context, tx flow.Hash, height int64) ([]byte, error) {
	segments, err := r.manifests(ctx)
	if err != nil {
		return nil, err
	}
	for i, m := range segments {
		if m.Blocks < height || i > 0 && segments[i-1].Blocks > height {
			continue
		}
		raw, err := r.transaction(ctx, m, tx)
		if !errors.Is(err, archive.ErrNotFound) {
			return raw, err
		}
	}
	return nil, fmt.Errorf("transaction %s: %w", tx, archive.ErrNotFound)
}

func (r *Reader) transaction(ctx context.Context, m *segment.Manifest, tx flow.Hash) ([]byte, error) {
	all, err := r.transactions(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", m.Number, err)
	}
	t, ok := all[tx]
	switch {
	case !ok:
		return nil, archive.ErrNotFound
	case t.Erased != 0:
		return nil, r.erased(ctx, m, tx)
	case flow.SumHash(t.Raw) != tx: // which binds it, whatever the manifest says
		return nil, fmt.Errorf("segment %d: %w: transaction %s is another", m.Number, segment.ErrDamaged, tx)
	}
	return t.Raw, nil
}

// transactions reads those of a segment, and keeps the last that were read.
func (r *Reader) transactions(ctx context.Context, m *segment.Manifest) (map[flow.Hash]segment.Transaction, error) {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	if last.byTx != nil && last.segment == m.Number {
		return last.byTx, nil
	}
	data, err := r.store.Get(ctx, segment.Name(m.Number, segment.Transactions))
	if err != nil {
		return nil, err
	}
	all, err := segment.DecodeTransactions(data)
	if err != nil {
		return nil, err
	}
	byTx := make(map[flow.Hash]segment.Transaction, len(all))
	for _, t := range all {
		byTx[t.Tx] = t
	}
	r.mu.Lock()
	r.last = opened{m.Number, byTx}
	r.mu.Unlock()
	return byTx, nil
}

// erased is the error for a transaction that was taken out, by the authority's statement.
func (r *Reader) erased(ctx context.Context, m *segment.Manifest, tx flow.Hash) error {
	data, err := r.store.Get(ctx, segment.Name(m.Number, segment.Erased))
	if err != nil {
		return fmt.Errorf("segment %d: what says who erased transaction %s: %w", m.Number, tx, err)
	}
	all, err := segment.DecodeErased(data)
	if err != nil {
		return fmt.Errorf("segment %d: %w", m.Number, err)
	}
	for _, e := range all {
		if e.Tx != tx {
			continue
		}
		if err := e.Check(r.keys); err != nil {
			return fmt.Errorf("segment %d: %w", m.Number, err)
		}
		s, err := receipt.VerifyErasure(e.Statement, r.keys)
		if err != nil {
			return err
		}
		return &chain.ErasedError{Tx: tx, Order: s.Order, At: s.At, Ground: s.Ground}
	}
	return fmt.Errorf("segment %d: %w: transaction %s is missing, and no statement says that it was erased", m.Number, segment.ErrDamaged, tx)
}

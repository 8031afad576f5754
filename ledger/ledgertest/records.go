package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

func capabilities(t *testing.T, b *bench) {
	c := b.Ledger.Capabilities()
	if c.Name == "" || c.Network != Network || c.MaxValue < 64<<10 {
		t.Errorf("%+v: want a name, network %q and values of at least 64 KiB", c, Network)
	}
	if c.Durable != (b.Reopen != nil) {
		t.Errorf("durable is %v and the test can reopen: %v", c.Durable, b.Reopen != nil)
	}
}

// R1.5: the sealed record stands under the flow's txhash.
func putAndGet(t *testing.T, b *bench) {
	rec := b.authority.Record(t, flow.Register, []byte("sealed record"))
	b.absent(t, rec.Key)
	b.stands(t, rec, b.put(t, rec))
	b.absent(t, ledger.Key{Flow: rec.Key.Flow, Tx: random()})
	b.absent(t, ledger.Key{Flow: random(), Tx: rec.Key.Tx})
}

// R1.6, R2.7, R4.6: a flow's records are found by its id.
func listInOrder(t *testing.T, b *bench) {
	first := b.authority.Record(t, flow.Register, []byte("register"))
	id := first.Key.Flow
	want := []ledger.Record{first}
	b.put(t, first)
	for _, step := range []flow.Step{flow.ReviewResult, flow.Order, flow.Settle, flow.Deliver} {
		b.put(t, b.authority.Record(t, flow.Register, []byte("another flow")))
		rec := b.authority.Record(t, step, []byte(step), Within(id))
		b.put(t, rec)
		want = append(want, rec)
	}
	got := b.list(t, id)
	if diff := cmp.Diff(want, recordsOf(got)); diff != "" {
		t.Errorf("list differs (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(got, func(x, y ledger.Stored) int { return int(x.Position) - int(y.Position) }) {
		t.Error("list is not in the order of positions")
	}
	if none := b.list(t, random()); len(none) != 0 {
		t.Errorf("list of an unknown flow holds %d records", len(none))
	}
}

// Every write can be tried again after a crash, and happens once.
func sameAgain(t *testing.T, b *bench) {
	leaf := Leaf(flow.Register, []byte("value"))
	rec := record(leaf, []byte("value"), b.authority.Receipt(t, leaf))
	id := b.put(t, rec)
	if again := b.put(t, rec); again != id {
		t.Errorf("the same record got transaction %q, then %q", id, again)
	}
	// The authority may prove the same decision again under a later checkpoint.
	proven := rec
	proven.Receipt = b.authority.Receipt(t, leaf)
	if again := b.put(t, proven); again != id {
		t.Errorf("the same record with a newer receipt got transaction %q, then %q", id, again)
	}
	b.stands(t, rec, id)
	if n := len(b.list(t, rec.Key.Flow)); n != 1 {
		t.Errorf("the flow has %d records, want 1", n)
	}
	next := b.authority.Record(t, flow.Register, []byte("next"))
	b.put(t, next)
	if s := b.get(t, next.Key); s.Position != 2 {
		t.Errorf("the next record is at position %d, want 2: storing again must leave no gap", s.Position)
	}
}

func conflict(t *testing.T, b *bench) {
	leaf := Leaf(flow.Register, []byte("first"))
	rec := record(leaf, []byte("first"), b.authority.Receipt(t, leaf))
	id := b.put(t, rec)
	// Even an authority that contradicts itself does not replace a record.
	leaf.Record = flow.SumHash([]byte("second"))
	other := record(leaf, []byte("second"), b.authority.Receipt(t, leaf))
	if _, err := b.Ledger.Put(bounded(t), other); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("put: %v, want ErrConflict", err)
	}
	b.stands(t, rec, id)
	if n := len(b.list(t, rec.Key.Flow)); n != 1 {
		t.Errorf("the flow has %d records, want 1", n)
	}
}

func everyStep(t *testing.T, b *bench) {
	for _, step := range flow.Steps() {
		if !step.Recorded() {
			continue // see refusals
		}
		rec := b.authority.Record(t, step, []byte(step))
		b.stands(t, rec, b.put(t, rec))
	}
}

func manyAtOnce(t *testing.T, b *bench) {
	const n = 64
	recs := b.authority.Records(t, n, 1500)
	ids := make([]ledger.TxID, n)
	var wg sync.WaitGroup
	for i, rec := range recs {
		wg.Go(func() {
			var err error
			if ids[i], err = b.Ledger.Put(bounded(t), rec); err != nil {
				t.Errorf("put %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, rec := range recs {
		b.stands(t, rec, ids[i])
	}
	inOrder(t, b.followed(t, 0, n), 0)
}

func oneFromMany(t *testing.T, b *bench) {
	rec := b.authority.Record(t, flow.Register, []byte("value"))
	forged := rec
	forged.Value = []byte("forged")
	ids := make(chan ledger.TxID, 64)
	var wg sync.WaitGroup
	for range cap(ids) {
		wg.Go(func() {
			id, err := b.Ledger.Put(bounded(t), rec)
			if err != nil {
				t.Errorf("put: %v", err)
			}
			ids <- id
		})
		wg.Go(func() {
			if _, err := b.Ledger.Put(bounded(t), forged); !errors.Is(err, ledger.ErrRefused) && !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("forged put: %v, want a refusal", err)
			}
		})
	}
	wg.Wait()
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("one record got transactions %q and %q", first, id)
		}
	}
	b.stands(t, rec, first)
	if n := len(b.list(t, rec.Key.Flow)); n != 1 {
		t.Errorf("the flow has %d records, want 1", n)
	}
}

func follow(t *testing.T, b *bench) {
	const before, live = 5, 40
	recs := b.authority.Records(t, before+live, 100)
	for _, rec := range recs[:before] {
		b.put(t, rec)
	}
	past := b.followed(t, 0, before)
	inOrder(t, past, 0)
	if diff := cmp.Diff(recs[:before], recordsOf(past)); diff != "" {
		t.Errorf("followed records differ (-put +got):\n%s", diff)
	}
	if got := b.get(t, recs[3].Key); !cmp.Equal(got, past[3]) {
		t.Errorf("get and follow disagree: %+v and %+v", got, past[3])
	}
	inOrder(t, b.followed(t, 3, 2), 3)

	// Two followers, at different positions, while records arrive.
	var wg sync.WaitGroup
	for _, from := range []uint64{0, before} {
		wg.Go(func() { inOrder(t, b.followed(t, from, before+live-int(from)), from) })
	}
	for _, rec := range recs[before:] {
		wg.Go(func() { b.put(t, rec) })
	}
	wg.Wait()
}

func followEnds(t *testing.T, b *bench) {
	b.put(t, b.authority.Record(t, flow.Register, []byte("value")))
	ctx, cancel := context.WithCancel(bounded(t))
	err := b.Ledger.Follow(ctx, 0, func(ledger.Stored) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("follow: %v, want the context's error", err)
	}
	why := errors.New("the follower's own")
	if err := b.Ledger.Follow(bounded(t), 0, func(ledger.Stored) error { return why }); !errors.Is(err, why) {
		t.Errorf("follow: %v, want fn's error", err)
	}
	// fn may use the ledger.
	err = b.Ledger.Follow(bounded(t), 0, func(s ledger.Stored) error {
		if _, err := b.Ledger.Get(bounded(t), s.Key); err != nil {
			return err
		}
		b.put(t, b.authority.Record(t, flow.Register, []byte("from within")))
		return why
	})
	if !errors.Is(err, why) {
		t.Errorf("follow: %v, want fn's error", err)
	}
}

func callersBytes(t *testing.T, b *bench) {
	rec := b.authority.Record(t, flow.Register, []byte("value"))
	mine := rec
	mine.Value, mine.Receipt = bytes.Clone(rec.Value), bytes.Clone(rec.Receipt)
	id := b.put(t, mine)
	clear(mine.Value)
	clear(mine.Receipt)
	b.stands(t, rec, id)
	got := b.get(t, rec.Key)
	clear(got.Value)
	clear(b.list(t, rec.Key.Flow)[0].Value)
	clear(b.followed(t, 0, 1)[0].Receipt)
	b.stands(t, rec, id)
}

func sizeLimit(t *testing.T, b *bench) {
	limit := b.Ledger.Capabilities().MaxValue
	largest := b.authority.Record(t, flow.Register, make([]byte, limit))
	b.stands(t, largest, b.put(t, largest))
	over := b.authority.Record(t, flow.Register, make([]byte, limit+1))
	b.refused(t, over)
	empty := b.authority.Record(t, flow.Register, nil)
	b.refused(t, empty)
}

func contextEnds(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := b.authority.Record(t, flow.Register, []byte("value"))
	calls := map[string]func() error{
		"put":    func() error { _, err := b.Ledger.Put(ctx, rec); return err },
		"get":    func() error { _, err := b.Ledger.Get(ctx, rec.Key); return err },
		"list":   func() error { _, err := b.Ledger.List(ctx, rec.Key.Flow); return err },
		"follow": func() error { return b.Ledger.Follow(ctx, 0, func(ledger.Stored) error { return nil }) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) || errors.Is(err, ledger.ErrRefused) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	b.stands(t, rec, b.put(t, rec)) // unknown is tried again
}

func restart(t *testing.T, b *bench) {
	if b.Reopen == nil {
		t.Skip("not durable")
	}
	recs := b.authority.Records(t, 10, 500)
	want := make([]ledger.Stored, len(recs))
	for i, rec := range recs {
		b.put(t, rec)
		want[i] = b.get(t, rec.Key)
	}
	b.Ledger = b.Reopen(t)
	if diff := cmp.Diff(want, b.followed(t, 0, len(recs))); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
	if again := b.put(t, recs[0]); again != want[0].TxID {
		t.Errorf("the same record got transaction %q, after the restart %q", want[0].TxID, again)
	}
	next := b.authority.Record(t, flow.Register, []byte("after the restart"))
	b.put(t, next)
	if s := b.get(t, next.Key); s.Position != uint64(len(recs))+1 {
		t.Errorf("the next record is at position %d, want %d", s.Position, len(recs)+1)
	}
}

// inOrder checks that positions go on from from without gaps.
func inOrder(t *testing.T, all []ledger.Stored, from uint64) {
	t.Helper()
	seen := map[ledger.Key]bool{}
	for i, s := range all {
		if s.Position != from+uint64(i)+1 {
			t.Fatalf("record %d after position %d is at %d", i, from, s.Position)
		}
		if seen[s.Key] {
			t.Errorf("position %d repeats a key", s.Position)
		}
		seen[s.Key] = true
		if i > 0 && s.Height < all[i-1].Height {
			t.Errorf("height goes back at position %d", s.Position)
		}
	}
}

func recordsOf(all []ledger.Stored) []ledger.Record {
	out := make([]ledger.Record, len(all))
	for i, s := range all {
		out[i] = s.Record
	}
	return out
}

// refused checks that rec is refused, with a reason, and leaves nothing.
func (b *bench) refused(t *testing.T, rec ledger.Record) {
	t.Helper()
	b.mustRefuse(t, rec, "record")
	b.absent(t, rec.Key)
	if n := len(b.list(t, rec.Key.Flow)); n != 0 {
		t.Errorf("after the refusal the flow has %d records", n)
	}
	b.nothingFollows(t)
}

func (b *bench) mustRefuse(t *testing.T, rec ledger.Record, what string) {
	t.Helper()
	_, err := b.Ledger.Put(bounded(t), rec)
	if !errors.Is(err, ledger.ErrRefused) {
		t.Errorf("put of %s: %v, want ErrRefused", what, err)
	} else if err.Error() == ledger.ErrRefused.Error() {
		t.Errorf("%s was refused without a reason", what)
	}
}

// nothingFollows checks that a sentinel is the first record that Follow gives
// after the last one known.
func (b *bench) nothingFollows(t *testing.T) {
	t.Helper()
	sentinel := b.authority.Record(t, flow.Register, fmt.Appendf(nil, "sentinel %x", random()))
	b.put(t, sentinel)
	at := b.get(t, sentinel.Key).Position
	if at > 1 {
		if first := b.followed(t, at-2, 1)[0]; first.Position != at-1 {
			t.Errorf("a refused record took position %d", at-1)
		}
	}
}

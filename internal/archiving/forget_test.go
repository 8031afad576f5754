package archiving_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// anchorOf is where a test's decision stands on the business chain.
func anchorOf(d chain.Decided) flow.Anchor {
	return flow.Anchor{Tx: d.Leaf.Tx, BusinessTx: fmt.Sprintf("business-%s", d.Leaf.Tx)}
}

func (a *archived) anchor(t testing.TB, all ...chain.Decided) error {
	t.Helper()
	body := chain.Anchors{Platform: chaintest.Platform}
	for _, d := range all {
		body.Anchors = append(body.Anchors, anchorOf(d))
	}
	tx, err := chain.Compose(chaintest.Chain, chain.KindAnchor, body, a.Suite, a.Signing, rand.Reader)
	must(t, err)
	return a.chain.Submit(t.Context(), tx)
}

// kept counts what a stopped chain's state has under a prefix.
func kept(t *testing.T, dir, prefix string) (n int) {
	t.Helper()
	db, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	must(t, err)
	defer db.Close()
	must(t, comet.Scan(db, []byte(prefix), func(_, _ []byte) error { n++; return nil }))
	return n
}

// R10.1: what is archived the chain's state forgets, and everything that was asked
// before can be asked again, with the same answers.
func TestForgetting(t *testing.T) {
	dir := t.TempDir()
	a, stop := newPruned(t, dir, 0)
	const rest = 20
	a.fill(t, segment.Width+rest)
	late := a.at(9) // not anchored before it is archived
	for _, d := range a.decided {
		if d.Index != late.Index {
			must(t, a.anchor(t, d))
		}
	}
	root, err := a.chain.Consistency(3, 200)
	must(t, err)
	tile, err := a.chain.Tile(tlog.Tile{H: 8, L: 0, N: 0, W: 256})
	must(t, err)
	must(t, a.schedule().Once(t.Context()))
	a.fill(t, 3) // in whose block it forgets
	for _, d := range a.decided[segment.Width+rest:] {
		must(t, a.anchor(t, d))
	}
	t.Run("read again", func(t *testing.T) { readAll(t, a); a.readForgotten(t, late, root, tile) })
	t.Run("a replay is no new submission", func(t *testing.T) {
		sub, _, err := a.chain.Submission(a.at(4))
		must(t, err)
		if err := a.chain.Check(sub); !errors.Is(err, chain.ErrKnown) {
			t.Errorf("a submission whose decision is archived: %v, want ErrKnown", err)
		}
	})
	t.Run("anchors", func(t *testing.T) { a.testLateAnchor(t, late) })
	stop()
	for prefix, want := range map[string]int{
		"s/leaf/": rest + 3, "s/tx/": rest + 3, "s/decision/": rest + 3, "s/subject/": rest + 3, "s/flow/": rest + 3, "s/sub/": rest + 3,
		"s/id/": segment.Width, "s/anchor/": rest + 3 + 1,
	} {
		if got := kept(t, dir, prefix); got != want {
			t.Errorf("%d kept under %s, want %d", got, prefix, want)
		}
	}
	t.Run("executed again", func(t *testing.T) { a.testReplayed(t, dir) })
	a.chain, stop = a.OpenArchived(t, dir, archiving.NewReader(a.store, a.Keys).Archived(), 2)
	readAll(t, a)
	for range 2 {
		a.fill(t, 2)
	}
	stop()
	t.Run("checked again, pruned", func(t *testing.T) { checkPruned(t, a, dir) })
}

func (a *archived) readForgotten(t *testing.T, late chain.Decided, consistency tlog.TreeProof, tile []byte) {
	t.Helper()
	for _, was := range a.decided[:segment.Width] {
		d, err := a.chain.BySubmission(was.Leaf.Submission)
		must(t, err)
		r, err := a.chain.Receipt(d)
		must(t, err)
		if !bytes.Equal(r, a.given[was.Index]) || d.Index != was.Index {
			t.Fatalf("leaf %d: its receipt is another than was given", was.Index)
		}
		if want := anchorOf(was).BusinessTx; d.Anchor != want && d.Index != late.Index {
			t.Fatalf("leaf %d: anchored at %q, want %q", d.Index, d.Anchor, want)
		}
	}
	one := a.at(4)
	if all, err := a.chain.ByFlow(one.Leaf.Flow); err != nil || len(all) != 1 || all[0].Leaf.Tx != one.Leaf.Tx {
		t.Errorf("by flow: %d decisions, %v", len(all), err)
	}
	all, err := a.chain.BySubject(one.Subject)
	if err != nil || len(all) != len(a.decided) {
		t.Errorf("by subject: %d decisions, %v; want %d", len(all), err, len(a.decided))
	}
	for i, d := range all {
		if d.Index != int64(i) {
			t.Fatalf("by subject: decision %d is leaf %d", i, d.Index)
		}
	}
	if again, err := a.chain.Consistency(3, 200); err != nil || fmt.Sprint(again) != fmt.Sprint(consistency) {
		t.Errorf("consistency of forgotten sizes: %v", err)
	}
	if again, err := a.chain.Tile(tlog.Tile{H: 8, L: 0, N: 0, W: 256}); err != nil || !bytes.Equal(again, tile) {
		t.Errorf("a forgotten tile: %v", err)
	}
}

// testLateAnchor: the record that waited is anchored all the same, once, and a second
// word on it changes nothing.
func (a *archived) testLateAnchor(t *testing.T, late chain.Decided) {
	open, err := a.chain.Unanchored(0, time.Now().Add(time.Hour), 10)
	if err != nil || len(open) != 1 || open[0].Leaf.Tx != late.Leaf.Tx {
		t.Fatalf("%d records wait for their anchor, %v", len(open), err)
	}
	must(t, a.anchor(t, late))
	must(t, a.anchor(t, late))
	d, err := a.chain.ByTx(late.Leaf.Tx)
	if err != nil || d.Anchor != anchorOf(late).BusinessTx {
		t.Errorf("anchored at %q, %v", d.Anchor, err)
	}
}

// testReplayed executes the whole chain again: every block gives the same state.
func (a *archived) testReplayed(t *testing.T, dir string) {
	seen := 0
	found, err := chain.ReplayArchived(t.Context(), dir, a.Keys, archiving.NewReader(a.store, a.Keys).Archived(), func(chain.Decided) error { seen++; return nil })
	if err != nil || len(found.Problems) > 0 || found.Forgotten != segment.Width || found.Pruned != 0 || seen != len(a.decided) {
		t.Errorf("%+v, %d decisions seen of %d, %v", found, seen, len(a.decided), err)
	}
}

// R10.1: a payload is mostly erased long after the chain has forgotten its decision. The
// order then brings the proof of it, and a false one erases nothing.
func TestErasureOfForgotten(t *testing.T) {
	a, _ := newPruned(t, t.TempDir(), 0)
	a.fill(t, segment.Width)
	must(t, a.anchor(t, a.decided...))
	must(t, a.schedule().Once(t.Context()))
	a.fill(t, 2)
	d, other := a.at(5), a.at(6)
	p, err := a.chain.Payload(d.Leaf.Tx)
	must(t, err)
	if p.Proof == nil {
		t.Fatal("the chain has not forgotten the decision")
	}
	q, err := a.chain.Payload(other.Leaf.Tx)
	must(t, err)
	order := func(p contract.Payload) error {
		_, err := a.GiveTwo(t, a.chain, contract.PayloadErase, contract.Erasure{Ground: contract.ByLaw, Basis: "b", Payloads: []contract.Payload{p}})
		return err
	}
	moved := *p.Proof
	moved.Index++
	longer := *p.Proof
	longer.Leaf = append(bytes.Clone(longer.Leaf), 0)
	for what, false := range map[string]contract.Payload{
		"no proof": {Tx: d.Leaf.Tx}, "another's proof": {Tx: d.Leaf.Tx, Proof: q.Proof},
		"another place": {Tx: d.Leaf.Tx, Proof: &moved}, "another leaf": {Tx: d.Leaf.Tx, Proof: &longer},
	} {
		if err := order(false); err == nil || !strings.Contains(err.Error(), "erase_unknown") {
			t.Errorf("%s: %v, want erase_unknown", what, err)
		}
	}
	must(t, order(p))
	if _, _, err := a.chain.Submission(d); gone(err) != 1 {
		t.Errorf("reading it: %v", err)
	}
	must(t, a.schedule().Once(t.Context()))
	if c := a.check(t); len(c.Faults) > 0 || c.Erased != 1 {
		t.Errorf("%d erased, faults: %v", c.Erased, c.Faults)
	}
	r, err := a.chain.Receipt(d)
	must(t, err)
	if _, err := receipt.Verify(r, a.Keys, chaintest.Chain); err != nil {
		t.Error(err)
	}
}

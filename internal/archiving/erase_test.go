package archiving_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// at is the decision of a leaf.
func (a *archived) at(index int64) chain.Decided {
	for _, d := range a.decided {
		if d.Index == index {
			return d
		}
	}
	return chain.Decided{}
}

// sealed is a decision's payload as it was received.
func (a *archived) sealed(t *testing.T, d chain.Decided) []byte {
	t.Helper()
	sub, _, err := a.chain.Submission(d)
	must(t, err)
	return sub.Sealed
}

func (a *archived) erase(t *testing.T, all ...chain.Decided) {
	t.Helper()
	e := contract.Erasure{Ground: contract.ByLaw, Basis: "judgment 17"}
	for _, d := range all {
		e.Payloads = append(e.Payloads, contract.Payload{Tx: d.Leaf.Tx})
	}
	_, err := a.GiveTwo(t, a.chain, contract.PayloadErase, e)
	must(t, err)
}

// holds says whether any file below dir, but for the write-ahead log, has the bytes.
func holds(t *testing.T, dir string, what []byte) (found string) {
	t.Helper()
	walk(t, dir, func(path string, _ int64) {
		if strings.Contains(path, "cs.wal") {
			return
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, what) {
			found = path
		}
	})
	return found
}

// gone says by which order a payload was erased; 0 when the error says something else.
func gone(err error) uint64 {
	var e *chain.ErasedError
	if errors.As(err, &e) && errors.Is(err, chain.ErrErased) {
		return e.Order
	}
	return 0
}

// R10.1: what officers order erased is destroyed in the blocks and in the archive,
// whether it was archived before the order or after; the proof of the decision stays
// as it was, and every place says by which order.
func TestErasure(t *testing.T) {
	dir := t.TempDir()
	a, stop := newPruned(t, dir, 0)
	a.payload = 3000
	a.fill(t, segment.Width+20)
	must(t, a.schedule().Once(t.Context()))
	before := a.check(t)
	early, late := a.at(5), a.at(segment.Width+10) // archived, and not yet
	payloads := [][]byte{a.sealed(t, early)[1000:1200], a.sealed(t, late)[1000:1200]}
	if holds(t, a.dir, payloads[0]) == "" || holds(t, a.dir, payloads[1]) != "" || holds(t, dir, payloads[1]) == "" {
		t.Fatal("the payloads are not where this test looks for them")
	}
	a.erase(t, early, late)

	t.Run("nobody is given it from then on", func(t *testing.T) {
		for _, d := range []chain.Decided{early, late} {
			if _, _, err := a.chain.Submission(d); gone(err) != 1 {
				t.Errorf("reading an erased payload: %v", err)
			}
			if _, err := a.chain.Explain(d.Leaf.Tx); gone(err) != 1 {
				t.Errorf("explaining without the facts: %v", err)
			}
		}
		past := 0
		must(t, a.chain.Past(t.Context(), time.Time{}, time.Time{}, func(chain.Past) error { past++; return nil }))
		if past != len(a.decided)-2 {
			t.Errorf("%d past decisions, want all but two of %d", past, len(a.decided))
		}
	})
	must(t, a.schedule().Once(t.Context()))
	a.fill(t, segment.Width)
	must(t, a.schedule().Once(t.Context()))
	for range 2 { // blocks at which the others go, each before the next is waited for
		a.fill(t, 3)
	}
	t.Run("the archive has it no more", func(t *testing.T) { a.testErased(t, before, early, late) })
	t.Run("blocks go with it, though all are kept", func(t *testing.T) {
		if base := a.chain.Base(); base <= late.Height {
			t.Errorf("the lowest block is %d, the payload stood in %d", base, late.Height)
		}
	})
	for _, p := range payloads {
		if file := holds(t, a.dir, p); file != "" {
			t.Errorf("the payload is still in %s", file)
		}
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) { // the store writes itself anew in the background
		left := holds(t, filepath.Join(dir, "node"), payloads[0]) + holds(t, filepath.Join(dir, "node"), payloads[1])
		if left == "" {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("the payload is still in %s", left)
		}
	}
	stop()
	t.Run("checked again", func(t *testing.T) { checkPruned(t, a, dir) })
}

func (a *archived) testErased(t *testing.T, before archiving.Checked, all ...chain.Decided) {
	r := archiving.NewReader(a.store, a.Keys)
	for _, d := range all {
		found, err := r.ByTx(t.Context(), d.Leaf.Tx)
		must(t, err)
		if !bytes.Equal(found.Receipt, a.given[d.Index]) {
			t.Error("the receipt is another than was given at the time")
		}
		if _, err := r.Transaction(t.Context(), d.Leaf.Tx, d.Height); gone(err) != 1 {
			t.Errorf("reading it in the archive: %v", err)
		}
	}
	c := a.check(t)
	if len(c.Faults) > 0 || c.Erased != 2 {
		t.Errorf("%d erased, faults: %v", c.Erased, c.Faults)
	}
	m, _, err := segmentOf(t, a.store, 0)
	must(t, err)
	if m.Root.String() != before.Root {
		t.Errorf("the log's root of segment 0 is %s, was %s", m.Root, before.Root)
	}
	copied, err := archiving.Copy(t.Context(), a.store, opened(t, filepath.Join(t.TempDir(), "copy")), a.Keys, func(archiving.Written) error { return nil })
	if err != nil || len(copied.Faults) > 0 || copied.Erased != 2 {
		t.Errorf("a copy: %+v, %v", copied, err)
	}
}

func segmentOf(t *testing.T, s archive.Store, n int64) (segment.Manifest, []byte, error) {
	t.Helper()
	raw, err := s.Get(t.Context(), segment.ManifestName(n))
	must(t, err)
	m, err := segment.DecodeManifest(raw)
	return m, raw, err
}

// R9.6, R10.1: no order, or not the right one, and nothing is erased.
func TestErasureRefused(t *testing.T) {
	f := newArchived(t)
	d := f.at(5)
	one := contract.Erasure{Ground: contract.ByLaw, Basis: "b", Payloads: []contract.Payload{{Tx: d.Leaf.Tx}}}
	early := one
	early.Ground = contract.ByRetention
	if _, err := f.Give(t, f.chain, contract.RetentionSet, contract.Retention{Business: "prescription", Days: 30}); err != nil {
		t.Fatal(err)
	}
	refused := func(what, code string, err error) {
		t.Helper()
		var no *contract.OrderRefused
		if code != "" && !errors.As(err, &no) || no != nil && no.Code != code || err == nil {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	_, err := f.Give(t, f.chain, contract.PayloadErase, one)
	refused("by one officer", "order_second", err)
	_, err = f.GiveTwo(t, f.chain, contract.PayloadErase, early)
	refused("before its retention, without a legal ground", "erase_early", err)
	one.Payloads = append(one.Payloads, contract.Payload{Tx: flow.SumHash([]byte("nothing"))})
	_, err = f.GiveTwo(t, f.chain, contract.PayloadErase, one)
	refused("of what was never decided", "erase_unknown", err)
	erased, err := archiving.Writer{Source: f.chain.Source(), Store: f.store, Keys: f.Keys}.Erase(t.Context(), nil)
	if err != nil || erased != 0 {
		t.Errorf("%d payloads erased without an order, %v", erased, err)
	}
	f.sealed(t, d)
}

// Attack: whoever can write the archive takes a payload out, and says that it was
// erased. Without the authority's statement it is a loss, and named.
func TestErasureForged(t *testing.T) {
	a := newArchived(t)
	other, _, err := receipt.NewLogKey(strings.NewReader(strings.Repeat("k", 64)), chaintest.Chain)
	must(t, err)
	signer, err := note.NewSigner(other)
	must(t, err)
	name := segment.Name(0, segment.Transactions)
	whole, err := a.store.Get(t.Context(), name)
	must(t, err)
	transactions, err := segment.DecodeTransactions(whole)
	must(t, err)
	tx := transactions[5].Tx
	transactions[5].Erased, transactions[5].Raw = 1, nil
	without, err := segment.EncodeTransactions(transactions)
	must(t, err)
	must(t, a.store.Put(t.Context(), name, without))
	state := func(tx flow.Hash, order uint64, signers ...note.Signer) []byte {
		s, err := receipt.SignErasure(receipt.Erasure{Chain: chaintest.Chain, Tx: tx, Order: order, At: 1, Ground: "law"}, signers...)
		must(t, err)
		return s
	}
	for what, statement := range map[string][]byte{
		"none":                      nil,
		"by another's key":          state(tx, 1, signer),
		"by one kind of key of two": state(tx, 1, a.Signers[0]),
		"of another transaction":    state(transactions[6].Tx, 1, a.Signers...),
		"of another order":          state(tx, 2, a.Signers...),
	} {
		if statement != nil {
			data, err := segment.EncodeErased([]segment.Erasure{{Tx: tx, Order: 1, Statement: statement, After: flow.SumHash(without)}})
			must(t, err)
			must(t, a.store.Put(t.Context(), segment.Name(0, segment.Erased), data))
		}
		if c := a.check(t); !named(c.Faults, name) {
			t.Errorf("statement %s: a payload that is missing is not reported: %v", what, c.Faults)
		}
		if _, err := archiving.NewReader(a.store, a.Keys).Transaction(t.Context(), tx, a.at(transactions[5].Index).Height); err == nil || gone(err) != 0 {
			t.Errorf("statement %s: reading gives %v", what, err)
		}
		must(t, a.store.Delete(t.Context(), segment.Name(0, segment.Erased)))
	}
}

// dying is a store whose process ends at a write.
type dying struct {
	archive.Store
	at string
}

var errKilled = errors.New("killed")

// Put implements archive.Store.
func (d dying) Put(ctx context.Context, name string, data []byte) error {
	if name == d.at {
		return errKilled
	}
	return d.Store.Put(ctx, name, data)
}

// R10.1: an erasure that is ended between its writes is finished by the next run, and
// until then the check of the archive names it.
func TestErasureKilled(t *testing.T) {
	a := newArchived(t)
	d, e := a.at(5), a.at(7)
	a.erase(t, d)
	w := archiving.Writer{Source: a.chain.Source(), Store: a.store, Keys: a.Keys}
	for _, part := range []string{segment.Erased, segment.Transactions} {
		name := segment.Name(0, part)
		w.Store = dying{a.store, name}
		if _, err := w.Erase(t.Context(), nil); !errors.Is(err, errKilled) {
			t.Fatalf("writing %s: %v", name, err)
		}
		if c := a.check(t); part == segment.Transactions && !named(c.Faults, name) || part == segment.Erased && len(c.Faults) > 0 {
			t.Errorf("ended before %s: %v", name, c.Faults)
		}
		if _, err := archiving.NewReader(a.store, a.Keys).Transaction(t.Context(), e.Leaf.Tx, e.Height); err != nil {
			t.Errorf("ended before %s: another transaction: %v", name, err)
		}
	}
	a.erase(t, e) // another order has come meanwhile
	w.Store = a.store
	if n, err := w.Erase(t.Context(), nil); err != nil || n != 2 {
		t.Fatalf("%d erased at the next run, %v", n, err)
	}
	if n, err := w.Erase(t.Context(), nil); err != nil || n != 0 {
		t.Errorf("%d erased a second time, %v", n, err)
	}
	if c := a.check(t); len(c.Faults) > 0 || c.Erased != 2 {
		t.Errorf("%d erased, faults: %v", c.Erased, c.Faults)
	}
}

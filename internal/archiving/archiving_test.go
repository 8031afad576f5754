package archiving_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// archived is a chain of some decisions, its archive, and the receipts that were
// given at the time.
type archived struct {
	*chaintest.Fixture
	chain    *chain.Chain
	store    archive.Store
	dir      string // of the archive
	given    map[int64][]byte
	decided  []chain.Decided
	manifest *segment.Manifest
	payload  int // bytes of each; 0: a few
}

// count is two segments and a rest.
const count = 2*segment.Width + 40

func newArchived(t *testing.T) *archived {
	t.Helper()
	f := chaintest.New(t, envelope.GM())
	a := &archived{Fixture: f, dir: filepath.Join(t.TempDir(), "archive"), given: map[int64][]byte{}}
	a.chain, _ = f.Open(t, t.TempDir())
	_, err := f.Give(t, a.chain, contract.PolicySet, contract.Policy{})
	must(t, err)
	a.fill(t, count)
	a.store = opened(t, a.dir)
	a.manifest = a.run(t)
	return a
}

func (a *archived) fill(t testing.TB, n int) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(32)
	from := len(a.decided)
	a.decided = append(a.decided, make([]chain.Decided, n)...)
	for i := range n {
		sub, h, facts := a.Registration(t, chaintest.Numbered(from+i))
		if a.payload > 0 {
			sub, h = a.Submission(t, flow.Header{Step: flow.Register, Record: h.Record}, bytes.Repeat([]byte("x"), a.payload))
		}
		tx := a.Compose(t, sub, facts)
		g.Go(func() (err error) {
			a.decided[from+i], err = a.chain.Decide(t.Context(), h.ID, tx)
			return err
		})
	}
	must(t, g.Wait())
	for _, d := range a.decided[from:] {
		r, err := a.chain.Receipt(d)
		must(t, err)
		a.given[d.Index] = r
	}
}

func (a *archived) run(t *testing.T) *segment.Manifest {
	t.Helper()
	w := archiving.Writer{Source: a.chain.Source(), Store: a.store, Keys: a.Keys, Leaves: segment.Width}
	m, err := w.Run(t.Context(), func(archiving.Written) error { return nil })
	must(t, err)
	return m
}

func opened(t testing.TB, place string) archive.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), place)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (a *archived) check(t *testing.T) archiving.Checked {
	t.Helper()
	c, err := archiving.Check(t.Context(), a.store, a.Keys, func(int64, int64) {})
	must(t, err)
	return c
}

// R10.1: what is archived stays provable from the archive alone.
func TestArchive(t *testing.T) {
	a := newArchived(t)
	if a.manifest.Number != 1 || a.manifest.To != 2*segment.Width {
		t.Fatalf("archived up to segment %d, leaf %d", a.manifest.Number, a.manifest.To)
	}
	t.Run("it verifies", a.testVerifies)
	t.Run("receipts are those given at the time", a.testReceipts)
	t.Run("what is found", a.testFound)
	t.Run("a reader of tlog-tiles reads it", a.testTiles)
	t.Run("a second run writes nothing", a.testAgain)
	t.Run("a copy has the same root", a.testCopy)
	t.Run("a flipped byte is found, and where", a.testFlipped)
	t.Run("what is missing is found", a.testMissing)
	t.Run("another authority's archive", a.testForeign)
	t.Run("later segments follow on", a.testLater)
}

func (a *archived) testVerifies(t *testing.T) {
	raw, err := a.store.Get(t.Context(), segment.Name(0, segment.Orders))
	must(t, err)
	orders, err := segment.DecodeOrders(raw)
	if err != nil || len(orders) != 1 || len(orders[0].Raw) == 0 {
		t.Errorf("%d orders, %v; want the one that was given", len(orders), err)
	}
	c := a.check(t)
	if len(c.Faults) > 0 || c.Segments != 2 || c.Decisions != 2*segment.Width || c.Transactions != 2*segment.Width || c.Checkpoints == 0 {
		t.Errorf("checked: %+v", c)
	}
}

func (a *archived) testReceipts(t *testing.T) {
	r := archiving.NewReader(a.store, a.Keys)
	for _, d := range a.decided {
		found, err := r.ByTx(t.Context(), d.Leaf.Tx)
		if d.Index >= a.manifest.To {
			if !errors.Is(err, archive.ErrNotFound) {
				t.Fatalf("leaf %d: %v, want ErrNotFound", d.Index, err)
			}
			continue
		}
		must(t, err)
		if !bytes.Equal(found.Receipt, a.given[d.Index]) {
			t.Fatalf("leaf %d: the receipt is another than was given", d.Index)
		}
		p, err := receipt.Verify(found.Receipt, a.Keys, chaintest.Chain)
		must(t, err)
		if p.Leaf.Tx != d.Leaf.Tx {
			t.Fatalf("leaf %d: the receipt is for %s", d.Index, p.Leaf.Tx)
		}
		raw, err := r.Transaction(t.Context(), d.Leaf.Tx, d.Height)
		must(t, err)
		if chain.TxHash(raw) != d.Leaf.Tx {
			t.Fatalf("leaf %d: another transaction", d.Index)
		}
	}
}

func (a *archived) testFound(t *testing.T) {
	r := archiving.NewReader(a.store, a.Keys)
	d := a.decided[7]
	byFlow, err := r.ByFlow(t.Context(), d.Leaf.Flow)
	must(t, err)
	if len(byFlow) != 1 || byFlow[0].Leaf.Tx != d.Leaf.Tx {
		t.Errorf("by flow: %d decisions, want one", len(byFlow))
	}
	if diff := cmp.Diff(d.Reasons, byFlow[0].Decision.Reasons); diff != "" || byFlow[0].Decision.Basis != d.Basis {
		t.Errorf("reasons (-chain +archive):\n%s", diff)
	}
	bySubject, err := r.BySubject(t.Context(), d.Subject)
	must(t, err)
	if len(bySubject) != 2*segment.Width {
		t.Errorf("by subject: %d decisions, want %d", len(bySubject), 2*segment.Width)
	}
	none, err := r.BySubject(t.Context(), "nobody")
	if err != nil || len(none) != 0 {
		t.Errorf("by an unknown subject: %d decisions, %v", len(none), err)
	}
}

// The archive is a log in the layout of c2sp.org/tlog-tiles: golang.org/x/mod
// reads it with nothing of ours but the names.
func (a *archived) testTiles(t *testing.T) {
	signed, err := a.store.Get(t.Context(), "checkpoint")
	must(t, err)
	v, err := note.NewVerifier(strings.SplitN(a.Published, "\n", 2)[0])
	must(t, err)
	n, err := note.Open(signed, note.VerifierList(v))
	must(t, err)
	tree, err := tlog.ParseTree([]byte("go.sum database tree" + strings.TrimPrefix(n.Text, chaintest.Chain)))
	must(t, err)
	log := tlog.TileHashReader(tree, tiles{t, a.store})
	for i := range tree.N {
		_, err := tlog.ProveRecord(tree.N, i, log)
		must(t, err)
	}
	if diff := cmp.Diff(a.manifest.Size, tree.N); diff != "" {
		t.Error(diff)
	}
}

type tiles struct {
	t     *testing.T
	store archive.Store
}

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(all []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range all {
		b, err := r.store.Get(r.t.Context(), strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

func (a *archived) testAgain(t *testing.T) {
	w := archiving.Writer{Source: a.chain.Source(), Store: readOnly(t, a.dir), Keys: a.Keys, Leaves: segment.Width}
	m, err := w.Run(t.Context(), func(archiving.Written) error { return errors.New("wrote a segment") })
	if err != nil || m.Number != 1 {
		t.Errorf("a second run: %v", err)
	}
}

func readOnly(t *testing.T, dir string) archive.Store {
	t.Helper()
	s, err := blob.OpenReadOnly(t.Context(), dir)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func (a *archived) testCopy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	c, err := archiving.Copy(t.Context(), readOnly(t, a.dir), opened(t, dir), a.Keys, func(archiving.Written) error { return nil })
	must(t, err)
	root, err := tlog.TreeHash(c.Size, a.chain.Source())
	must(t, err)
	if len(c.Faults) > 0 || c.Root != root.String() {
		t.Errorf("the copy's root is %s, the chain's at that size %s; faults: %v", c.Root, root, c.Faults)
	}
	again, err := archiving.Check(t.Context(), readOnly(t, dir), a.Keys, func(int64, int64) {})
	must(t, err)
	if diff := cmp.Diff(a.check(t).Root, again.Root); diff != "" || len(again.Faults) > 0 {
		t.Errorf("the copy does not verify: %v\n%s", again.Faults, diff)
	}
}

// Attack: any byte of any file that is another one is found, with its segment and
// file. Every file gets flips at its beginning, middle and end.
func (a *archived) testFlipped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "damaged")
	s := opened(t, dir)
	_, err := archiving.Copy(t.Context(), a.store, s, a.Keys, func(archiving.Written) error { return nil })
	must(t, err)
	var names []string
	must(t, s.List(t.Context(), "", func(n string) error { names = append(names, n); return nil }))
	if len(names) < 12 {
		t.Fatalf("%d files: %q", len(names), names)
	}
	for _, name := range names {
		whole, err := s.Get(t.Context(), name)
		must(t, err)
		for _, at := range []int{0, len(whole) / 2, len(whole) - 1} {
			if at < 0 || at >= len(whole) {
				continue // an empty file has nothing to flip
			}
			bad := bytes.Clone(whole)
			bad[at] ^= 1
			must(t, s.Put(t.Context(), name, bad))
			c, err := archiving.Check(t.Context(), s, a.Keys, func(int64, int64) {})
			must(t, err)
			if !named(c.Faults, name) {
				t.Errorf("byte %d of %s is another: faults %v", at, name, c.Faults)
			}
		}
		must(t, s.Put(t.Context(), name, whole))
	}
	t.Logf("%d files with a flipped byte were found and named", len(names))
}

func named(faults []segment.Fault, file string) bool {
	for _, f := range faults {
		if f.File == file {
			return true
		}
	}
	return false
}

func (a *archived) testMissing(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "damaged"))
	_, err := archiving.Copy(t.Context(), a.store, s, a.Keys, func(archiving.Written) error { return nil })
	must(t, err)
	for _, name := range []string{segment.ManifestName(0), segment.Name(1, segment.Transactions), "tile/0/000", "tile/entries/001", "checkpoint"} {
		whole, err := s.Get(t.Context(), name)
		must(t, err)
		must(t, s.Delete(t.Context(), name))
		c, err := archiving.Check(t.Context(), s, a.Keys, func(int64, int64) {})
		must(t, err)
		if !named(c.Faults, name) {
			t.Errorf("%s is missing: faults %v", name, c.Faults)
		}
		must(t, s.Put(t.Context(), name, whole))
	}
}

// Attack: an archive that verifies in itself, under keys that are not the
// authority's.
func (a *archived) testForeign(t *testing.T) {
	_, vkey, err := receipt.NewLogKey(strings.NewReader(strings.Repeat("k", 64)), chaintest.Chain)
	must(t, err)
	keys, err := receipt.ParseKeys(vkey)
	must(t, err)
	c, err := archiving.Check(t.Context(), a.store, keys, func(int64, int64) {})
	must(t, err)
	if !named(c.Faults, segment.ManifestName(0)) || !named(c.Faults, segment.ManifestName(1)) {
		t.Errorf("faults: %v", c.Faults)
	}
	if _, err := archiving.NewReader(a.store, keys).ByTx(t.Context(), a.decided[0].Leaf.Tx); !errors.Is(err, receipt.ErrReceipt) {
		t.Errorf("reading under other keys: %v", err)
	}
}

func (a *archived) testLater(t *testing.T) {
	a.fill(t, segment.Width)
	m := a.run(t)
	if m.Number != 2 {
		t.Errorf("the last segment is %d, want 2", m.Number)
	}
	if c := a.check(t); len(c.Faults) > 0 || c.Segments != 3 {
		t.Errorf("checked: %+v", c)
	}
	a.manifest = m
	a.testReceipts(t)
}

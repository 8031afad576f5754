package archiving_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// newPruned is a chain that prunes what it archives, but for keep blocks.
func newPruned(t testing.TB, dir string, keep int64) (a *archived, stop func()) {
	t.Helper()
	f := chaintest.New(t, envelope.GM())
	a = &archived{Fixture: f, dir: filepath.Join(t.TempDir(), "archive"), given: map[int64][]byte{}}
	a.store = opened(t, a.dir)
	a.chain, stop = f.OpenArchived(t, dir, archiving.NewReader(a.store, f.Keys).Archived(), keep)
	return a, stop
}

func (a *archived) schedule() *archiving.Schedule {
	return &archiving.Schedule{
		Writer: archiving.Writer{Source: a.chain.Source(), Store: a.store, Keys: a.Keys, Leaves: segment.Width},
		Chain:  a.chain, Every: time.Hour, Announce: a.Announce(a.chain), Logger: slog.New(slog.DiscardHandler),
	}
}

// R10.1: blocks whose data are archived go, and everything can still be read and
// proven, before and after the node starts again.
func TestPruning(t *testing.T) {
	dir := t.TempDir()
	a, stop := newPruned(t, dir, 0)
	a.fill(t, segment.Width+60)
	must(t, a.schedule().Once(t.Context()))
	a.fill(t, 4)
	if a.chain.Base() != 1 {
		t.Fatalf("keeping all: base %d", a.chain.Base())
	}
	stop()
	a.chain, stop = a.OpenArchived(t, dir, archiving.NewReader(a.store, a.Keys).Archived(), 2)
	for range 2 { // blocks go after the one that is waited for
		a.fill(t, 4)
	}
	m, _, err := archiving.Last(t.Context(), a.store)
	must(t, err)
	if base := a.chain.Base(); base < 2 || base > m.Blocks {
		t.Fatalf("base %d after pruning, want more than 1 and at most %d", base, m.Blocks)
	}
	readAll(t, a)
	stop()
	t.Run("checked again", func(t *testing.T) { checkPruned(t, a, dir) })
	a.chain, stop = a.OpenArchived(t, dir, archiving.NewReader(a.store, a.Keys).Archived(), 2)
	a.fill(t, 4)
	readAll(t, a)
	stop()

	a.chain, _ = a.OpenArchived(t, dir, nothing{}, 2)
	if _, _, err := a.chain.Submission(earliest(a)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("reading a pruned block without its archive: %v, want ErrNotFound", err)
	}
}

// nothing is an archive that was lost.
type nothing struct{ chain.Archived }

func (nothing) Transaction(context.Context, flow.Hash, int64) ([]byte, error) {
	return nil, archive.ErrNotFound
}

func earliest(a *archived) chain.Decided {
	first := a.decided[0]
	for _, d := range a.decided {
		if d.Index < first.Index {
			first = d
		}
	}
	return first
}

// readAll reads every decision as the authority and its officers do.
func readAll(t *testing.T, a *archived) {
	t.Helper()
	for _, was := range a.decided {
		d, err := a.chain.ByTx(was.Leaf.Tx)
		must(t, err)
		sub, _, err := a.chain.Submission(d)
		must(t, err)
		if h, err := sub.Open(); err != nil || h.ID != was.Leaf.Submission {
			t.Fatalf("leaf %d: another submission, %v", d.Index, err)
		}
		r, err := a.chain.Receipt(d)
		must(t, err)
		for _, file := range [][]byte{r, a.given[d.Index]} {
			if _, err := receipt.Verify(file, a.Keys, chaintest.Chain); err != nil {
				t.Fatalf("leaf %d: %v", d.Index, err)
			}
		}
	}
	count := 0
	must(t, a.chain.Past(t.Context(), time.Time{}, time.Time{}, func(chain.Past) error { count++; return nil }))
	if count != len(a.decided) {
		t.Errorf("%d past decisions, want %d", count, len(a.decided))
	}
	if _, err := a.chain.Explain(earliest(a).Leaf.Tx); err != nil {
		t.Errorf("explaining an archived decision: %v", err)
	}
}

// checkPruned: an audit of a pruned chain checks what is there and says what is not.
func checkPruned(t *testing.T, a *archived, dir string) {
	count := 0
	found, err := chain.ReplayArchived(t.Context(), dir, a.Keys, archiving.NewReader(a.store, a.Keys).Archived(), func(chain.Decided) error { count++; return nil })
	must(t, err)
	if len(found.Problems) > 0 || found.Pruned < 1 || count != len(a.decided) || found.Checkpoints == 0 {
		t.Errorf("audit of a pruned chain: %+v, %d decisions", found, count)
	}
}

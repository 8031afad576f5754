package archiving_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// BenchmarkDisk prints what a chain takes on disk under load, with everything kept
// on the node, and archived, pruned and forgotten, at every quarter of the load
// (R10.1). Every receipt given is verified at the end.
func BenchmarkDisk(b *testing.B) {
	for _, c := range []struct {
		name string
		keep int64
	}{{"no archive", 0}, {"archived, 20 blocks kept", 20}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				load(b, c.keep)
			}
		})
	}
}

func load(b *testing.B, keep int64) {
	const rounds = 16
	dir := b.TempDir()
	a, _ := newPruned(b, dir, keep)
	a.payload = 8 << 10 // so that the stores have something to compact
	for i := range rounds {
		a.fill(b, segment.Width)
		must(b, a.anchor(b, a.decided[len(a.decided)-segment.Width:]...))
		if keep > 0 {
			must(b, a.schedule().Once(b.Context()))
		}
		if i%4 == 3 {
			blocks, states, log, decisions := sizes(b, dir)
			b.Logf("%5d decisions, %5d blocks (from %d): blocks %6.2f MB, states %5.2f MB, log %5.2f MB; decisions %5.2f MB, archive %5.2f MB",
				len(a.decided), a.chain.Height(), a.chain.Base(), mb(blocks), mb(states), mb(log), mb(decisions), mb(total(b, a.dir)))
		}
	}
	start := time.Now()
	for _, file := range a.given {
		_, err := receipt.Verify(file, a.Keys, chaintest.Chain)
		must(b, err)
	}
	b.Logf("%d receipts verified in %v", len(a.given), time.Since(start).Round(time.Millisecond))
	past := 0
	must(b, a.chain.Past(b.Context(), time.Time{}, time.Time{}, func(chain.Past) error { past++; return nil }))
	if past != len(a.decided) {
		b.Errorf("%d decisions can be read with their submissions, want %d", past, len(a.decided))
	}
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// total is what all files of a folder take, in bytes.
func total(t testing.TB, dir string) (sum int64) {
	t.Helper()
	walk(t, dir, func(_ string, size int64) { sum += size })
	return sum
}

// sizes are what files of a chain's node take, in bytes.
func sizes(t testing.TB, dir string) (blocks, states, log, decisions int64) {
	t.Helper()
	walk(t, dir, func(path string, size int64) {
		switch {
		case strings.Contains(path, "blockstore.db"):
			blocks += size
		case strings.Contains(path, "state.db"):
			states += size
		case strings.Contains(path, "cs.wal"):
			log += size
		case strings.Contains(path, "decisions.db"):
			decisions += size
		}
	})
	return blocks, states, log, decisions
}

func walk(t testing.TB, dir string, fn func(path string, size int64)) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // gone meanwhile
		}
		if info, err := e.Info(); err == nil {
			fn(path, info.Size())
		}
		return nil
	}))
}

// BenchmarkState prints what a decision leaves in the chain's state, before it is
// archived and after (R10.1): keys and values, without what the store adds, and apart
// from it what flows that go on and records' numbers take.
func BenchmarkState(b *testing.B) {
	for range b.N {
		dir := b.TempDir()
		a, stop := newPruned(b, dir, 20)
		a.fill(b, 2*segment.Width)
		must(b, a.anchor(b, a.decided...))
		stop()
		a.logState(b, dir, "before")
		a.chain, stop = a.OpenArchived(b, dir, nil, 20)
		must(b, a.schedule().Once(b.Context()))
		for range 2 {
			a.fill(b, 1)
		}
		stop()
		a.logState(b, dir, "after")
	}
}

func (a *archived) logState(b *testing.B, dir, when string) {
	b.Helper()
	db, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	must(b, err)
	defer db.Close()
	var all, going int
	must(b, comet.Scan(db, nil, func(key, value []byte) error {
		switch k := string(key); {
		case strings.HasPrefix(k, "s/genesis"), strings.HasPrefix(k, "s/contract/bundle"): // once
		case strings.HasPrefix(k, "s/contract/"):
			going += len(key) + len(value)
		default:
			all += len(key) + len(value)
		}
		return nil
	}))
	n := len(a.decided)
	b.Logf("%s: %d decisions, %d bytes each, and %d for a flow that goes on and its record", when, n, all/n, going/n)
}

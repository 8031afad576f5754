package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
)

// filled leaves a stopped ledger with n records and returns its directory and
// what it held, in order.
func filled(t *testing.T, n int) (string, []ledger.Stored) {
	t.Helper()
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	dir := t.TempDir()
	l, stop := start(t, Config{Dir: dir, Genesis: testGenesis(a)})
	for _, rec := range a.Records(t, n, 400) { // one after the other: a block each
		if _, err := l.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	var all []ledger.Stored
	for s := range follow(t, l, n) {
		all = append(all, s)
	}
	stop()
	return dir, all
}

func putAll(t testing.TB, l *Ledger, recs []ledger.Record) {
	t.Helper()
	var wg sync.WaitGroup
	for _, rec := range recs {
		wg.Go(func() {
			if _, err := l.Put(t.Context(), rec); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
}

func follow(t testing.TB, l *Ledger, n int) func(func(ledger.Stored) bool) {
	return func(yield func(ledger.Stored) bool) {
		enough := errors.New("enough")
		err := l.Follow(t.Context(), 0, func(s ledger.Stored) error {
			if !yield(s) || s.Position == uint64(n) {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Errorf("follow: %v", err)
		}
	}
}

func TestReplay(t *testing.T) {
	const n = 50
	dir, want := filled(t, n)
	var got []ledger.Stored
	report, err := Replay(t.Context(), dir, func(s ledger.Stored, at time.Time) error {
		if time.Since(at) > time.Hour || at.IsZero() {
			t.Errorf("block time %v", at)
		}
		got = append(got, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replayed records differ (-stored +replayed):\n%s", diff)
	}
	if report.Records != n || report.Txs != n || len(report.Differences) != 0 || report.ChainID != ledgertest.Network {
		t.Errorf("report %+v, want %d records and no differences", report, n)
	}
	why := errors.New("why")
	if _, err := Replay(t.Context(), dir, func(ledger.Stored, time.Time) error { return why }); !errors.Is(err, why) {
		t.Errorf("replay: %v, want fn's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Replay(ctx, dir, func(ledger.Stored, time.Time) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("replay: %v, want the context's error", err)
	}
}

// Whatever is altered in the stored state is found and named.
func TestReplayFindsAlteredState(t *testing.T) {
	for name, c := range alterations() {
		t.Run(name, func(t *testing.T) {
			dir, all := filled(t, 9)
			kv, err := comet.OpenKV(stateDir(dir))
			must(t, err)
			c.alter(t, kv, all[4])
			must(t, kv.Close())
			report, err := Replay(t.Context(), dir, func(ledger.Stored, time.Time) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if found := strings.Join(report.Differences, "\n"); !strings.Contains(found, c.want(all[4])) {
				t.Errorf("found %q, want %q", found, c.want(all[4]))
			}
			if len(report.Differences) > 2 {
				t.Errorf("one change was reported %d times: %v", len(report.Differences), report.Differences)
			}
		})
	}
}

// alteration is a change of one record's state, and what is to be found of it.
type alteration struct {
	alter func(t *testing.T, kv comet.KV, s ledger.Stored)
	want  func(s ledger.Stored) string
}

func alterations() map[string]alteration {
	return map[string]alteration{
		"a byte of a record's value": {
			func(t *testing.T, kv comet.KV, s ledger.Stored) { flip(t, kv, recordKey(s.Key), 40) },
			func(s ledger.Stored) string {
				return fmt.Sprintf("altered: record of flow %s, transaction %s, step register, position %d", s.Key.Flow, s.Key.Tx, s.Position)
			},
		},
		"the last byte of a record": {
			func(t *testing.T, kv comet.KV, s ledger.Stored) { flip(t, kv, recordKey(s.Key), -1) },
			func(s ledger.Stored) string { return "altered: record of flow " + s.Key.Flow.String() },
		},
		"a record taken away": {
			func(t *testing.T, kv comet.KV, s ledger.Stored) { must(t, kv.DeleteSync(recordKey(s.Key))) },
			func(s ledger.Stored) string { return "missing: record of flow " + s.Key.Flow.String() },
		},
		"a record slipped in": {
			func(t *testing.T, kv comet.KV, s ledger.Stored) {
				k := s.Key
				k.Tx[31] ^= 1
				raw, err := kv.Get(recordKey(s.Key))
				must(t, err)
				must(t, kv.SetSync(recordKey(k), raw))
			},
			func(s ledger.Stored) string { return "not from any block: record of flow " + s.Key.Flow.String() },
		},
		"the order of records": {
			func(t *testing.T, kv comet.KV, s ledger.Stored) { flip(t, kv, positionKey(s.Position), 0) },
			func(s ledger.Stored) string { return fmt.Sprintf("altered: index of position %d", s.Position) },
		},
		"an unknown entry": {
			func(t *testing.T, kv comet.KV, _ ledger.Stored) { must(t, kv.SetSync([]byte("zz"), []byte("x"))) },
			func(ledger.Stored) string { return "not from any block: entry 7a7a" },
		},
		"the genesis": {
			func(t *testing.T, kv comet.KV, _ ledger.Stored) { flip(t, kv, []byte(genesisKey), 20) },
			func(ledger.Stored) string { return "altered: the genesis" },
		},
		"the state's height made unreadable": {
			func(t *testing.T, kv comet.KV, _ ledger.Stored) { must(t, kv.SetSync([]byte(metaKey), []byte("x"))) },
			func(ledger.Stored) string { return "altered: height" },
		},
	}
}

// A state without its height, or with nothing in it, is not taken for a new one.
func TestReplayFindsLostState(t *testing.T) {
	for _, wipe := range []string{metaKey, ""} {
		dir, all := filled(t, 3)
		kv, err := comet.OpenKV(stateDir(dir))
		must(t, err)
		must(t, comet.Scan(kv, []byte(wipe), func(k, _ []byte) error { return kv.Delete(k) }))
		must(t, kv.Close())
		report, err := Replay(t.Context(), dir, func(ledger.Stored, time.Time) error { return nil })
		must(t, err)
		found := strings.Join(report.Differences, "\n")
		if !strings.Contains(found, "the stored state is of block 0") {
			t.Errorf("found %q, want the lost height", found)
		}
		if gone := strings.Contains(found, "missing: record of flow "+all[1].Key.Flow.String()); gone != (wipe == "") {
			t.Errorf("found %q", found)
		}
	}
}

// A crash between a block and its execution leaves the state one block behind. That is
// no inconsistency, and the next start makes up for it.
func TestStateBehindChain(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	c := Config{Dir: t.TempDir(), Genesis: testGenesis(a)}
	recs := a.Records(t, 2, 100)
	l, stop := start(t, c)
	putAll(t, l, recs)
	stop()
	back(t, c.Dir)

	report, err := Replay(t.Context(), c.Dir, func(ledger.Stored, time.Time) error { return nil })
	must(t, err)
	if len(report.Differences) != 0 || report.Records != 2 {
		t.Errorf("report %+v, want 2 records and no differences", report)
	}
	l, stop = start(t, c)
	for _, rec := range recs {
		if _, err := l.Put(t.Context(), rec); err != nil {
			t.Error(err)
		}
	}
	for s := range follow(t, l, 2) {
		if s.Position > 2 {
			t.Error("a record was stored twice")
		}
	}
	stop()
	report, err = Replay(t.Context(), c.Dir, func(ledger.Stored, time.Time) error { return nil })
	must(t, err)
	if len(report.Differences) != 0 || report.Records != 2 {
		t.Errorf("report after the restart %+v, want 2 records and no differences", report)
	}
}

// back takes the state of a stopped ledger one block back.
func back(t *testing.T, dir string) {
	t.Helper()
	b, err := comet.OpenBlocks(nodeDir(dir))
	must(t, err)
	defer b.Close()
	kv := comet.NewMemKV()
	app, err := newContract(kv, time.Now, Genesis{})
	must(t, err)
	end := errors.New("end")
	_, err = b.Replay(t.Context(), app, func(s comet.Stored, _ []comet.Result) error {
		if s.Height == b.Height()-1 {
			return end
		}
		return nil
	})
	if !errors.Is(err, end) {
		t.Fatalf("replay: %v", err)
	}
	must(t, os.RemoveAll(stateDir(dir)+".db"))
	disk, err := comet.OpenKV(stateDir(dir))
	must(t, err)
	must(t, comet.Scan(kv, nil, disk.Set))
	must(t, disk.Close())
}

func flip(t *testing.T, kv comet.KV, key []byte, at int) {
	t.Helper()
	raw, err := kv.Get(key)
	must(t, err)
	if at < 0 {
		at += len(raw)
	}
	raw = append([]byte(nil), raw...)
	raw[at] ^= 1
	must(t, kv.SetSync(key, raw))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

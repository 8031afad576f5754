package plain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// numbered gives endlessly many records of one sample.
func numbered(t testing.TB, name string) func(int) []byte {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(s samples.Sample) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no sample %s", name)
	}
	return func(i int) []byte {
		return bytes.Replace(all[at].Data, []byte(`"number": "`), fmt.Appendf(nil, `"number": "B%08d-`, i), 1)
	}
}

func open(t testing.TB) *platform {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "platform.db"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := openChain(t.Context(), filepath.Join(dir, "chain"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	p, err := prescription.New(prescription.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &platform{
		store: db, events: event.NewLog(db), profile: p, chain: c,
		pay: payment.NewSandbox(db, "http://127.0.0.1", time.Now), ended: func(time.Duration) {},
	}
}

// A flow goes from registration to delivery: five records on the chain, all steps
// done in the database, and the flow delivered. Both where the subject pays and
// where insurance bears everything.
func TestPlay(t *testing.T) {
	for _, name := range []string{"visitor-influenza-self-paid", "hypertension-chronic"} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			if err := p.play(t.Context(), numbered(t, name)(1)); err != nil {
				t.Fatal(err)
			}
			if n := p.chain.at.Count; n != 5 {
				t.Errorf("%d records, want 5", n)
			}
			var ref, state string
			if err := store.Get(t.Context(), p.store.DB(), "SELECT ref, state FROM flows WHERE seq = ?", []any{1}, &ref, &state); err != nil || state != string(flow.Delivered) {
				t.Fatalf("the flow is %q, %v", state, err)
			}
			steps, err := outbox.OfFlows(t.Context(), p.store.DB(), ref)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []flow.Step
			for _, s := range steps {
				kinds = append(kinds, s.Step)
				if s.State != outbox.Done || (s.BusinessTx == "") != (s.Step == flow.ReviewRequest) {
					t.Errorf("%s is %s, on the chain %q", s.Step, s.State, s.BusinessTx)
				}
			}
			if !slices.Equal(kinds, flow.Steps()[1:]) {
				t.Errorf("steps %v", kinds)
			}
			for table, want := range map[string]int{"outbox_sealed": 0, "reviews": 1, "orders": 1, "payments": 1} {
				var n int
				if err := store.Get(t.Context(), p.store.DB(), "SELECT count(*) FROM "+table+" WHERE ? = 1", []any{1}, &n); err != nil || n != want {
					t.Errorf("%s has %d rows, want %d, %v", table, n, want, err)
				}
			}
		})
	}
}

// The chain keeps one record under a key, and takes the same one again.
func TestChain(t *testing.T) {
	p := open(t)
	key := ledger.Key{Flow: flow.Hash{1}, Tx: flow.Hash{2}}
	first, err := p.chain.put(t.Context(), key, flow.Register, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.chain.put(t.Context(), key, flow.Register, []byte("a"))
	if err != nil || again != first {
		t.Errorf("the same record: %q, %v; want %q", again, err, first)
	}
	if _, err := p.chain.put(t.Context(), key, flow.Register, []byte("b")); err == nil {
		t.Error("another record is taken under the same key")
	}
	other := ledger.Key{Flow: flow.Hash{1}, Tx: flow.Hash{3}}
	if _, err := p.chain.put(t.Context(), other, "no step", []byte("a")); err == nil {
		t.Error("a record of no step is taken")
	}
	if _, err := p.chain.get(other); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a record that was refused: %v", err)
	}
}

// The order of steps is kept by the platform, in the transaction of the intent.
func TestOutOfOrder(t *testing.T) {
	p := open(t)
	f, err := p.register(t.Context(), numbered(t, "hypertension-chronic")(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.place(t.Context(), f); !errors.Is(err, flow.ErrOutOfOrder) {
		t.Errorf("an order without a review: %v", err)
	}
	if _, err := p.register(t.Context(), numbered(t, "hypertension-chronic")(1)); err == nil {
		t.Error("a record is registered twice")
	}
}

// R10.2
func TestRun(t *testing.T) {
	r, err := Run(t.Context(), Config{
		Dir: filepath.Join(t.TempDir(), "plain"), InFlight: 16, Duration: time.Second, Record: numbered(t, "visitor-influenza-self-paid"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps <= 0 || r.StepsPerSecond <= 0 || r.CPUPerStep <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("%+v", r)
	}
	t.Logf("%+v", r)
}

func TestRunEndsWithItsFirstError(t *testing.T) {
	same := numbered(t, "visitor-influenza-self-paid")(0)
	_, err := Run(t.Context(), Config{Dir: t.TempDir(), InFlight: 2, Duration: time.Hour, Record: func(int) []byte { return same }})
	if err == nil {
		t.Error("records that are all the same are played")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ended, Config{Dir: t.TempDir(), InFlight: 1, Duration: time.Hour, Record: numbered(t, "visitor-influenza-self-paid")}); err == nil {
		t.Error("an ended context is no error")
	}
}

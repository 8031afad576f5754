package embedded

import (
	"context"
	"errors"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
)

func genesisFor(s ledgertest.Setup) Genesis {
	return Genesis{Network: s.Network, Supervision: s.Chain, AuthorityKeys: s.Keys, Platforms: s.Platforms}
}

// testGenesis trusts the authority in the names of the suite.
func testGenesis(a *ledgertest.Authority) Genesis {
	return Genesis{Network: ledgertest.Network, Supervision: a.Origin, AuthorityKeys: a.Keys, Platforms: []string{ledgertest.Platform}}
}

// start opens and runs a ledger; the returned function ends it.
func start(t testing.TB, c Config) (*Ledger, func()) {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop := func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return l, stop
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, s ledgertest.Setup) ledgertest.Subject {
		c := Config{Dir: t.TempDir(), Genesis: genesisFor(s), Now: s.Now}
		l, stop := start(t, c)
		return ledgertest.Subject{
			Ledger: l,
			Reopen: func(t *testing.T) ledger.Ledger {
				stop()
				l, stop = start(t, c)
				return l
			},
			HoldsClock: true,
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	good := testGenesis(a)
	cases := map[string]func(*Genesis){
		"network":        func(g *Genesis) { g.Network = "not a name" },
		"supervision":    func(g *Genesis) { g.Supervision = "" },
		"no keys":        func(g *Genesis) { g.AuthorityKeys = "" },
		"bad keys":       func(g *Genesis) { g.AuthorityKeys = "x+y+z" },
		"no platforms":   func(g *Genesis) { g.Platforms = nil },
		"bad platform":   func(g *Genesis) { g.Platforms = []string{""} },
		"value too big":  func(g *Genesis) { g.MaxValue = 1 << 20 },
		"value negative": func(g *Genesis) { g.MaxValue = -1 },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			g := good
			spoil(&g)
			if l, err := Open(Config{Dir: t.TempDir(), Genesis: g}); err == nil {
				l.Close()
				t.Error("opened")
			}
		})
	}
	if _, err := Open(Config{Genesis: good}); err == nil {
		t.Error("opened without a directory")
	}
	if _, err := Open(Config{Dir: t.TempDir()}); err == nil {
		t.Error("a new chain opened without a genesis")
	}
}

func TestGenesisStays(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	c := Config{Dir: t.TempDir(), Genesis: testGenesis(a)}
	l, stop := start(t, c)
	if _, err := l.Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Fatal(err)
	}
	stop()

	other := c
	other.Genesis = testGenesis(ledgertest.NewAuthority(t, ledgertest.Chain))
	if l, err := Open(other); err == nil {
		l.Close()
		t.Error("opened with another authority's keys")
	}
	c.Genesis = Genesis{}
	l, _ = start(t, c)
	if got := l.Capabilities().Network; got != ledgertest.Network {
		t.Errorf("network %q after opening without a genesis, want %q", got, ledgertest.Network)
	}
	if _, err := l.Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Error(err)
	}
}

func TestInUse(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	c := Config{Dir: t.TempDir(), Genesis: testGenesis(a)}
	l, _ := start(t, c)
	<-l.Running()
	if _, err := Open(c); !errors.Is(err, comet.ErrInUse) {
		t.Errorf("open: %v, want ErrInUse", err)
	}
	if _, err := Replay(t.Context(), c.Dir, nil); !errors.Is(err, comet.ErrInUse) {
		t.Errorf("replay: %v, want ErrInUse", err)
	}
}

// A ledger that ends leaves the outcome unknown: that is never a refusal.
func TestEndIsNotRefusal(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	l, stop := start(t, Config{Dir: t.TempDir(), Genesis: testGenesis(a)})
	recs := a.Records(t, 200, 100)
	errs := make(chan error, len(recs))
	for _, rec := range recs {
		go func() {
			_, err := l.Put(t.Context(), rec)
			errs <- err
		}()
	}
	<-l.Running()
	time.Sleep(10 * time.Millisecond)
	stop()
	for range recs {
		if err := <-errs; errors.Is(err, ledger.ErrRefused) || errors.Is(err, ledger.ErrConflict) {
			t.Errorf("put on an ending ledger: %v", err)
		}
	}
	if _, err := l.Put(t.Context(), recs[0]); !errors.Is(err, ErrStopped) {
		t.Errorf("put after the end: %v, want ErrStopped", err)
	}
	if err := l.Follow(t.Context(), 1<<40, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("follow after the end: %v, want ErrStopped", err)
	}
}

package ledgertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

// Setup is what a chain under test is to be opened with.
type Setup struct {
	Network   string
	Chain     string // the supervision chain whose receipts count
	Keys      string // the authority's vkey lines
	Platforms []string
	Now       func() time.Time // the chain's clock, where it can be held
}

// Subject is a chain under test, new and empty.
type Subject struct {
	Ledger ledger.Ledger
	// Reopen ends the ledger and opens it again on the same data. Needed when
	// Capabilities().Durable.
	Reopen func(t *testing.T) ledger.Ledger
	// HoldsClock says that the chain judges expiry by Setup.Now. Without it,
	// expiry is tested against the real time alone.
	HoldsClock bool
}

// Open opens a new, empty chain and arranges for its end (t.Cleanup).
type Open func(t *testing.T, s Setup) Subject

// patience bounds every wait of the suite; only a broken ledger gets near it.
const patience = time.Minute

// Run runs the suite. Each test has a chain of its own.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"capabilities", capabilities},
		{"put and get", putAndGet},
		{"list in order", listInOrder},
		{"same record again", sameAgain},
		{"another record under the key", conflict},
		{"every recorded step", everyStep},
		{"many at once", manyAtOnce},
		{"one record from many at once", oneFromMany},
		{"follow", follow},
		{"follow ends", followEnds},
		{"caller keeps its bytes", callersBytes},
		{"size limit", sizeLimit},
		{"context", contextEnds},
		{"refusals", refusals},
		{"expiry", expiry},
		{"the authority's keys change", keysChange},
		{"restart", restart},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, newBench(t, open)) })
	}
}

// bench is one test's chain and authority.
type bench struct {
	Subject
	authority *Authority
	clock     *clock
}

func newBench(t *testing.T, open Open) *bench {
	t.Helper()
	b := &bench{authority: NewAuthority(t, Chain), clock: &clock{now: time.Now()}}
	b.Subject = open(t, Setup{
		Network: Network, Chain: Chain, Keys: b.authority.Keys,
		Platforms: []string{Platform, OtherPlatform}, Now: b.clock.Now,
	})
	return b
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// put stores rec, which must succeed.
func (b *bench) put(t *testing.T, rec ledger.Record) ledger.TxID {
	t.Helper()
	id, err := b.Ledger.Put(bounded(t), rec)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if id == "" {
		t.Fatal("put: empty transaction id")
	}
	return id
}

// get reads what must be there.
func (b *bench) get(t *testing.T, key ledger.Key) ledger.Stored {
	t.Helper()
	s, err := b.Ledger.Get(bounded(t), key)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return s
}

// list reads a flow's records.
func (b *bench) list(t *testing.T, id flow.Hash) []ledger.Stored {
	t.Helper()
	all, err := b.Ledger.List(bounded(t), id)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return all
}

var errEnough = errors.New("seen enough")

// followed reads n records after position from.
func (b *bench) followed(t *testing.T, from uint64, n int) []ledger.Stored {
	t.Helper()
	var all []ledger.Stored
	err := b.Ledger.Follow(bounded(t), from, func(s ledger.Stored) error {
		all = append(all, s)
		if len(all) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("follow: %v after %d of %d records", err, len(all), n)
	}
	return all
}

// stands checks that exactly rec is stored, and where.
func (b *bench) stands(t *testing.T, rec ledger.Record, id ledger.TxID) {
	t.Helper()
	s := b.get(t, rec.Key)
	if diff := cmp.Diff(rec, s.Record); diff != "" {
		t.Errorf("stored record differs (-put +got):\n%s", diff)
	}
	if s.TxID != id {
		t.Errorf("stored under transaction %q, put returned %q", s.TxID, id)
	}
	if s.Position == 0 {
		t.Error("position 0: positions count from 1")
	}
	if blocks := b.Ledger.Capabilities().Blocks; blocks == (s.Height == 0) {
		t.Errorf("height %d on a ledger with blocks: %v", s.Height, blocks)
	}
}

// absent checks that nothing is stored under key.
func (b *bench) absent(t *testing.T, key ledger.Key) {
	t.Helper()
	if _, err := b.Ledger.Get(bounded(t), key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
}

package comet

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

// A block's time is the proposer's clock at that moment, even after an idle
// night: CometBFT alone would give the evening before, and R2.3's date with it.
func TestBlockTimeAfterIdleNight(t *testing.T) {
	clock := &fakeClock{now: time.Date(2020, 1, 1, 18, 0, 0, 0, time.UTC)}
	n, app, _ := open(t, t.TempDir(), func(c *Config) { c.Now = clock.Now })
	for i, at := range []time.Time{
		time.Date(2020, 1, 1, 18, 0, 0, 0, time.UTC),
		time.Date(2020, 1, 2, 8, 0, 0, 0, time.UTC),
	} {
		clock.set(at)
		if _, err := app.put(t.Context(), n, fmt.Sprint("tx", i)); err != nil {
			t.Fatal(err)
		}
		if got := app.times[len(app.times)-1]; !got.Equal(at) {
			t.Errorf("block time %v, want the clock's %v", got, at)
		}
	}
}

// A clock that is set back makes no block go back, also across a restart, and
// stops nothing.
func TestClockSetBack(t *testing.T) {
	clock := &fakeClock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	var times []time.Time
	for round := range 2 {
		n, app, shut := open(t, dir, func(c *Config) { c.Now = clock.Now })
		for i := range 4 {
			if _, err := app.put(t.Context(), n, fmt.Sprint("tx", round, i)); err != nil {
				t.Fatal(err)
			}
			clock.set(clock.Now().Add(-time.Hour))
		}
		shut()
		times = append(times, app.times...)
	}
	for i := range times[1:] {
		if !times[i+1].After(times[i]) {
			t.Errorf("block times go back: %v", times)
		}
	}
	b, err := OpenBlocks(filepath.Join(dir, "node"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Verify(t.Context(), func(Stored) error { return nil }); err != nil {
		t.Error(err)
	}
}

// A machine whose clock is set back by hours goes on making blocks.
func TestMachineClockSetBack(t *testing.T) {
	// CometBFT reads the machine's clock itself; a genesis of tomorrow is to it
	// what a clock is that was set back by a day.
	tomorrow := time.Now().Add(24 * time.Hour)
	n, app, _ := open(t, t.TempDir(), func(c *Config) { c.GenesisTime = tomorrow })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := app.put(ctx, n, "tx"); err != nil {
		t.Fatal(err)
	}
}

func TestProposalsWithBadClock(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	last := now.Add(-time.Hour)
	tx := []byte("tx")
	cases := []struct {
		name string
		txs  [][]byte
		want bool
	}{
		{"empty block", nil, true},
		{"on time", [][]byte{clockTx(now), tx}, true},
		{"late, as in a replay", [][]byte{clockTx(last.Add(time.Second)), tx}, true},
		{"a little ahead", [][]byte{clockTx(now.Add(clockTolerance)), tx}, true},
		{"too far ahead", [][]byte{clockTx(now.Add(clockTolerance + 1)), tx}, false},
		{"not after the last block", [][]byte{clockTx(last), tx}, false},
		{"no clock", [][]byte{tx}, false},
		{"no clock, but its length", [][]byte{append([]byte("x"), clockTx(now)[1:]...), tx}, false},
		{"clock not first", [][]byte{tx, clockTx(now)}, false},
		{"two clocks", [][]byte{clockTx(now), clockTx(now), tx}, false},
		{"clock cut short", [][]byte{clockTx(now)[:10], tx}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &abciApp{now: func() time.Time { return now }, last: last}
			r, err := a.ProcessProposal(context.Background(), &abci.RequestProcessProposal{Txs: c.txs})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Status == abci.ResponseProcessProposal_ACCEPT; got != c.want {
				t.Errorf("accepted: %v, want %v", got, c.want)
			}
		})
	}
}

// surely is an application that knows what time has passed.
type surely struct {
	Application
	floor time.Time
}

func (s surely) ClockFloor() time.Time { return s.floor }

// A chain whose time is ahead of all clocks by more than clockTolerance comes back
// to theirs, or to the floor where that is later; otherwise, and without a floor,
// its time never goes back.
func TestTimeComesBack(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name             string
		last, floor, min time.Time // min: nothing may be dated at it or before
	}{
		{"far ahead", now.Add(36 * time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)},
		{"far ahead, as the floor is", now.Add(36 * time.Hour), now.Add(35 * time.Hour), now.Add(35 * time.Hour)},
		{"a little ahead", now.Add(clockTolerance), now.Add(-time.Hour), now.Add(clockTolerance)},
		{"behind", now.Add(-time.Hour), now.Add(-2 * time.Hour), now.Add(-time.Hour)},
		{"behind its floor", now.Add(-time.Hour), now.Add(time.Second), now.Add(-time.Hour)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &abciApp{now: func() time.Time { return now }, last: c.last, app: surely{floor: c.floor}}
			accepts := func(at time.Time) bool {
				r, err := a.ProcessProposal(context.Background(), &abci.RequestProcessProposal{Txs: [][]byte{clockTx(at), []byte("tx")}})
				return err == nil && r.Status == abci.ResponseProcessProposal_ACCEPT
			}
			if accepts(c.min) || !accepts(c.min.Add(time.Millisecond)) {
				t.Errorf("%s: %t, a moment later: %t", c.min, accepts(c.min), accepts(c.min.Add(time.Millisecond)))
			}
			p, err := a.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{Txs: [][]byte{[]byte("tx")}, MaxTxBytes: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if at, _, err := splitClock(p.Txs); err != nil || !accepts(at) {
				t.Errorf("its own proposal of %s is not accepted, %v", at, err)
			}
		})
	}
}

func TestProposalLeavesRoomForClock(t *testing.T) {
	a := &abciApp{now: time.Now}
	tx := make([]byte, 100)
	limit := 3 * protoSize(tx) // what the mempool fills to the brim
	r, err := a.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{Txs: [][]byte{tx, tx, tx}, MaxTxBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, tx := range r.Txs {
		size += protoSize(tx)
	}
	if len(r.Txs) != 3 || !isClock(r.Txs[0]) || size > limit {
		t.Errorf("%d transactions of %d bytes in all, want the clock and two within %d", len(r.Txs), size, limit)
	}
}

type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

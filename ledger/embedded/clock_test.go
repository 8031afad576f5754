package embedded

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// A chain whose clock ran ahead by days takes decisions for expired meanwhile,
// and takes them when its clock is right again. Nothing that had expired before
// its newest decision counts anew, however far the clock goes back (R1.7, R3.4).
func TestClockComesBack(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	begun := time.Now()
	var ahead atomic.Int64
	c := Config{Dir: t.TempDir(), Genesis: testGenesis(a), Now: func() time.Time { return begun.Add(time.Duration(ahead.Load())) }}
	l, stop := start(t, c)
	decided := func(value string, issued, expires time.Duration) ledger.Record {
		return a.Record(t, flow.Order, []byte(value), func(l *receipt.Leaf) {
			l.Issued, l.Expires = begun.Add(issued).Unix(), begun.Add(expires).Unix()
		})
	}
	put := func(value string, issued, expires time.Duration) error {
		_, err := l.Put(t.Context(), decided(value, issued, expires))
		return err
	}

	ahead.Store(int64(72 * time.Hour))
	if err := put("never expires", 0, 1000*time.Hour); err != nil {
		t.Fatal(err) // it dates the chain three days ahead
	}
	if err := put("of today", 0, 5*time.Hour); !errors.Is(err, ledger.ErrExpired) || !errors.Is(err, ledger.ErrRefused) {
		t.Errorf("to a clock that is ahead: %v, want ErrExpired", err)
	}
	ahead.Store(0)
	if err := put("of today", 0, 5*time.Hour); err != nil {
		t.Errorf("the clock is right again: %v", err)
	}
	ahead.Store(int64(2 * time.Hour)) // as time goes by
	if err := put("decided later", 2*time.Hour, 5*time.Hour); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(-48 * time.Hour))
	if err := put("had expired by then", 0, 2*time.Hour-time.Minute); err == nil {
		t.Error("a clock that was set back made an expired decision count")
	}
	if err := put("has not", 0, 3*time.Hour); err != nil {
		t.Errorf("what had not expired by then: %v", err)
	}
	stop()
	r, err := Replay(t.Context(), c.Dir, func(ledger.Stored, time.Time) error { return nil })
	if err != nil || len(r.Differences) > 0 || r.Records != 4 {
		t.Errorf("replay: %+v, %v", r, err)
	}
}

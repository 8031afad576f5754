package platform_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger"
)

// strictLedger is a chain that stores an order and then, asked again, no longer
// says that it has it: its first answer gets lost, later ones are a refusal or a
// conflict. swap puts something else in the record's place.
type strictLedger struct {
	ledger.Ledger
	answer error
	swap   bool
	puts   int
}

func (l *strictLedger) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	if rec.Step != flow.Order {
		return l.Ledger.Put(ctx, rec)
	}
	l.puts++
	if l.puts == 1 {
		_, err := l.Ledger.Put(ctx, rec)
		return "", fmt.Errorf("the connection broke (%v)", err)
	}
	return "", fmt.Errorf("the receipt has expired: %w", l.answer)
}

func (l *strictLedger) Get(ctx context.Context, key ledger.Key) (ledger.Stored, error) {
	s, err := l.Ledger.Get(ctx, key)
	if l.swap && s.Step == flow.Order {
		s.Value = []byte("something else")
	}
	return s, err
}

// A record that stands is stored, whatever the chain says when asked again.
func TestStoredIsStored(t *testing.T) {
	for _, answer := range []error{ledger.ErrRefused, ledger.ErrConflict} {
		t.Run(answer.Error(), func(t *testing.T) {
			w := started(t, func(w *world) {
				w.chain = func(l ledger.Ledger) ledger.Ledger { return &strictLedger{Ledger: l, answer: answer} }
			})
			if o := w.await(w.intend(flow.Order), nil); o.State != outbox.Done || o.BusinessTx == "" {
				t.Errorf("order is %s, business transaction %q", o.State, o.BusinessTx)
			}
		})
	}
}

// Something else in the record's place is neither success nor an end: people
// have to look.
func TestSomethingElseStandsThere(t *testing.T) {
	w := started(t, func(w *world) {
		w.chain = func(l ledger.Ledger) ledger.Ledger {
			return &strictLedger{Ledger: l, answer: ledger.ErrConflict, swap: true}
		}
	})
	id := w.intend(flow.Order)
	eventually(t, "the problem is noted", func() bool {
		o, err := w.Outcome(w.ctx, id)
		return err == nil && o.State == outbox.Granted && o.Problem != "" && o.Attempts > 3
	})
}

// smallLedger takes small values only.
type smallLedger struct{ ledger.Ledger }

func (l smallLedger) Capabilities() ledger.Capabilities {
	c := l.Ledger.Capabilities()
	c.MaxValue = 100
	return c
}

// A record that could never be stored is not submitted.
func TestTooLargeIsNotSent(t *testing.T) {
	w := started(t, func(w *world) {
		w.chain = func(l ledger.Ledger) ledger.Ledger { return smallLedger{l} }
	})
	if _, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1)}); !errors.Is(err, outbox.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if n := w.authority.pushed(); n != 0 {
		t.Errorf("%d submissions were sent", n)
	}
}

// hangingLedger doesn't answer puts while it hangs.
type hangingLedger struct {
	ledger.Ledger
	hangs *atomic.Bool
	asked *atomic.Int64
}

func (l hangingLedger) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	l.asked.Add(1)
	if l.hangs.Load() {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return l.Ledger.Put(ctx, rec)
}

// A decision whose record takes long is written down, and then the authority is not
// asked for it again: not while the business chain hangs, nor after a restart.
func TestDecisionOutlivesASlowChain(t *testing.T) {
	hangs, asked := &atomic.Bool{}, &atomic.Int64{}
	hangs.Store(true)
	w := started(t, func(w *world) {
		w.pace.Resend, w.pace.Longest = 100*time.Millisecond, 100*time.Millisecond
		w.chain = func(l ledger.Ledger) ledger.Ledger { return hangingLedger{l, hangs, asked} }
	})
	r, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the decision is written down", func() bool {
		o, err := w.Outcome(t.Context(), r.Ref)
		return err == nil && o.State == outbox.Granted && o.Verdict == flow.Granted
	})
	pushes := w.authority.pushed()
	time.Sleep(500 * time.Millisecond)
	w.stop()
	hangs.Store(false)
	w.start()
	w.granted(r.Ref, nil)
	if n := w.authority.pushed(); n != pushes {
		t.Errorf("the authority was asked %d times more for what is decided", n-pushes)
	}
}

// A process that ends between a decision and its record asks for the decision again,
// and comes to the same end.
func TestDecisionInMemoryIsAskedForAgain(t *testing.T) {
	hangs, asked := &atomic.Bool{}, &atomic.Int64{}
	hangs.Store(true)
	w := started(t, func(w *world) {
		w.pace.Resend, w.pace.Longest = time.Hour, time.Hour
		w.chain = func(l ledger.Ledger) ledger.Ledger { return hangingLedger{l, hangs, asked} }
	})
	r, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is decided", func() bool { return asked.Load() > 0 })
	if o, err := w.Outcome(t.Context(), r.Ref); err != nil || o.State != outbox.Pending {
		t.Fatalf("before its record stands it is %s, %v", o.State, err)
	}
	w.stop()
	hangs.Store(false)
	w.start()
	if o := w.granted(r.Ref, nil); o.BusinessTx == "" {
		t.Error("the record does not stand")
	}
}

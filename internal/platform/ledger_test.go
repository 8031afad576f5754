package platform_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

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

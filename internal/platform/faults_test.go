package platform_test

import (
	"context"
	"errors"
	"sync"

	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/ledger"
)

// mode is what goes wrong at a call of a port.
type mode string

const (
	fails       mode = "fails"                            // nothing happens, an error comes back
	answerLost  mode = "succeeds but the answer is lost"  // it happens, an error comes back
	crashBefore mode = "the process dies before the call" // nothing happens, and nothing more
	crashAfter  mode = "the process dies after the call"  // it happens, and nothing more
)

var errInjected = errors.New("injected fault")

// faults injects one fault: in mode, at the call-th call (from 1) of the port
// method named site.
type faults struct {
	site  string
	call  int
	mode  mode
	crash func() // ends the platform's context

	mu     sync.Mutex // guards what follows
	counts map[string]int
	hit    bool
}

func (f *faults) at(ctx context.Context, site string, effect func() error) error {
	f.mu.Lock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[site]++
	now := site == f.site && f.counts[site] == f.call
	f.hit = f.hit || now
	f.mu.Unlock()
	if !now {
		return effect()
	}
	switch f.mode {
	case fails:
		return errInjected
	case answerLost:
		return errors.Join(errInjected, effect())
	case crashAfter:
		_ = effect()
	}
	f.crash()
	<-ctx.Done()
	return ctx.Err()
}

// faultyLedger injects faults into a ledger.
type faultyLedger struct {
	ledger.Ledger
	faults *faults
}

func (l faultyLedger) Put(ctx context.Context, rec ledger.Record) (id ledger.TxID, err error) {
	err = l.faults.at(ctx, "put", func() error {
		id, err = l.Ledger.Put(ctx, rec)
		return err
	})
	return id, err
}

func (l faultyLedger) Get(ctx context.Context, key ledger.Key) (s ledger.Stored, err error) {
	err = l.faults.at(ctx, "get", func() error {
		s, err = l.Ledger.Get(ctx, key)
		return err
	})
	return s, err
}

// faultyProvider injects faults into a payment provider.
type faultyProvider struct {
	payment.Provider
	faults *faults
}

func (p faultyProvider) Create(ctx context.Context, c payment.Charge) (l payment.Link, err error) {
	err = p.faults.at(ctx, "create", func() error {
		l, err = p.Provider.Create(ctx, c)
		return err
	})
	return l, err
}

func (p faultyProvider) Status(ctx context.Context, id string) (s payment.Status, err error) {
	err = p.faults.at(ctx, "status", func() error {
		s, err = p.Provider.Status(ctx, id)
		return err
	})
	return s, err
}

// Package memory is the reference implementation of the port ledger: everything
// a business chain must do, in one process's memory and without a chain. Tests and
// trials use it; nothing in it survives the process.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// Config describes a ledger.
type Config struct {
	Network   string           // the network id that receipts must name
	Chain     string           // the supervision chain whose receipts count
	Keys      receipt.Keys     // the authority's
	Platforms []string         // admitted to this network
	MaxValue  int              // largest value in bytes; 0 is 512 KiB
	Now       func() time.Time // nil is time.Now
}

const defaultMaxValue = 512 << 10

// Ledger keeps records in memory.
type Ledger struct {
	cfg Config

	mu      sync.RWMutex
	records []ledger.Stored    // guarded by mu; by position
	byKey   map[ledger.Key]int // guarded by mu; index into records
	changed chan struct{}      // guarded by mu; closed and replaced when records grow
	keys    receipt.Keys       // guarded by mu; the authority's, as records have handed them on
}

var _ ledger.Ledger = (*Ledger)(nil)

// New gives an empty ledger.
func New(c Config) (*Ledger, error) {
	if err := errors.Join(flow.CheckName("network", c.Network), flow.CheckName("chain", c.Chain)); err != nil {
		return nil, fmt.Errorf("memory ledger: %w", err)
	}
	c.MaxValue = cmp.Or(c.MaxValue, defaultMaxValue)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Ledger{cfg: c, byKey: make(map[ledger.Key]int), changed: make(chan struct{}), keys: c.Keys}, nil
}

// Put implements ledger.Ledger.
func (l *Ledger) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("putting record: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, taken := l.byKey[rec.Key]
	if taken {
		if have := l.records[at]; have.Step == rec.Step && bytes.Equal(have.Value, rec.Value) {
			return have.TxID, nil
		}
	}
	keys, err := l.admit(rec)
	if errors.Is(err, receipt.ErrExpired) {
		return "", fmt.Errorf("putting record: %w: %w", ledger.ErrExpired, err)
	}
	if err != nil {
		return "", fmt.Errorf("putting record: %w: %w", ledger.ErrRefused, err)
	}
	if taken {
		return "", fmt.Errorf("putting record of step %s: %w", rec.Step, ledger.ErrConflict)
	}
	s := ledger.Stored{
		Record:   rec,
		TxID:     ledger.TxID(flow.SumHash(rec.Key.Flow[:], rec.Key.Tx[:], []byte(rec.Step), rec.Value).String()),
		Position: uint64(len(l.records)) + 1,
	}
	l.byKey[rec.Key] = len(l.records)
	l.records, l.keys = append(l.records, clone(s)), keys
	close(l.changed)
	l.changed = make(chan struct{})
	return s.TxID, nil
}

// admit is the chain's own check of a record (R1.7). It gives the authority's keys
// with the hand-overs that the record's receipt carries. l.mu is held.
func (l *Ledger) admit(rec ledger.Record) (receipt.Keys, error) {
	if n := len(rec.Value); n == 0 || n > l.cfg.MaxValue {
		return l.keys, fmt.Errorf("value of %d bytes, want 1 to %d", n, l.cfg.MaxValue)
	}
	p, err := receipt.Verify(rec.Receipt, l.keys, l.cfg.Chain)
	if err != nil {
		return l.keys, err
	}
	err = receipt.Admits(p, receipt.Write{
		Network:   l.cfg.Network,
		Platforms: func(name string) bool { return slices.Contains(l.cfg.Platforms, name) },
		Flow:      rec.Key.Flow, Tx: rec.Key.Tx, Step: rec.Step, Value: rec.Value, Now: l.cfg.Now(),
	})
	if err != nil {
		return l.keys, err
	}
	return l.keys.Follow(p.Handovers...)
}

// Get implements ledger.Ledger.
func (l *Ledger) Get(ctx context.Context, key ledger.Key) (ledger.Stored, error) {
	if err := ctx.Err(); err != nil {
		return ledger.Stored{}, fmt.Errorf("getting record: %w", err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	at, ok := l.byKey[key]
	if !ok {
		return ledger.Stored{}, fmt.Errorf("getting record of flow %s: %w", key.Flow, ledger.ErrNotFound)
	}
	return clone(l.records[at]), nil
}

// List implements ledger.Ledger.
func (l *Ledger) List(ctx context.Context, id flow.Hash) ([]ledger.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listing flow: %w", err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []ledger.Stored
	for _, s := range l.records {
		if s.Key.Flow == id {
			out = append(out, clone(s))
		}
	}
	return out, nil
}

// Follow implements ledger.Ledger.
func (l *Ledger) Follow(ctx context.Context, from uint64, fn func(ledger.Stored) error) error {
	for {
		l.mu.RLock()
		changed, s, ok := l.changed, ledger.Stored{}, from < uint64(len(l.records))
		if ok {
			s = clone(l.records[from])
		}
		l.mu.RUnlock()
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("following: %w", err)
		}
		if ok {
			if err := fn(s); err != nil {
				return err
			}
			from++
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// Capabilities implements ledger.Ledger.
func (l *Ledger) Capabilities() ledger.Capabilities {
	return ledger.Capabilities{Name: "memory", Network: l.cfg.Network, MaxValue: l.cfg.MaxValue}
}

func clone(s ledger.Stored) ledger.Stored {
	s.Value, s.Receipt = bytes.Clone(s.Value), bytes.Clone(s.Receipt)
	return s
}

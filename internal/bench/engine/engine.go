// Package engine measures the engine under both chains by itself: transactions of
// a given size through internal/comet, a single validator, and an application that
// does nothing. What it takes is what consensus, mempool and block store take,
// fsyncs included; what the chains take beyond that is their own.
//
// The application keeps no state, so nothing of it is durable, and a node can't be
// opened again on the directory: it is for one measurement.
package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/internal/bench/loop"
	"signalbox.dev/signalbox/internal/comet"
)

// Config says how much goes through.
type Config struct {
	Dir      string        // empty or not there yet; on the disk that is to be measured
	Bytes    int           // of each transaction, at least 8
	InFlight int           // transactions under way at once
	Duration time.Duration // of what is measured; a tenth of it, at most 2 s, goes before
}

// Result is what went through.
type Result struct {
	PerSecond float64       // transactions
	CPU       time.Duration // of a transaction, in this process
}

// Run measures. An error is the node's, or ctx's.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.Bytes < numbered {
		return Result{}, fmt.Errorf("measuring the engine: transactions of %d bytes, want %d at least", c.Bytes, numbered)
	}
	app := &empty{}
	n, err := comet.New(comet.Config{Dir: c.Dir, ChainID: "engine", App: app})
	if err != nil {
		return Result{}, fmt.Errorf("measuring the engine: %w", err)
	}
	if err := n.Start(ctx); err != nil {
		return Result{}, fmt.Errorf("measuring the engine: %w", err)
	}
	body := make([]byte, c.Bytes)
	if _, err := rand.Read(body); err != nil {
		return Result{}, errors.Join(fmt.Errorf("measuring the engine: %w", err), n.Close())
	}
	var done atomic.Int64
	r, err := loop.Run(ctx, loop.Config{
		InFlight: c.InFlight, Warm: min(c.Duration/10, 2*time.Second), Measure: c.Duration,
		Done: done.Load,
		One: func(ctx context.Context, i int) error {
			tx := append([]byte(nil), body...)
			binary.BigEndian.PutUint64(tx, uint64(i))
			if err := app.put(ctx, n, tx); err != nil {
				return err
			}
			done.Add(1)
			return nil
		},
	})
	if err := errors.Join(err, n.Close()); err != nil {
		return Result{}, fmt.Errorf("measuring the engine: %w", err)
	}
	return Result{PerSecond: r.PerSecond(), CPU: r.CPUPer()}, nil
}

// numbered is how many bytes the number takes that makes each transaction another.
const numbered = 8

func number(tx []byte) uint64 {
	if len(tx) < numbered {
		return 0 // none of ours
	}
	return binary.BigEndian.Uint64(tx)
}

// empty is an application that takes every transaction and remembers nothing.
type empty struct {
	waiters comet.Waiters[uint64, struct{}]

	mu     sync.Mutex // guards at
	at     comet.Position
	staged []uint64 // between Finalize and Commit, which are called in turn
	height int64
}

// put submits a transaction and waits for its block.
func (e *empty) put(ctx context.Context, n *comet.Node, tx []byte) error {
	w := e.waiters.Register(number(tx))
	defer w.Cancel()
	_, err := comet.Await(ctx, n, tx, w)
	return err
}

// Last implements comet.Application.
func (e *empty) Last() (comet.Position, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at, nil
}

// Init implements comet.Application.
func (e *empty) Init(g comet.Genesis) ([]byte, error) {
	sum := sha256.Sum256([]byte(g.ChainID))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at.AppHash = sum[:]
	return sum[:], nil
}

// Check implements comet.Application.
func (*empty) Check([]byte) *comet.Refusal { return nil }

// Finalize implements comet.Application. The hash stays the same: there is no state.
func (e *empty) Finalize(b comet.Block) (comet.Outcome, error) {
	e.height, e.staged = b.Height, e.staged[:0]
	for _, tx := range b.Txs {
		e.staged = append(e.staged, number(tx))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return comet.Outcome{Results: make([]comet.Result, len(b.Txs)), AppHash: e.at.AppHash}, nil
}

// Commit implements comet.Application.
func (e *empty) Commit() error {
	e.mu.Lock()
	e.at.Height = e.height
	e.mu.Unlock()
	for _, k := range e.staged {
		e.waiters.Deliver(k, struct{}{})
	}
	return nil
}

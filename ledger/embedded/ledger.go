package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
)

// Config describes a chain's node.
type Config struct {
	Dir     string // the chain's own directory; made when it does not exist
	ChainID string // 1 to 50 characters; the default is the network's id

	// Genesis begins a new chain. For an existing one it must be the same, or zero.
	Genesis Genesis

	Logger *slog.Logger
	Now    func() time.Time // nil is time.Now
}

// ErrStopped says that the chain's node is not running.
var ErrStopped = comet.ErrStopped

// Ledger is a node of an embedded business chain.
type Ledger struct {
	contract *contract
	kv       comet.KV
	node     *comet.Node

	running chan struct{} // closed when the node takes transactions
	ended   chan struct{} // closed when it does no longer
	end     sync.Once
}

var _ ledger.Ledger = (*Ledger)(nil)

// Open opens or makes the chain's directory, and starts nothing: see Run. A
// directory in use is comet.ErrInUse.
func Open(c Config) (*Ledger, error) {
	if c.Dir == "" {
		return nil, errors.New("embedded ledger: Dir is empty")
	}
	if c.Genesis.Network != "" {
		if err := c.Genesis.Validate(); err != nil {
			return nil, fmt.Errorf("embedded ledger: %w", err)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	kv, err := comet.OpenKV(stateDir(c.Dir))
	if err != nil {
		return nil, fmt.Errorf("embedded ledger: %w", err)
	}
	l, err := open(c, kv)
	if err != nil {
		kv.Close()
		return nil, fmt.Errorf("embedded ledger in %s: %w", c.Dir, err)
	}
	return l, nil
}

func open(c Config, kv comet.KV) (*Ledger, error) {
	app, err := newContract(kv, c.Now, c.Genesis)
	if err != nil {
		return nil, err
	}
	g, begun := app.terms()
	if !begun && g.Network == "" {
		return nil, errors.New("a new chain needs a genesis")
	}
	state, err := json.Marshal(c.Genesis)
	if err != nil {
		return nil, fmt.Errorf("encoding genesis: %w", err)
	}
	if c.ChainID == "" {
		c.ChainID = g.Network
	}
	node, err := comet.New(comet.Config{
		Dir: nodeDir(c.Dir), ChainID: c.ChainID, App: app, Genesis: state,
		Logger: c.Logger, Now: c.Now, MaxTxBytes: flow.MaxMessage,
	})
	if err != nil {
		return nil, err
	}
	return &Ledger{contract: app, kv: kv, node: node, running: make(chan struct{}), ended: make(chan struct{})}, nil
}

func nodeDir(dir string) string  { return filepath.Join(dir, "node") }
func stateDir(dir string) string { return filepath.Join(dir, "state") }

// Run runs the chain's node until ctx ends or it fails, and closes the ledger. It
// returns nil when ctx ended it.
func (l *Ledger) Run(ctx context.Context) error {
	err := l.node.Start(ctx)
	switch {
	case err == nil:
		close(l.running)
		err = l.node.Run(ctx)
	case ctx.Err() != nil:
		err = nil // ended while it was starting
	}
	return errors.Join(err, l.Close())
}

// Running is closed once the node takes transactions.
func (l *Ledger) Running() <-chan struct{} { return l.running }

// Close releases the directory of a ledger whose Run was not called. Run does it itself.
func (l *Ledger) Close() error {
	var err error
	l.end.Do(func() {
		close(l.ended)
		err = errors.Join(l.node.Close(), l.kv.Close())
	})
	return err
}

// Put implements ledger.Ledger. Before Run has started the node it waits.
func (l *Ledger) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	if err := l.ready(ctx); err != nil {
		return "", fmt.Errorf("putting record: %w", err)
	}
	id, err := l.put(ctx, rec)
	if err != nil {
		return "", fmt.Errorf("putting record of step %s: %w", rec.Step, err)
	}
	return id, nil
}

func (l *Ledger) put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	if !rec.Step.Known() || len(rec.Value) > flow.MaxMessage || len(rec.Receipt) > flow.MaxMessage {
		return "", fmt.Errorf("%w: %w", ledger.ErrRefused, errMalformed)
	}
	tx, err := encodeRecord(rec)
	if err != nil {
		return "", err
	}
	hash := flow.SumHash(tx)
	w := l.contract.waiters.Register(hash) // before looking, so that no block is missed
	defer w.Cancel()
	have, err := readRecord(l.kv, rec.Key)
	switch {
	case err == nil && sameRecord(have, rec):
		return have.TxID, nil
	case err != nil && !errors.Is(err, ledger.ErrNotFound):
		return "", err
	}
	// Here, on the caller's goroutine, so that receipts are verified side by side;
	// mempool and block then find it proven.
	var r comet.Result
	if err = l.contract.judge(tx); err == nil {
		r, err = comet.Await(ctx, l.node, tx, w)
	}
	if no := (*comet.Refusal)(nil); errors.As(err, &no) {
		return "", refused(no.Code, no.Log)
	}
	if err != nil {
		return "", err
	}
	if r.Code != codeStored {
		return "", refused(r.Code, r.Log)
	}
	return ledger.TxID(r.Data), nil
}

// refused turns the contract's code into the port's error.
func refused(code uint32, why string) error {
	switch code {
	case codeConflict:
		return ledger.ErrConflict
	case codeExpired:
		return fmt.Errorf("%w: %s", ledger.ErrExpired, why)
	}
	return fmt.Errorf("%w: %s", ledger.ErrRefused, why)
}

// ready waits until the node runs.
func (l *Ledger) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.ended:
		return ErrStopped
	default:
	}
	select {
	case <-l.running:
		return nil
	case <-l.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Get implements ledger.Ledger.
func (l *Ledger) Get(ctx context.Context, key ledger.Key) (ledger.Stored, error) {
	err := ctx.Err()
	var s ledger.Stored
	if err == nil {
		s, err = readRecord(l.kv, key)
	}
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("getting record of flow %s: %w", key.Flow, err)
	}
	return s, nil
}

// List implements ledger.Ledger.
func (l *Ledger) List(ctx context.Context, id flow.Hash) ([]ledger.Stored, error) {
	err := ctx.Err()
	var all []ledger.Stored
	if err == nil {
		all, err = readFlow(l.kv, id)
	}
	if err != nil {
		return nil, fmt.Errorf("listing flow %s: %w", id, err)
	}
	return all, nil
}

// Follow implements ledger.Ledger. It ends with ErrStopped when the ledger does.
func (l *Ledger) Follow(ctx context.Context, from uint64, fn func(ledger.Stored) error) error {
	for {
		last, changed := l.contract.position()
		for ; from < last; from++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("following: %w", err)
			}
			s, err := readAt(l.kv, from+1)
			if err != nil {
				return fmt.Errorf("following: %w", err)
			}
			if err := fn(s); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("following: %w", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-l.ended:
			return fmt.Errorf("following: %w", ErrStopped)
		}
	}
}

// Capabilities implements ledger.Ledger.
func (l *Ledger) Capabilities() ledger.Capabilities {
	g, _ := l.contract.terms()
	return ledger.Capabilities{Name: "embedded", Network: g.Network, Durable: true, Blocks: true, MaxValue: g.maxValue()}
}

// Height is the chain's last block's; 0 while it is not running.
func (l *Ledger) Height() int64 { return l.node.Height() }

// Records is how many records stand on the chain: the position of the last one.
func (l *Ledger) Records() uint64 {
	n, _ := l.contract.position()
	return n
}

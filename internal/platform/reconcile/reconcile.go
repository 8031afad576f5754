package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// page is how much is compared in one go.
const page = 64

// Config says what a Reconciler works with.
type Config struct {
	Store    *store.Store
	Outbox   *outbox.Outbox
	Ledger   ledger.Ledger
	Sealer   *sealing.Sealer
	Platform string           // this platform's identity
	Clock    func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: none
	Pace     Pace
}

// Pace says how much and how often. The zero value is a sensible one.
type Pace struct {
	Gather   time.Duration // records of the business chain are compared together that come in this time; 0: 1 s
	Sweep    time.Duration // between two pages of 64 of the sweep; 0: 1 s
	Round    time.Duration // between the beginnings of two sweeps; 0: 1 h
	Recheck  time.Duration // between two looks at what is overdue and at open findings; 0: 10 s
	Overdue  time.Duration // how long an intent may be on its way, or a record without anchor; 0: 5 min
	Retry    time.Duration // after a failure of the business chain; 0: 2 s
	Findings int64         // the most that are kept; 0: 10,000
}

func (p Pace) withDefaults() Pace {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&p.Gather, time.Second},
		{&p.Sweep, time.Second},
		{&p.Round, time.Hour},
		{&p.Recheck, 10 * time.Second},
		{&p.Overdue, 5 * time.Minute},
		{&p.Retry, 2 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	if p.Findings <= 0 {
		p.Findings = maxFindings
	}
	return p
}

// Reconciler compares. Its methods are safe for concurrent use.
type Reconciler struct {
	cfg     Config
	dropped atomic.Int64
}

// New starts nothing; Run does.
func New(cfg Config) (*Reconciler, error) {
	if cfg.Store == nil || cfg.Outbox == nil || cfg.Ledger == nil || cfg.Sealer == nil || cfg.Platform == "" {
		return nil, errors.New("configuring the reconciler: store, outbox, ledger, sealer or platform is missing")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Pace = cfg.Pace.withDefaults()
	return &Reconciler{cfg: cfg}, nil
}

// Run compares until ctx ends, and returns its error. A business chain or a
// database that fails is tried again: the platform goes on without a reconciler.
func (r *Reconciler) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.again(ctx, "following the business chain", r.cfg.Pace.Retry, r.follow) })
	g.Go(func() error { return r.again(ctx, "sweeping over the database", r.cfg.Pace.Sweep, r.sweepIntents) })
	g.Go(func() error {
		return r.again(ctx, "sweeping over the business chain", r.cfg.Pace.Sweep, r.sweepRecords)
	})
	g.Go(func() error { return r.again(ctx, "looking at what is overdue", r.cfg.Pace.Recheck, r.look) })
	return g.Wait()
}

// again does one look after the other, with a pause between them.
func (r *Reconciler) again(ctx context.Context, doing string, pause time.Duration, look func(context.Context) error) error {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		if err := look(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn(doing, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// Stray takes a proven decision on a submission that the database knows nothing
// of: it has been restored from an older copy, say. It is for outbox.Stray.
func (r *Reconciler) Stray(ctx context.Context, l receipt.Leaf) error {
	f := row{Kind: UnknownDecision, Key: l.Tx.String(), Step: l.Step, Actual: l.Submission.String()}
	if !l.Flow.IsZero() {
		f.Flow = l.Flow.String()
	}
	return r.write(ctx, []row{f}, nil)
}

// get gives the record under key, or nil.
func (r *Reconciler) get(ctx context.Context, key ledger.Key) (*ledger.Stored, error) {
	s, err := r.cfg.Ledger.Get(ctx, key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the business chain: %w", err)
	}
	return &s, nil
}

// judge compares records of the business chain with what the database holds.
func (r *Reconciler) judge(ctx context.Context, records []ledger.Stored) ([]row, error) {
	txs := make([]flow.Hash, len(records))
	for i, s := range records {
		txs[i] = s.Key.Tx
	}
	kept, err := r.cfg.Outbox.Kept(ctx, txs)
	if err != nil {
		return nil, err
	}
	var list []row
	for _, s := range records {
		if k, ok := kept[s.Key.Tx]; ok {
			list = append(list, found(k, s.Key.Tx, compare(k, &s))...)
			continue
		}
		if f, ours := r.unknown(s); ours {
			list = append(list, f)
		}
	}
	return list, nil
}

// unknown judges a record that the database knows nothing of: it may well be
// another platform's.
func (r *Reconciler) unknown(s ledger.Stored) (row, bool) {
	f := row{Kind: UnknownRecord, Key: s.Key.Tx.String(), Flow: s.Key.Flow.String(), Step: s.Step, Actual: string(s.TxID)}
	l, err := receipt.Claimed(s.Receipt)
	if err == nil && l.Platform != r.cfg.Platform {
		return row{}, false
	}
	if err == nil {
		_, err = r.cfg.Sealer.Prove(s.Receipt)
	}
	if err != nil {
		f.Kind = UnprovenRecord
	}
	return f, true
}

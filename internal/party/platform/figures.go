package platform

import (
	"context"

	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

// Counter counts what an outbox has yet to do; a platform.Platform is one.
type Counter interface {
	Counts(ctx context.Context) (outbox.Counts, error)
}

// Comparer compares the platform's database with the business chain; a
// reconcile.Reconciler is one.
type Comparer interface {
	Counts(ctx context.Context) (reconcile.Counts, error)
}

// Differences are a platform's figures of that comparison.
func Differences(c Comparer) ops.Source {
	return ops.Source{Part: "reconciler", Read: func(ctx context.Context, emit ops.Emit) error {
		counts, err := c.Counts(ctx)
		if err != nil {
			return err
		}
		for kind, n := range counts.Open {
			emit(ops.ReconcileOpen, float64(n), string(kind))
		}
		emit(ops.ReconcileFollowed, float64(counts.Followed))
		return nil
	}}
}

// Figures are a platform's for operators.
func Figures(c Counter) ops.Source {
	return ops.Source{Part: "outbox", Read: func(ctx context.Context, emit ops.Emit) error {
		counts, err := c.Counts(ctx)
		if err != nil {
			return err
		}
		for state, standing := range counts.Steps {
			emit(ops.OutboxSteps, float64(standing.Steps), string(state))
			emit(ops.OutboxOldest, standing.Oldest.Seconds(), string(state))
		}
		emit(ops.OutboxUnanchored, float64(counts.Unanchored))
		return nil
	}}
}

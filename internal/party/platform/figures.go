package platform

import (
	"context"

	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// Counter counts what an outbox has yet to do; a platform.Platform is one.
type Counter interface {
	Counts(ctx context.Context) (outbox.Counts, error)
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

package authority

import (
	"context"

	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/witness"
)

// Feeding is how far witnesses are with the log, for operators.
func Feeding(f *witness.Feeder) ops.Source {
	return ops.Source{Part: "witnesses", Read: func(_ context.Context, emit ops.Emit) error {
		for _, s := range f.Standings() {
			emit(ops.FeedSize, float64(s.Size), s.Witness)
			emit(ops.FeedRefusals, float64(s.Refusals), s.Witness)
		}
		return nil
	}}
}

package archiving

import (
	"context"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/internal/chain"
)

// Schedule archives a running chain at intervals, and lets it prune what was
// archived. An archive that can't be reached delays both and stops nothing.
type Schedule struct {
	Writer
	Chain  *chain.Chain
	Every  time.Duration
	Keep   int64 // blocks that are never pruned, the newest; 0 keeps all
	Logger *slog.Logger
}

// Run archives at once and then at each interval, until ctx ends.
func (s Schedule) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		if err := s.Once(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error("archiving", "error", err, "again", s.Every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once archives what is whole now.
func (s Schedule) Once(ctx context.Context) error {
	last, err := s.Writer.Run(ctx, func(w Written) error {
		s.Logger.Info("archived", "segment", w.Segment, "from", w.From, "to", w.To, "bytes", w.Bytes)
		return nil
	})
	if err != nil {
		return err
	}
	if last != nil && s.Keep > 0 {
		s.Chain.Prune(min(last.Blocks, s.Chain.Height()-s.Keep))
	}
	return nil
}

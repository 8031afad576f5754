package archiving

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Schedule archives a running chain at intervals, destroys in the archive what
// officers ordered erased, and says on the chain how far it has come, so that its
// nodes may give up their copies. An archive that can't be reached delays all this and
// stops nothing.
type Schedule struct {
	Writer
	Chain *chain.Chain
	Every time.Duration
	// Announce brings on the chain what the archive has.
	Announce func(context.Context, chain.ArchivedTo) error
	Logger   *slog.Logger

	erased map[flow.Hash]bool // of which this run knows that they are
}

// Run archives at once and then at each interval, until ctx ends.
func (s *Schedule) Run(ctx context.Context) error {
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
func (s *Schedule) Once(ctx context.Context) error {
	last, err := s.Writer.Run(ctx, func(w Written) error {
		s.Logger.Info("archived", "segment", w.Segment, "from", w.From, "to", w.To, "bytes", w.Bytes)
		return nil
	})
	if err != nil {
		return err
	}
	if s.erased == nil {
		s.erased = map[flow.Hash]bool{}
	}
	erased, err := s.Erase(ctx, s.erased)
	if erased > 0 {
		s.Logger.Info("erased in the archive", "payloads", erased)
	}
	if err != nil || last == nil {
		return err
	}
	return s.announce(ctx, last)
}

// announce says on the chain what it has not been told yet, each segment by itself:
// which anchors stand with its decisions differs.
func (s *Schedule) announce(ctx context.Context, last *segment.Manifest) error {
	has, err := s.Chain.Archived()
	if err != nil {
		return err
	}
	news := []*segment.Manifest{}
	for m := last; m.To > has.Leaves; {
		news = append(news, m)
		if m.Number == 0 {
			break
		}
		if m, _, err = readManifest(ctx, s.Store, m.Number-1); err != nil {
			return err
		}
	}
	for _, m := range slices.Backward(news) {
		if err := s.Announce(ctx, chain.ArchivedTo{Leaves: m.To, Blocks: m.Blocks, Seen: m.Seen}); err != nil {
			return fmt.Errorf("saying on the chain that segment %d is archived: %w", m.Number, err)
		}
	}
	return nil
}

package fusion

import (
	"context"
	"time"

	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/ops"
)

// quarantine is the direction of what was set aside.
const quarantine = "quarantine"

// Figures are a node's for operators. One that does not run gives its standing
// orders alone.
func Figures(n *role.Node) ops.Source {
	return ops.Source{Part: "fusion node", Read: func(ctx context.Context, emit ops.Emit) error {
		h, err := n.Health(ctx)
		if err != nil {
			return err
		}
		for _, b := range h.Backlog {
			emit(ops.FusionBacklog, float64(b.Submissions), b.Platform, b.Business, "submissions")
			emit(ops.FusionBacklog, float64(b.Decisions), b.Platform, b.Business, "decisions")
			emit(ops.FusionBacklog, float64(b.Anchors), b.Platform, b.Business, "anchors")
		}
		for _, w := range h.Waiting {
			if w.Direction == quarantine {
				emit(ops.FusionQuarantined, float64(w.Messages), w.Platform)
				continue
			}
			emit(ops.FusionOldest, age(w.Oldest), w.Platform, w.Direction)
		}
		for _, s := range h.Orders.Paused {
			emit(ops.FusionPaused, 1, s.Platform, string(s.Step))
		}
		for _, platform := range h.Orders.Draining {
			emit(ops.FusionDraining, 1, platform)
		}
		emit(ops.FusionSetAside, float64(h.SetAside))
		return nil
	}}
}

// age is in seconds, by the clock that stamped what is stored.
func age(stored time.Time) float64 {
	if stored.IsZero() {
		return 0
	}
	return max(0, time.Since(stored).Seconds())
}

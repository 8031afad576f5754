package party

import (
	"fmt"
	"log/slog"
	"slices"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/ops"
)

// Server makes the operators' listener with the figures of the role's sources;
// nil where the configuration wants none. Its Run is a layer at the bottom of a
// role, so that operators see it start and stop.
func (o Ops) Server(version string, ready func() (ok bool, why string), log *slog.Logger, sources ...ops.Source) (*ops.Server, error) {
	if o.Listen == "" {
		return nil, nil
	}
	registry := ops.NewRegistry(version)
	if err := registry.Register(ops.Collect(sources...)); err != nil {
		return nil, fmt.Errorf("making the operators' listener: %w", err)
	}
	return ops.New(ops.Config{Listen: o.Listen, Ready: ready, Registry: registry, Profile: o.Profile, Logger: log})
}

// SeatFigures are those of the supervision chain's node with that identity, one of several.
func SeatFigures(c *chain.Chain, id string, emit ops.Emit) error {
	board, err := c.Committee()
	if err != nil {
		return fmt.Errorf("reading the committee: %w", err)
	}
	emit(ops.ChainPeers, float64(len(c.Connected())))
	members, seated := 0, 0
	for _, o := range board.Candidates {
		if o.Seated {
			members++
		}
	}
	if slices.ContainsFunc(board.Candidates, func(o committee.Candidate) bool { return o.ID == id && o.Seated }) {
		seated = 1
	}
	emit(ops.ChainMembers, float64(members))
	emit(ops.ChainSeated, float64(seated))
	return nil
}

// AloneAmong says why a node of the supervision chain can't follow it; nothing
// when it can, or is the only one.
func AloneAmong(c *chain.Chain, n *chain.Network) string {
	if n != nil && len(n.Peers) > 0 && len(c.Connected()) == 0 {
		return "connected to no other node of the supervision chain: none can be reached, or this one is not admitted"
	}
	return ""
}

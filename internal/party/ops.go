package party

import (
	"fmt"
	"log/slog"

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

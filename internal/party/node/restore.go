package node

import (
	"context"
	"log/slog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/snapshot"
)

// Restore lets a node that does not run go on from the snapshot of a height. fingerprint
// is what the operator was told; say is told how many chunks of how many are done.
func Restore(ctx context.Context, c *Config, from archive.Store, height int64, fingerprint flow.Hash, log *slog.Logger, say func(done, of int)) (snapshot.Manifest, error) {
	dir := party.Dir(c.Directory)
	if _, err := dir.ReadCard("node"); err != nil {
		return snapshot.Manifest{}, err
	}
	g, err := readGenesis(c, log)
	if err != nil {
		return snapshot.Manifest{}, err
	}
	return snapshot.Restore(ctx, from, height, fingerprint, ChainDir(dir), g.Chain, say)
}

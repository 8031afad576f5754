package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
)

// ChainDir is where the node's part of the chain is in its folder.
func ChainDir(dir party.Dir) string { return dir.Path("chain") }

// Open reads the node's folder and genesis, and wires the node.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	if _, err := dir.ReadCard("node"); err != nil {
		return nil, err
	}
	passphrase, err := party.Passphrase(c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	g, err := readGenesis(c, log)
	if err != nil {
		return nil, err
	}
	own, err := dir.OpenSite(ChainDir(dir), passphrase)
	if err != nil {
		return nil, err
	}
	network, err := g.Join(own, c.Listen, c.Peers)
	if err != nil {
		return nil, err
	}
	snapshots, release, err := c.Snapshots.Open(dir, log)
	if err != nil {
		return nil, err
	}
	node, err := chain.Open(chain.Config{
		Dir: ChainDir(dir), Genesis: g.Chain, Begun: g.Begun, Clock: clock, Network: network, Keep: int64(c.KeepBlocks),
		Snapshots: snapshots, Logger: log.With("part", "supervision chain"),
	})
	if err != nil {
		return nil, errors.Join(err, release())
	}
	log.Info("node", "id", own.ID, "network", own.Network, "chain", g.Chain.Contract.Chain, "fingerprint", own.Fingerprint())
	return &party.Process{
		Role:      "node",
		Layers:    []party.Layer{{Name: "supervision chain", Run: node.Run, Ready: node.Ready()}},
		Unready:   func() string { return party.AloneAmong(node, network) },
		Sources:   []ops.Source{Figures(node, own.ID)},
		Close:     release, // the chain closes itself when it has run
		Listening: func() map[string]string { return map[string]string{"node": c.Listen} },
	}, nil
}

// readGenesis reads genesis and compares it with what the operator was told.
func readGenesis(c *Config, log *slog.Logger) (party.Genesis, error) {
	g, err := party.ReadGenesis(c.Genesis)
	if err != nil {
		return g, err
	}
	is, err := g.Fingerprint()
	if err != nil {
		return g, err
	}
	if c.Fingerprint != "" && c.Fingerprint != is.String() {
		return g, fmt.Errorf("%s has the fingerprint %s, genesis_fingerprint is %s: it is not the authority's genesis", c.Genesis, is, c.Fingerprint)
	}
	log.Info("genesis", "chain", g.Chain.Contract.Chain, "genesis_fingerprint", is)
	return g, nil
}

// Figures are a node's for operators.
func Figures(c *chain.Chain, id string) ops.Source {
	return ops.Source{Part: "supervision chain", Read: func(_ context.Context, emit ops.Emit) error {
		emit(ops.ChainHeight, float64(c.Height()))
		emit(ops.ChainDecisions, float64(c.Size()))
		return party.SeatFigures(c, id, emit)
	}}
}

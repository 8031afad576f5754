package ledger

import (
	"fmt"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/ledger/remote"
)

// Open reads the business chain's folder and wires it as a process of its own.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	if _, err := dir.ReadCard(Role); err != nil {
		return nil, err
	}
	passphrase, err := party.Passphrase(c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	g, err := ReadGenesis(dir)
	if err != nil {
		return nil, err
	}
	key, err := party.LoadTransport(keyFile(dir), passphrase)
	if err != nil {
		return nil, err
	}
	p, err := New(Parts{Dir: ChainDir(dir), Genesis: g, Clock: clock, Logger: log})
	if err != nil {
		return nil, err
	}
	server := remote.ServerConfig{
		Ledger: p.Ledger, Key: key.Signer(), Logger: log.With("part", "ledger server"),
		Limits: remote.Limits{Drain: c.Drain / 2}, // the chain's own end needs its share
	}
	for _, q := range c.Platforms {
		pin, err := flow.ParseHash(q.Pin)
		if err != nil {
			return nil, err // Validate has seen to it
		}
		server.Peers = append(server.Peers, remote.Peer{Name: q.ID, Pin: pin, Platforms: []string{q.ID}})
	}
	s, err := remote.NewServer(server)
	if err != nil {
		return nil, closing(p, err)
	}
	l := party.NewListener("ledger server", c.Listen, s.Run)
	return &party.Process{
		Role: "ledger", Close: p.Close, Listening: func() map[string]string { return map[string]string{"ledger": l.Addr()} },
		Layers: append(p.Layers(), l.Layer()), Sources: []ops.Source{Figures(p.Ledger, s)},
	}, nil
}

func closing(p *Party, err error) error {
	if cerr := p.Close(); cerr != nil {
		return fmt.Errorf("%w; and closing the chain: %w", err, cerr)
	}
	return err
}

package platform

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/trial"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/sandbox"
	"signalbox.dev/signalbox/ledger/remote"
	"signalbox.dev/signalbox/profile/prescription"
)

// Open reads the platform's folder and wires it as a process of its own: the
// links to the fusion nodes, the platform upon them, and its API on top. It
// drains the other way round: requests in hand are answered, then the people,
// the outbox and the links end.
func Open(ctx context.Context, c *Config, version string, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	a, err := party.OpenAdmitted(dir, link.RolePlatform, c.PassphraseFile, c.Admission, clock, log)
	if err != nil {
		return nil, err
	}
	access, err := api.ReadAccess(c.API.Access)
	if err != nil {
		return nil, err
	}
	nodes, err := reach(c.Nodes, a, log)
	if err != nil {
		return nil, err
	}
	chain, err := dial(c, dir, a.Passphrase, log)
	if err != nil {
		return nil, err
	}
	p, err := wire(ctx, c, a, nodes, chain, clock, log)
	if err != nil {
		return nil, errors.Join(err, chain.Close())
	}
	server, err := api.New(api.Config{
		Platform: api.On(p.Platform), Keys: a.Trust.Log, Logger: log.With("part", "api"),
		Hosts: c.API.Hosts, Access: access, Version: version,
	})
	if err != nil {
		return nil, errors.Join(err, p.Close(), chain.Close())
	}
	up := nodes.Up()
	up["business chain"] = chain.Reachable
	l := party.NewListener("api", c.API.Listen, server.Run)
	return &party.Process{
		Role: "platform", Layers: append(append(nodes.Layers(), p.Layers()...), l.Layer()),
		Unready: func() string {
			if why := nodes.Unready(); why != "" || chain.Reachable() {
				return why
			}
			return "no link to the business chain"
		},
		Close:     func() error { return errors.Join(p.Close(), chain.Close()) },
		Sources:   []ops.Source{Figures(p.Platform), Differences(p.Platform.Reconcile), ops.Links(up)},
		Listening: func() map[string]string { return map[string]string{"api": l.Addr()} },
	}, nil
}

// reach makes the links to the fusion nodes.
func reach(nodes []Node, a party.Admitted, log *slog.Logger) (party.Nodes, error) {
	var all []fusion.RemoteConfig
	for _, n := range nodes {
		r := fusion.RemoteConfig{Name: n.Name, Addr: n.Address, Identity: a.Identity, Side: a.Card.ID, Logger: log.With("part", "link")}
		for _, b := range n.Businesses {
			r.Routes = append(r.Routes, fusion.Route{Platform: a.Card.ID, Business: b})
		}
		all = append(all, r)
	}
	return party.Reach(all...)
}

// dial makes the link to the business chain.
func dial(c *Config, dir party.Dir, passphrase []byte, log *slog.Logger) (*remote.Client, error) {
	key, err := party.LoadTransport(ledgerFile(dir), passphrase)
	if err != nil {
		return nil, err
	}
	pin, err := flow.ParseHash(c.Ledger.Pin)
	if err != nil {
		return nil, err // Validate has seen to it
	}
	return remote.Dial(remote.Config{
		Addr: c.Ledger.Address, Network: c.Network, Server: pin, Key: key.Signer(), Logger: log.With("part", "ledger link"),
	})
}

// wire puts the platform together.
func wire(ctx context.Context, c *Config, a party.Admitted, nodes party.Nodes, chain *remote.Client, clock func() time.Time, log *slog.Logger) (*Party, error) {
	dir := party.Dir(c.Directory)
	business, err := prescription.New(prescription.Config{})
	if err != nil {
		return nil, err
	}
	keys := &Keys{}
	if err := party.LoadKeys(a.Passphrase, keys.Slots(dir, networkFile(dir))); err != nil {
		return nil, err
	}
	parts := Parts{
		Database: dir.Path("platform.db"), ID: a.Card.ID, Chain: a.Trust.Chain, Network: c.Network, Suite: a.Suite, Keys: keys,
		Zone: a.Trust.Location(), Profile: business, Ledger: chain, Transport: nodes.Directory.Platform(a.Card.ID),
		BaseURL: c.API.BaseURL, Pace: outbox.Pace{Backlog: c.Backlog}, Clock: clock, Logger: log,
	}
	if parts.BaseURL == "" {
		parts.BaseURL = "http://" + c.API.Listen
	}
	if parts.Authority, err = a.Trust.SealingKey(); err != nil {
		return nil, err
	}
	if parts.Log, err = a.Trust.LogKeys(); err != nil {
		return nil, err
	}
	if parts.Producers, err = readProducers(c.Producers, a.Card.Suite); err != nil {
		return nil, err
	}
	if c.Trial {
		parts.Prices = trial.Prices{}
		if parts.People, err = people(dir, a, parts.Producers, clock()); err != nil {
			return nil, err
		}
	}
	return New(ctx, parts)
}

// readProducers reads whom orders are sealed to (R4.1).
func readProducers(list []Producer, suite string) (process.Fixed, error) {
	out := process.Fixed{}
	for i, p := range list {
		data, err := os.ReadFile(p.Key)
		if err != nil {
			return nil, fmt.Errorf("producers[%d].key: %w", i, err)
		}
		spki, err := publicKey(data)
		if err != nil {
			return nil, fmt.Errorf("producers[%d].key: %s: %w", i, p.Key, err)
		}
		key, err := envelope.ParsePublicKey(suite, envelope.Sealing, spki)
		if err != nil {
			return nil, fmt.Errorf("producers[%d].key: %s: %w", i, p.Key, err)
		}
		if _, twice := out[p.ID]; twice {
			return nil, fmt.Errorf("producers[%d].id: %s stands twice", i, p.ID)
		}
		out[p.ID] = process.Producer{Name: p.Name, Key: key}
	}
	return out, nil
}

// publicKey finds the sealing key in a request file, or in a PEM file of its own.
func publicKey(data []byte) ([]byte, error) {
	if r, err := envelope.ParseRequest(data); err == nil && r.Sealing != nil {
		return r.Sealing, nil
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("it is neither a request with a sealing key nor a PEM file of a public key")
	}
	return block.Bytes, nil
}

// people reads the built-in people of a platform on trial, and adds the
// producers among them to those that may be ordered from.
func people(dir party.Dir, a party.Admitted, producers process.Fixed, now time.Time) (*People, error) {
	out := &People{}
	for _, p := range trial.Of(a.Card.ID) {
		d := trialDir(dir, p.ID)
		var signing, sealing envelope.PrivateKey
		slots := []party.Slot{{Key: &signing, Use: envelope.Signing, File: d.SigningFile()}}
		if p.Role == contract.RoleProducer {
			slots = append(slots, party.Slot{Key: &sealing, Use: envelope.Sealing, File: d.SealingFile()})
		}
		if err := party.LoadKeys(a.Passphrase, slots); err != nil {
			return nil, fmt.Errorf("trial: made by signalbox init platform --trial: %w", err)
		}
		own, err := a.Admission.Of(p.ID, signing.Public(), now)
		if err != nil {
			return nil, fmt.Errorf("trial: %w", err)
		}
		if p.Role == contract.RoleProducer {
			out.Producers = append(out.Producers, sandbox.Producer{ID: p.ID, Key: sealing})
			producers[p.ID] = process.Producer{Name: p.Name, Key: sealing.Public()}
		} else {
			out.Reviewers = append(out.Reviewers, p.Reviewer(own.Signing))
		}
	}
	return out, nil
}

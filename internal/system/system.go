package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	authorityrole "signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/party/fusion"
	"signalbox.dev/signalbox/internal/party/ledger"
	"signalbox.dev/signalbox/internal/party/platform"
	"signalbox.dev/signalbox/internal/party/trial"
	platformrole "signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/sandbox"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/receipt"
)

// Config says how an all-in-one system runs.
type Config struct {
	Dir        string // the data directory; made when it is new
	Suite      string // "gm" or "intl"; empty: what Dir was founded with, or gm
	SubjectKey authorityrole.SubjectKeyMode
	BaseURL    string // of payment links
	Unattended bool   // nobody takes part: no sandbox participants
	Logger     *slog.Logger
	Clock      func() time.Time
}

// System is the running all-in-one. Make one with Open.
type System struct {
	Settings  Settings
	Platform  *platformrole.Platform
	Authority *authorityrole.Authority
	Chain     *chain.Chain
	Ledger    *embedded.Ledger
	Published string // the keys that the authority's log began with, vkey lines
	Keys      receipt.Keys

	layout    layout
	ring      *ring
	suite     envelope.Suite
	cfg       Config
	authority *authority.Party
	ledger    *ledger.Party
	node      *fusion.Party
	platform  *platform.Party
	ready     chan struct{}
}

// Open founds or reopens a data directory and prepares everything; nothing runs
// before Run.
func Open(ctx context.Context, cfg Config) (_ *System, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Suite == "" {
		cfg.Suite = "gm"
		if s, err := LoadSettings(cfg.Dir); err == nil {
			cfg.Suite = s.Suite
		}
	}
	settings, r, err := found(cfg.Dir, cfg.Suite, cfg.Clock())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", cfg.Dir, err)
	}
	s := &System{Settings: settings, layout: dataDir(cfg.Dir), ring: r, cfg: cfg, ready: make(chan struct{})}
	if s.suite, err = envelope.ByName(settings.Suite); err != nil {
		return nil, err
	}
	s.Published = r.authority.Published()
	if s.Keys, err = receipt.ParseKeys(s.Published); err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context) error{s.openAuthority, s.openLedger, s.openPlatform} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("opening %s: %w", cfg.Dir, err), s.Close())
		}
	}
	return s, nil
}

// openAuthority prepares the fusion node and the authority's half.
func (s *System) openAuthority(context.Context) error {
	g, err := genesis(s.Settings, s.ring)
	if err != nil {
		return err
	}
	p, err := prescription.New(prescription.Config{})
	if err != nil {
		return err
	}
	s.node, err = fusion.New(role.NodeConfig{
		Name: "fusion-1", Dir: s.layout.fusion(), Logger: s.cfg.Logger.With("part", "fusion node"),
		Routes: []role.Route{{Platform: s.Settings.Platform, Business: p.Business()}},
	})
	if err != nil {
		return err
	}
	directory, err := role.NewDirectory(s.node.Node)
	if err != nil {
		return err
	}
	s.authority, err = authority.New(authority.Parts{
		Dir: s.layout.authority(), Keys: s.ring.authority, Genesis: g, Begun: s.Settings.Begun,
		SubjectKey: s.cfg.SubjectKey, Register: trial.Licences{}, Profiles: []profile.Profile{p},
		Nodes: directory, Published: s.layout.Path("authority.pub"), Clock: s.cfg.Clock, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	s.Chain, s.Authority = s.authority.Chain, s.authority.Authority
	return nil
}

// openLedger prepares the business chain: its own directory, keys and genesis.
func (s *System) openLedger(context.Context) (err error) {
	s.ledger, err = ledger.New(ledger.Parts{
		Dir: s.layout.ledger(), Logger: s.cfg.Logger, Clock: s.cfg.Clock,
		Genesis: embedded.Genesis{
			Network: s.Settings.Network, Supervision: s.Settings.Chain, AuthorityKeys: s.Published, Platforms: []string{s.Settings.Platform},
		},
	})
	if err != nil {
		return err
	}
	s.Ledger = s.ledger.Ledger
	return nil
}

// openPlatform prepares the platform's half and the participants.
func (s *System) openPlatform(ctx context.Context) error {
	p, err := prescription.New(prescription.Config{})
	if err != nil {
		return err
	}
	directory, err := role.NewDirectory(s.node.Node)
	if err != nil {
		return err
	}
	s.platform, err = platform.New(ctx, platform.Parts{
		Database: s.layout.database(), ID: s.Settings.Platform, Chain: s.Settings.Chain, Network: s.Settings.Network,
		Suite: s.suite, Keys: &s.ring.platform, Authority: s.ring.authority.Sealing.Public(), Log: s.Keys,
		Zone: time.FixedZone(zoneName, zoneOffset), Profile: p, Ledger: s.Ledger,
		Transport: directory.Platform(s.Settings.Platform), Producers: s.producers(), Prices: trial.Prices{},
		BaseURL: s.cfg.BaseURL, People: s.people(), Clock: s.cfg.Clock, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	s.Platform = s.platform.Platform
	return nil
}

func (s *System) producers() process.Fixed {
	out := process.Fixed{}
	for _, p := range trial.People() {
		if p.Role == contract.RoleProducer {
			out[p.ID] = process.Producer{Name: p.Name, Key: s.ring.people[p.ID].sealing.Public()}
		}
	}
	return out
}

// people are the participants, each with its own keys.
func (s *System) people() *platform.People {
	if s.cfg.Unattended {
		return nil
	}
	out := &platform.People{}
	for _, p := range trial.People() {
		k := s.ring.people[p.ID]
		switch p.Role {
		case contract.RoleProducer:
			out.Producers = append(out.Producers, sandbox.Producer{ID: p.ID, Key: k.sealing})
		case contract.RoleReviewer:
			out.Reviewers = append(out.Reviewers, p.Reviewer(k.certificate))
		}
	}
	return out
}

// Close releases a system that was opened and is not to run.
func (s *System) Close() error {
	var err error
	if s.authority != nil {
		err = s.authority.Close()
	}
	if s.ledger != nil {
		err = errors.Join(err, s.ledger.Close())
	}
	if s.platform != nil {
		err = errors.Join(err, s.platform.Close())
	}
	return err
}

// Ready is closed when everything runs.
func (s *System) Ready() <-chan struct{} { return s.ready }

// Run runs everything until ctx ends or a part fails. It starts the business
// chain and the fusion node, then the authority's half, then the platform's,
// and stops them in the opposite order.
func (s *System) Run(ctx context.Context) error {
	defer s.platform.Close()
	layers := slices.Concat(s.ledger.Layers(), s.node.Layers(), s.authority.Layers(), s.platform.Layers())
	return party.Run(ctx, layers, func() { close(s.ready) })
}

// WriteReceipt stores a receipt below the data directory, as a file of its own,
// and gives its name.
func (s *System) WriteReceipt(tx flow.Hash, file []byte) (string, error) {
	name := filepath.Join(s.layout.receipts(), tx.String()+".tlog-proof")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", fmt.Errorf("writing a receipt: %w", err)
	}
	if err := os.WriteFile(name, file, 0o600); err != nil {
		return "", fmt.Errorf("writing a receipt: %w", err)
	}
	return name, nil
}

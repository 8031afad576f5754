package system

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/sandbox"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/receipt"
)

// Config says how an all-in-one system runs.
type Config struct {
	Dir        string // the data directory; made when it is new
	Suite      string // "gm" or "intl"; empty: what Dir was founded with, or gm
	SubjectKey authority.SubjectKeyMode
	BaseURL    string // of payment links
	Unattended bool   // nobody takes part: no sandbox participants
	Logger     *slog.Logger
	Clock      func() time.Time
}

// System is the running all-in-one. Make one with Open.
type System struct {
	Settings  Settings
	Platform  *platform.Platform
	Authority *authority.Authority
	Chain     *chain.Chain
	Ledger    *embedded.Ledger
	Published string // the authority's log keys, vkey lines
	Keys      receipt.Keys

	layout layout
	ring   *ring
	suite  envelope.Suite
	cfg    Config
	node   *fusion.Node
	people *sandbox.Sandbox
	store  *store.Store
	ready  chan struct{}
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
	s := &System{Settings: settings, layout: layout{cfg.Dir}, ring: r, cfg: cfg, ready: make(chan struct{})}
	if s.suite, err = envelope.ByName(settings.Suite); err != nil {
		return nil, err
	}
	s.Published = r.authority.published(s.suite)
	if s.Keys, err = receipt.ParseKeys(s.Published); err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context) error{s.openAuthority, s.openLedger, s.openPlatform, s.openPeople} {
		if err := open(ctx); err != nil {
			return nil, fmt.Errorf("opening %s: %w", cfg.Dir, err)
		}
	}
	return s, nil
}

func (s *System) profile() (profile.Profile, error) { return prescription.New(prescription.Config{}) }

// openAuthority prepares the authority's half and the fusion node.
func (s *System) openAuthority(context.Context) error {
	g, err := genesis(s.Settings, s.ring)
	if err != nil {
		return err
	}
	keys := s.ring.authority
	signers, err := keys.signers(s.suite)
	if err != nil {
		return err
	}
	s.Chain, err = chain.Open(chain.Config{
		Dir: s.layout.chain(), Genesis: g, Begun: s.Settings.Begun, Signers: signers, Clock: s.cfg.Clock,
		Logger: s.cfg.Logger.With("part", "supervision chain"),
	})
	if err != nil {
		return err
	}
	p, err := s.profile()
	if err != nil {
		return err
	}
	s.node, err = fusion.NewNode(fusion.NodeConfig{
		Name: "fusion-1", Dir: s.layout.fusion(), Logger: s.cfg.Logger.With("part", "fusion node"),
		Routes: []fusion.Route{{Platform: s.Settings.Platform, Business: p.Business()}},
	})
	if err != nil {
		return err
	}
	directory, err := fusion.NewDirectory(s.node)
	if err != nil {
		return err
	}
	s.Authority, err = authority.New(authority.Config{
		Suite: s.suite, Signing: keys.signing, Sealing: []envelope.PrivateKey{keys.sealing},
		PseudonymKey: keys.pseudonym, SubjectKey: s.cfg.SubjectKey, CA: keys.ca.Certificate(),
		Profiles: []profile.Profile{p}, Register: licences{}, Random: rand.Reader, Clock: s.cfg.Clock,
		Logger: s.cfg.Logger.With("part", "authority"),
	}, s.Chain, directory.Authority())
	return err
}

// openLedger prepares the business chain: its own directory, keys and genesis.
func (s *System) openLedger(context.Context) (err error) {
	s.Ledger, err = embedded.Open(embedded.Config{
		Dir: s.layout.ledger(), Logger: s.cfg.Logger.With("part", "business chain"), Now: s.cfg.Clock,
		Genesis: embedded.Genesis{
			Network: s.Settings.Network, Supervision: s.Settings.Chain, AuthorityKeys: s.Published, Platforms: []string{s.Settings.Platform},
		},
	})
	return err
}

// openPlatform prepares the platform's half.
func (s *System) openPlatform(ctx context.Context) error {
	var err error
	if s.store, err = store.Open(ctx, s.layout.database()); err != nil {
		return err
	}
	p, err := s.profile()
	if err != nil {
		return err
	}
	directory, err := fusion.NewDirectory(s.node)
	if err != nil {
		return err
	}
	producers := process.Fixed{}
	for _, q := range participants() {
		if q.Role == "producer" {
			producers[q.ID] = process.Producer{Name: q.Name, Key: s.ring.people[q.ID].sealing.Public()}
		}
	}
	s.Platform, err = platform.New(platform.Config{
		Keys: sealing.Config{
			Suite: s.suite, Chain: s.Settings.Chain, Network: s.Settings.Network, Platform: s.Settings.Platform,
			Signing: s.ring.platform.signing, Sealing: s.ring.platform.sealing, NetworkKey: s.ring.platform.network.Public(),
			Authority: []envelope.PublicKey{s.ring.authority.sealing.Public()}, Log: s.Keys,
			Zone: time.FixedZone(zoneName, zoneOffset),
		},
		Profile: p, Store: s.store, Ledger: s.Ledger, Transport: directory.Platform(s.Settings.Platform),
		Producers: producers, Prices: listPrices{}, Provider: s.provider(), Clock: s.cfg.Clock,
		Logger: s.cfg.Logger.With("part", "platform"),
	})
	return err
}

// serveOfficers answers the officers' tools until ctx ends.
func (s *System) serveOfficers(ctx context.Context) error {
	h, err := oversight.NewHandler(oversight.Config{
		Chain: s.Chain, Authority: s.Authority, CA: s.ring.authority.ca.Certificate(), Clock: s.cfg.Clock,
		Logger: s.cfg.Logger.With("part", "oversight"),
	})
	if err != nil {
		return err
	}
	return oversight.Serve(ctx, oversight.Socket(s.cfg.Dir), h)
}

func (s *System) provider() *payment.Sandbox {
	return payment.NewSandbox(s.store, s.cfg.BaseURL, s.cfg.Clock)
}

// openPeople prepares the participants, each with its own keys.
func (s *System) openPeople(context.Context) (err error) {
	if s.cfg.Unattended {
		return nil
	}
	cfg := sandbox.Config{
		Platform: s.Platform, Pay: s.provider().Pay, Logger: s.cfg.Logger.With("part", "sandbox"),
		Reader: sealing.Reader{Suite: s.suite, Chain: s.Settings.Chain, Log: s.Keys, Sender: s.ring.platform.signing.Public()},
	}
	for _, p := range participants() {
		k := s.ring.people[p.ID]
		switch p.Role {
		case contract.RoleProducer:
			cfg.Producers = append(cfg.Producers, sandbox.Producer{ID: p.ID, Key: k.sealing})
		case contract.RoleReviewer:
			cfg.Reviewers = append(cfg.Reviewers, sandbox.Reviewer{ID: p.ID, Application: flow.Application{
				Kind: string(p.Role), Name: p.Name, Licence: p.Licence, Specialties: p.Specialties, Certificate: k.certificate,
			}})
		}
	}
	s.people, err = sandbox.New(cfg)
	return err
}

// Close releases a system that was opened and is not to run.
func (s *System) Close() error {
	return errors.Join(s.Chain.Close(), s.Ledger.Close(), s.store.Close())
}

// Ready is closed when everything runs.
func (s *System) Ready() <-chan struct{} { return s.ready }

// Run runs everything until ctx ends or a part fails. It starts the chains and
// the fusion node, then the authority, then the platform, then the people, and
// stops them in the opposite order.
func (s *System) Run(ctx context.Context) error {
	defer s.store.Close()
	layers := []layer{
		{"supervision chain", s.Chain.Run, s.Chain.Ready()},
		{"business chain", s.Ledger.Run, s.Ledger.Running()},
		{"fusion node", s.node.Run, s.node.Ready()},
		{"authority", s.Authority.Run, nil},
		{"officers' socket", s.serveOfficers, nil},
		{"platform", s.Platform.Run, nil},
	}
	if s.people != nil {
		layers = append(layers, layer{"participants", s.people.Run, nil})
	}
	return runLayers(ctx, layers, func() { close(s.ready) })
}

// layer is a part that runs until its context ends.
type layer struct {
	name  string
	run   func(context.Context) error
	ready <-chan struct{} // nil: at once
}

// runLayers starts layers one upon the other and stops them from the top. A
// layer that ends by itself takes everything with it.
func runLayers(ctx context.Context, layers []layer, up func()) error {
	if len(layers) == 0 {
		up()
		<-ctx.Done()
		return nil
	}
	l := layers[0]
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	above, fail := context.WithCancel(ctx)
	defer fail()
	ended := make(chan error, 1)
	go func() {
		err := l.run(own)
		if own.Err() == nil {
			err = fmt.Errorf("%s ended early: %w", l.name, errors.Join(err, errEnded))
		}
		fail()
		ended <- err
	}()
	if l.ready != nil {
		select {
		case <-l.ready:
		case <-above.Done():
		}
	}
	var err error
	if above.Err() == nil {
		err = runLayers(above, layers[1:], up)
	}
	stop()
	if mine := <-ended; mine != nil && !errors.Is(mine, context.Canceled) {
		err = errors.Join(mine, err)
	}
	return err
}

var errEnded = errors.New("the system stops")

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

// licences is the sandbox's licence register: the built-in reviewers.
type licences struct{}

// CheckLicence implements authority.Register.
func (licences) CheckLicence(_ context.Context, a flow.Application) error {
	for _, p := range participants() {
		if p.Licence != "" && p.Licence == a.Licence && p.Name == a.Name {
			return nil
		}
	}
	return authority.ErrLicence
}

// listPrices is the sandbox's price list, for records that name no price: an
// amount that follows from the item's code.
type listPrices struct{}

// Price implements process.Prices: 5.00 to 104.99 a line.
func (listPrices) Price(_ context.Context, _ string, item profile.Item) (int64, error) {
	h := fnv.New32a()
	h.Write([]byte(item.Code))
	return 500 + int64(h.Sum32()%10_000), nil
}

package platform

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/party"
	role "signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/sandbox"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/receipt"
)

// Parts are what a platform is put together from.
type Parts struct {
	Database  string // file
	ID        string // on the supervision chain
	Chain     string // the supervision chain's id
	Network   string
	Suite     envelope.Suite
	Keys      *Keys
	Authority envelope.PublicKey // what submissions are sealed to
	Log       receipt.Keys       // what receipts are checked with
	Zone      *time.Location     // the authority's
	Profile   profile.Profile
	Ledger    ledger.Ledger
	Transport outbox.Transport
	Producers process.Fixed
	Prices    process.Prices // nil: records name them
	BaseURL   string         // of payment links
	People    *People        // who takes part on trial; nil: nobody
	Pace      outbox.Pace    // the zero value is a sensible one
	Clock     func() time.Time
	Logger    *slog.Logger
}

// People take part on trial, with keys of their own.
type People struct {
	Reviewers []sandbox.Reviewer
	Producers []sandbox.Producer
}

// Party is a platform's half, wired. Its layers run it; Close it afterwards.
type Party struct {
	Platform *role.Platform

	store  *store.Store
	people *sandbox.Sandbox
}

// New opens the database and puts the rest upon it. It starts nothing.
func New(ctx context.Context, p Parts) (_ *Party, err error) {
	out := &Party{}
	if out.store, err = store.Open(ctx, p.Database); err != nil {
		return nil, err
	}
	provider := payment.NewSandbox(out.store, p.BaseURL, p.Clock)
	out.Platform, err = role.New(role.Config{
		Keys: sealing.Config{
			Suite: p.Suite, Chain: p.Chain, Network: p.Network, Platform: p.ID,
			Signing: p.Keys.Signing, Sealing: p.Keys.Sealing, NetworkKey: p.Keys.Network.Public(),
			Authority: []envelope.PublicKey{p.Authority}, Log: p.Log, Zone: p.Zone,
		},
		Profile: p.Profile, Store: out.store, Ledger: p.Ledger, Transport: p.Transport,
		Producers: p.Producers, Prices: p.Prices, Provider: provider, Clock: p.Clock,
		Pace: p.Pace, Logger: p.Logger.With("part", "platform"),
	})
	if err == nil && p.People != nil {
		out.people, err = sandbox.New(sandbox.Config{
			Platform: out.Platform, Pay: provider.Pay, Logger: p.Logger.With("part", "sandbox"),
			Reader:    sealing.Reader{Suite: p.Suite, Chain: p.Chain, Log: p.Log, Sender: p.Keys.Signing.Public()},
			Reviewers: p.People.Reviewers, Producers: p.People.Producers,
		})
	}
	if err != nil {
		return nil, errors.Join(err, out.store.Close())
	}
	return out, nil
}

// Layers are the platform and the people who take part on trial, in the order in
// which they start.
func (p *Party) Layers() []party.Layer {
	layers := []party.Layer{{Name: "platform", Run: p.Platform.Run}}
	if p.people != nil {
		layers = append(layers, party.Layer{Name: "participants", Run: p.people.Run})
	}
	return layers
}

// Close closes the database, when nothing runs any more.
func (p *Party) Close() error { return p.store.Close() }

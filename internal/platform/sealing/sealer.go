package sealing

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Config says who the platform is and whom it trusts.
type Config struct {
	Suite    envelope.Suite
	Chain    string // supervision chain id
	Network  string // the business chain's network id
	Platform string // the platform's identity on the supervision chain
	Business string // kind of business, the profile's (R1.3)

	Signing    envelope.PrivateKey   // signs submissions and values
	Sealing    envelope.PrivateKey   // the platform's own records are sealed to it
	OldSigning []envelope.PublicKey  // former signing keys: still verify
	OldSealing []envelope.PrivateKey // former sealing keys: still open

	NetworkKey envelope.PublicKey   // settlements and deliveries are sealed to it (R4.6)
	Authority  []envelope.PublicKey // the authority's sealing keys (R1.2)
	Log        receipt.Keys         // the authority's log keys: who signs checkpoints
	Zone       *time.Location       // the authority's, in which a token has its day

	// Keep makes statements durable by which the authority's log keys were handed
	// over, before they count; nil: they count until the process ends. It must not
	// call the Sealer.
	Keep func(statements [][]byte) error

	Random io.Reader // nil: the system's
}

// Validate says what is missing or unfit.
func (c Config) Validate() error {
	if c.Suite == nil {
		return errors.New("suite: missing")
	}
	if c.Zone == nil {
		return errors.New("zone: missing")
	}
	names := []struct{ what, value string }{
		{"chain", c.Chain},
		{"network", c.Network},
		{"platform", c.Platform},
		{"business", c.Business},
	}
	for _, n := range names {
		if err := flow.CheckName(n.what, n.value); err != nil {
			return err
		}
	}
	type wanted struct {
		what string
		key  envelope.PublicKey
		use  envelope.Use
	}
	keys := []wanted{
		{"signing key", c.Signing.Public(), envelope.Signing},
		{"sealing key", c.Sealing.Public(), envelope.Sealing},
		{"network key", c.NetworkKey, envelope.Sealing},
	}
	for _, k := range c.OldSigning {
		keys = append(keys, wanted{"former signing key", k, envelope.Signing})
	}
	for _, k := range c.OldSealing {
		keys = append(keys, wanted{"former sealing key", k.Public(), envelope.Sealing})
	}
	for _, k := range c.Authority {
		keys = append(keys, wanted{"authority's sealing key", k, envelope.Sealing})
	}
	for _, k := range keys {
		if k.key.Suite() != c.Suite.Name() || k.key.Use() != k.use {
			return fmt.Errorf("%s: want a %s key of suite %s, have %s", k.what, k.use, c.Suite.Name(), k.key)
		}
	}
	if len(c.Authority) == 0 {
		return errors.New("authority's sealing keys: none")
	}
	return nil
}

// Sealer seals and opens for one platform. It is safe for concurrent use.
type Sealer struct {
	cfg       Config
	authority []flow.KeyID
	log       logKeys
	proofs    receipt.Memory
}

// New checks cfg.
func New(cfg Config) (*Sealer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring keys: %w", err)
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	return &Sealer{cfg: cfg, authority: ids(cfg.Authority), log: logKeys{keys: cfg.Log, keep: cfg.Keep}}, nil
}

// Own is the key that the platform's own records are sealed to.
func (s *Sealer) Own() envelope.PublicKey { return s.cfg.Sealing.Public() }

// NetworkKey is the business network's.
func (s *Sealer) NetworkKey() envelope.PublicKey { return s.cfg.NetworkKey }

// Draft is a step before it is sealed.
type Draft struct {
	Step    flow.Step
	Flow    flow.Hash          // zero for Register and Enrol
	Actor   string             // reviewer or producer; may be empty
	Payload []byte             // plain
	To      envelope.PublicKey // whom the business copy is for; unused where the step leaves none
}

// Sealed is a step's two copies, of one message under one commitment.
type Sealed struct {
	Header     flow.Header
	Submission flow.Submission // to the authority
	Value      []byte          // encoded Value; nil where the step leaves no record
}

// Seal makes both copies. The business copy comes first, because the header
// carries its hash (R1.7).
func (s *Sealer) Seal(d Draft) (Sealed, error) {
	id, err := flow.NewID(s.cfg.Random)
	if err != nil {
		return Sealed{}, err
	}
	m := envelope.Message{Payload: d.Payload}
	if err := s.salt(&m); err != nil {
		return Sealed{}, err
	}
	h := flow.Header{
		Version: 1, Suite: s.cfg.Suite.Name(), Chain: s.cfg.Chain, Network: s.cfg.Network,
		Platform: s.cfg.Platform, Business: s.cfg.Business, Step: d.Step, Flow: d.Flow, ID: id,
		Actor: d.Actor, Sender: s.cfg.Signing.Public().ID(), Recipients: s.authority,
		Commitment: envelope.Commit(s.cfg.Suite, m),
	}
	out := Sealed{}
	if d.Step.Recorded() {
		if out.Value, err = s.value(h, m, d.To); err != nil {
			return Sealed{}, fmt.Errorf("sealing %s for the business chain: %w", d.Step, err)
		}
		h.Record = flow.SumHash(out.Value)
	}
	if err := h.Validate(); err != nil {
		return Sealed{}, fmt.Errorf("sealing %s: %w", d.Step, err)
	}
	out.Header = h
	if out.Submission, err = s.submission(h, m); err != nil {
		return Sealed{}, fmt.Errorf("sealing %s for the authority: %w", d.Step, err)
	}
	return out, nil
}

func (s *Sealer) submission(h flow.Header, m envelope.Message) (flow.Submission, error) {
	var sub flow.Submission
	var err error
	if sub.Header, err = flow.Marshal(h); err != nil {
		return flow.Submission{}, fmt.Errorf("encoding header: %w", err)
	}
	ctx := envelope.SubmissionContext(h)
	if sub.Sealed, err = s.cfg.Suite.Seal(s.cfg.Random, ctx, m, s.cfg.Authority...); err != nil {
		return flow.Submission{}, err
	}
	sub.Signature, err = s.cfg.Suite.Sign(s.cfg.Random, s.cfg.Signing, sub.SigningInput())
	return sub, err
}

func (s *Sealer) value(h flow.Header, m envelope.Message, to envelope.PublicKey) ([]byte, error) {
	c := envelope.SubmissionContext(h)
	c.Purpose, c.Flow, c.Recipients = purposeRecord, flow.Hash{}, ids([]envelope.PublicKey{to})
	v := Value{Version: 1}
	var err error
	if v.Context, err = flow.Marshal(c); err != nil {
		return nil, fmt.Errorf("encoding context: %w", err)
	}
	if v.Sealed, err = s.cfg.Suite.Seal(s.cfg.Random, c, m, to); err != nil {
		return nil, err
	}
	if v.Signature, err = s.cfg.Suite.Sign(s.cfg.Random, s.cfg.Signing, v.SigningInput()); err != nil {
		return nil, err
	}
	return flow.Marshal(v)
}

func (s *Sealer) salt(m *envelope.Message) error {
	if _, err := io.ReadFull(s.cfg.Random, m.Salt[:]); err != nil {
		return fmt.Errorf("drawing a salt: %w", err)
	}
	return nil
}

func ids(keys []envelope.PublicKey) []flow.KeyID {
	out := make([]flow.KeyID, len(keys))
	for i, k := range keys {
		out[i] = k.ID()
	}
	return out
}

package sealing_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench/reference"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

var zone = time.FixedZone("Asia/Shanghai", 8*3600)

func key(tb testing.TB, s envelope.Suite, use envelope.Use) envelope.PrivateKey {
	tb.Helper()
	k, err := s.GenerateKey(rand.Reader, use)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// config is a platform's, with the authority whose log it trusts and the
// authority's sealing key.
func config(tb testing.TB, s envelope.Suite) (sealing.Config, *ledgertest.Authority, envelope.PrivateKey) {
	tb.Helper()
	log := ledgertest.NewAuthority(tb, ledgertest.Chain)
	keys, err := receipt.ParseKeys(log.Keys)
	if err != nil {
		tb.Fatal(err)
	}
	authority := key(tb, s, envelope.Sealing)
	return sealing.Config{
		Suite: s, Chain: ledgertest.Chain, Network: ledgertest.Network, Platform: ledgertest.Platform, Business: "prescription",
		Signing: key(tb, s, envelope.Signing), Sealing: key(tb, s, envelope.Sealing),
		NetworkKey: key(tb, s, envelope.Sealing).Public(), Authority: []envelope.PublicKey{authority.Public()},
		Log: keys, Zone: zone,
	}, log, authority
}

func sealer(tb testing.TB, cfg sealing.Config) *sealing.Sealer {
	tb.Helper()
	s, err := sealing.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// leafOf is the decision that grants what h asks for.
func leafOf(h flow.Header) receipt.Leaf {
	l := receipt.Leaf{
		Suite: h.Suite, Chain: h.Chain, Network: h.Network, Platform: h.Platform, Business: h.Business,
		Actor: h.Actor, Step: h.Step, Verdict: flow.Granted, Issued: time.Now().Unix(), Flow: h.Flow,
		Tx: flow.SumHash(h.ID[:]), Commitment: h.Commitment, Record: h.Record, Submission: h.ID,
	}
	if h.Step == flow.Register {
		l.Flow = l.Tx
	}
	return l
}

func stored(l receipt.Leaf, value, proof []byte) ledger.Stored {
	return ledger.Stored{Record: ledger.Record{Key: ledger.Key{Flow: l.Flow, Tx: l.Tx}, Step: l.Step, Value: value, Receipt: proof}}
}

func suites(t *testing.T, run func(*testing.T, envelope.Suite)) {
	for _, s := range []envelope.Suite{envelope.GM(), envelope.Intl()} {
		t.Run(s.Name(), func(t *testing.T) { run(t, s) })
	}
}

// R1.2, R1.5: one message, two seals: the authority opens the one, the platform
// the other, under one commitment; and the header names the value's hash (R1.7).
func TestSealMakesTwoCopiesOfOneMessage(t *testing.T) {
	suites(t, func(t *testing.T, suite envelope.Suite) {
		cfg, log, authority := config(t, suite)
		s := sealer(t, cfg)
		payload := []byte(`{"number":"RX-1"}`)
		out, err := s.Seal(sealing.Draft{Step: flow.Register, Payload: payload, To: s.Own()})
		if err != nil {
			t.Fatal(err)
		}
		h, err := out.Submission.Open()
		if err != nil {
			t.Fatal(err)
		}
		if h.Record != flow.SumHash(out.Value) {
			t.Error("the header does not name the value's hash")
		}
		if err := suite.Verify(cfg.Signing.Public(), out.Submission.SigningInput(), out.Submission.Signature); err != nil {
			t.Error(err)
		}
		m, err := suite.Open(envelope.SubmissionContext(h), out.Submission.Sealed, authority)
		if err != nil || !bytes.Equal(m.Payload, payload) {
			t.Errorf("the authority opens %q, %v", m.Payload, err)
		}
		if _, err := suite.Open(envelope.SubmissionContext(h), out.Submission.Sealed, cfg.Sealing); !errors.Is(err, envelope.ErrNotRecipient) {
			t.Errorf("the platform opens what is the authority's: %v", err)
		}
		l := leafOf(h)
		plain, err := s.OpenStored(stored(l, out.Value, log.Receipt(t, l)))
		if err != nil || !bytes.Equal(plain, payload) {
			t.Errorf("the platform opens %q, %v", plain, err)
		}
		if bytes.Contains(out.Value, payload) || bytes.Contains(out.Submission.Sealed, payload) {
			t.Error("the payload stands in a sealed form")
		}
	})
}

// Steps that leave no record have no value, and need no recipient.
func TestSealWithoutRecord(t *testing.T) {
	cfg, _, _ := config(t, envelope.GM())
	out, err := sealer(t, cfg).Seal(sealing.Draft{Step: flow.ReviewRequest, Flow: flow.Hash{1}, Actor: "reviewer-1", Payload: []byte("{}")})
	if err != nil || out.Value != nil || !out.Header.Record.IsZero() {
		t.Errorf("value of %d bytes, record %s, %v", len(out.Value), out.Header.Record, err)
	}
}

// What is wrong is refused before anything leaves.
func TestSealRefuses(t *testing.T) {
	cfg, _, _ := config(t, envelope.GM())
	s := sealer(t, cfg)
	for name, d := range map[string]sealing.Draft{
		"a flow for a registration": {Step: flow.Register, Flow: flow.Hash{1}, To: s.Own()},
		"no flow for an order":      {Step: flow.Order, To: s.Own()},
		"nobody to seal to":         {Step: flow.Register},
		"a key of another suite":    {Step: flow.Register, To: key(t, envelope.Intl(), envelope.Sealing).Public()},
		"a signing key":             {Step: flow.Register, To: cfg.Signing.Public()},
		"an actor that is no name":  {Step: flow.Order, Flow: flow.Hash{1}, Actor: "a b", To: s.Own()},
		"an unknown step":           {Step: "dance", To: s.Own()},
	} {
		if _, err := s.Seal(d); err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	cfg.Random = strings.NewReader("not enough")
	if _, err := sealer(t, cfg).Seal(sealing.Draft{Step: flow.Register, To: s.Own()}); err == nil {
		t.Error("sealed without randomness")
	}
}

// rewrite decodes a value, changes it, and has signer sign it again.
func rewrite(t *testing.T, suite envelope.Suite, raw []byte, signer envelope.PrivateKey, change func(*sealing.Value, *envelope.Context)) []byte {
	t.Helper()
	var v sealing.Value
	var c envelope.Context
	if err := errors.Join(flow.Unmarshal(raw, &v), flow.Unmarshal(v.Context, &c)); err != nil {
		t.Fatal(err)
	}
	change(&v, &c)
	var err error
	if v.Context, err = flow.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if v.Signature, err = suite.Sign(rand.Reader, signer, v.SigningInput()); err != nil {
		t.Fatal(err)
	}
	out, err := flow.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A value that the authority's decision is not for, that somebody else signed,
// or whose context is not the decision's, is not opened, even where the receipt
// names its hash.
func TestOpenValueRefuses(t *testing.T) {
	suite := envelope.GM()
	cfg, _, _ := config(t, suite)
	s := sealer(t, cfg)
	out, err := s.Seal(sealing.Draft{Step: flow.Register, Payload: []byte("{}"), To: s.Own()})
	if err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(out.Header)
	open := func(value []byte, l receipt.Leaf) error {
		_, err := sealing.OpenValue(suite, value, l, cfg.Signing.Public(), cfg.Sealing)
		return err
	}
	if err := open(out.Value, leaf); err != nil {
		t.Fatal(err)
	}
	for i := range out.Value {
		bad := bytes.Clone(out.Value)
		bad[i] ^= 0x40
		l := leaf
		if open(bad, l) == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if l.Record = flow.SumHash(bad); open(bad, l) == nil {
			t.Errorf("opened with byte %d changed, and the decision for it", i)
		}
	}
	other := key(t, suite, envelope.Signing)
	for name, change := range map[string]func(*sealing.Value, *envelope.Context){
		"actor":      func(_ *sealing.Value, c *envelope.Context) { c.Actor = "someone" },
		"step":       func(_ *sealing.Value, c *envelope.Context) { c.Step = flow.Order },
		"purpose":    func(_ *sealing.Value, c *envelope.Context) { c.Purpose = "submission" },
		"submission": func(_ *sealing.Value, c *envelope.Context) { c.ID[0] ^= 1 },
		"commitment": func(_ *sealing.Value, c *envelope.Context) { c.Commitment[0] ^= 1 },
		"sender":     func(_ *sealing.Value, c *envelope.Context) { c.Sender = other.Public().ID() },
		"recipients": func(_ *sealing.Value, c *envelope.Context) { c.Recipients = append(c.Recipients, other.Public().ID()) },
		"version":    func(v *sealing.Value, _ *envelope.Context) { v.Version = 2 },
		"seal":       func(v *sealing.Value, _ *envelope.Context) { v.Sealed = v.Sealed[:len(v.Sealed)-1] },
	} {
		bad := rewrite(t, suite, out.Value, cfg.Signing, change)
		l := leaf
		l.Record = flow.SumHash(bad)
		if err := open(bad, l); err == nil {
			t.Errorf("opened with another %s", name)
		}
	}
	forged := rewrite(t, suite, out.Value, other, func(*sealing.Value, *envelope.Context) {})
	l := leaf
	l.Record = flow.SumHash(forged)
	if err := open(forged, l); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("another's signature: %v", err)
	}
	l = leaf
	l.Actor = "someone"
	if err := open(out.Value, l); !errors.Is(err, sealing.ErrValue) {
		t.Errorf("a decision about another actor: %v", err)
	}
}

// A record under a decision that is not for its place is not opened.
func TestOpenStoredChecksTheDecision(t *testing.T) {
	suite := envelope.GM()
	cfg, log, _ := config(t, suite)
	s := sealer(t, cfg)
	out, err := s.Seal(sealing.Draft{Step: flow.Register, Payload: []byte("{}"), To: s.Own()})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*receipt.Leaf){
		"refused":          func(l *receipt.Leaf) { l.Verdict = flow.Refused },
		"other chain":      func(l *receipt.Leaf) { l.Chain = "other" },
		"other platform":   func(l *receipt.Leaf) { l.Platform = ledgertest.OtherPlatform },
		"other content":    func(l *receipt.Leaf) { l.Record[0] ^= 1 },
		"other commitment": func(l *receipt.Leaf) { l.Commitment[0] ^= 1 },
	} {
		l := leafOf(out.Header)
		change(&l)
		if _, err := s.OpenStored(stored(l, out.Value, log.Receipt(t, l))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	l := leafOf(out.Header)
	rec := stored(l, out.Value, log.Receipt(t, l))
	rec.Key.Flow[0] ^= 1
	if _, err := s.OpenStored(rec); !errors.Is(err, sealing.ErrValue) {
		t.Errorf("under another key: %v", err)
	}
}

// Several keys at once: old ones still open and verify, and seal no more.
func TestRotation(t *testing.T) {
	suite := envelope.GM()
	before, log, _ := config(t, suite)
	old := sealer(t, before)
	out, err := old.Seal(sealing.Draft{Step: flow.Register, Payload: []byte("{}"), To: old.Own()})
	if err != nil {
		t.Fatal(err)
	}
	draft, err := old.SealDraft(flow.ID{1}, flow.Hash{2}, []byte("draft"))
	if err != nil {
		t.Fatal(err)
	}
	l := leafOf(out.Header)
	rec := stored(l, out.Value, log.Receipt(t, l))

	after := before
	after.Signing, after.Sealing = key(t, suite, envelope.Signing), key(t, suite, envelope.Sealing)
	if _, err := sealer(t, after).OpenStored(rec); err == nil {
		t.Error("opened without the old keys")
	}
	after.OldSigning, after.OldSealing = []envelope.PublicKey{before.Signing.Public()}, []envelope.PrivateKey{before.Sealing}
	s := sealer(t, after)
	if _, err := s.OpenStored(rec); err != nil {
		t.Error(err)
	}
	if plain, err := s.OpenDraft(flow.ID{1}, flow.Hash{2}, draft); err != nil || string(plain) != "draft" {
		t.Errorf("draft %q, %v", plain, err)
	}
	if s.Own().ID() == before.Sealing.Public().ID() {
		t.Error("the old key still seals")
	}
}

// A draft opens for its own flow and reference alone.
func TestDraftIsBound(t *testing.T) {
	cfg, _, _ := config(t, envelope.GM())
	s := sealer(t, cfg)
	id, f := flow.ID{1}, flow.Hash{2}
	draft, err := s.SealDraft(id, f, []byte("lines"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.OpenDraft(id, f, draft); err != nil || string(plain) != "lines" {
		t.Errorf("%q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another reference": func() ([]byte, error) { return s.OpenDraft(flow.ID{9}, f, draft) },
		"another flow":      func() ([]byte, error) { return s.OpenDraft(id, flow.Hash{9}, draft) },
		"cut short":         func() ([]byte, error) { return s.OpenDraft(id, f, draft[:40]) },
		"changed": func() ([]byte, error) {
			bad := bytes.Clone(draft)
			bad[len(bad)-1] ^= 1
			return s.OpenDraft(id, f, bad)
		},
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// R2.3, R2.4, R4.1: a token is judged again at the moment of use.
func TestPermits(t *testing.T) {
	suite := envelope.GM()
	cfg, log, _ := config(t, suite)
	s := sealer(t, cfg)
	issued := time.Date(2020, 1, 1, 20, 0, 0, 0, time.UTC) // already the second in Shanghai
	tx, f := flow.Hash{1}, flow.Hash{2}
	leaf := receipt.Leaf{
		Suite: suite.Name(), Chain: cfg.Chain, Network: cfg.Network, Platform: cfg.Platform, Business: cfg.Business,
		Actor: "reviewer-1", Step: flow.ReviewRequest, Verdict: flow.Granted, Issued: issued.Unix(),
		Expires: issued.Add(2 * time.Hour).Unix(), Flow: f, Tx: tx,
	}
	leaf.Token, _ = flow.Token(issued.In(zone), f, flow.ReviewRequest)
	permit := sealing.Permit{Step: flow.ReviewRequest, Flow: f, Tx: tx, Actor: "reviewer-1", Now: issued.Add(time.Hour)}
	cases := map[string]struct {
		leaf   func(*receipt.Leaf)
		permit func(*sealing.Permit)
		want   error
	}{
		"as granted":         {},
		"the last second":    {permit: func(p *sealing.Permit) { p.Now = issued.Add(2*time.Hour - time.Second) }},
		"expired":            {permit: func(p *sealing.Permit) { p.Now = issued.Add(2 * time.Hour) }, want: sealing.ErrNoPermit},
		"someone else":       {permit: func(p *sealing.Permit) { p.Actor = "reviewer-2" }, want: sealing.ErrNoPermit},
		"another flow":       {permit: func(p *sealing.Permit) { p.Flow = flow.Hash{9} }, want: sealing.ErrNoPermit},
		"another decision":   {permit: func(p *sealing.Permit) { p.Tx = flow.Hash{9} }, want: sealing.ErrNoPermit},
		"another step":       {permit: func(p *sealing.Permit) { p.Step = flow.Order }, want: sealing.ErrNoPermit},
		"refused":            {leaf: func(l *receipt.Leaf) { l.Verdict = flow.Refused }, want: sealing.ErrNoPermit},
		"no token":           {leaf: func(l *receipt.Leaf) { l.Token = flow.Hash{} }, want: sealing.ErrNoPermit},
		"token of UTC's day": {leaf: func(l *receipt.Leaf) { l.Token, _ = flow.Token(issued, f, flow.ReviewRequest) }, want: sealing.ErrNoPermit},
		"another network":    {leaf: func(l *receipt.Leaf) { l.Network = "other" }, want: sealing.ErrNoPermit},
	}
	for name, c := range cases {
		l, p := leaf, permit
		if c.leaf != nil {
			c.leaf(&l)
		}
		if c.permit != nil {
			c.permit(&p)
		}
		if _, err := s.Permits(log.Receipt(t, l), p); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Permits(ledgertest.NewAuthority(t, cfg.Chain).Receipt(t, leaf), permit); !errors.Is(err, sealing.ErrNoPermit) {
		t.Errorf("a forger's receipt: %v", err)
	}
}

func TestValidate(t *testing.T) {
	good, _, _ := config(t, envelope.GM())
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	foreign := key(t, envelope.Intl(), envelope.Sealing)
	for want, change := range map[string]func(*sealing.Config){
		"suite":                   func(c *sealing.Config) { c.Suite = nil },
		"zone":                    func(c *sealing.Config) { c.Zone = nil },
		"chain":                   func(c *sealing.Config) { c.Chain = "" },
		"network":                 func(c *sealing.Config) { c.Network = "a/b" },
		"platform":                func(c *sealing.Config) { c.Platform = "" },
		"business":                func(c *sealing.Config) { c.Business = "" },
		"signing key":             func(c *sealing.Config) { c.Signing = c.Sealing },
		"sealing key":             func(c *sealing.Config) { c.Sealing = envelope.PrivateKey{} },
		"network key":             func(c *sealing.Config) { c.NetworkKey = foreign.Public() },
		"former sealing key":      func(c *sealing.Config) { c.OldSealing = []envelope.PrivateKey{foreign} },
		"former signing key":      func(c *sealing.Config) { c.OldSigning = []envelope.PublicKey{c.NetworkKey} },
		"authority's sealing key": func(c *sealing.Config) { c.Authority = nil },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without a good %s: %v", want, err)
		}
	}
}

// BenchmarkReference is what the others' time is compared with.
func BenchmarkReference(b *testing.B) { reference.Verify(b) }

func BenchmarkSeal(b *testing.B) {
	for _, suite := range []envelope.Suite{envelope.GM(), envelope.Intl()} {
		b.Run(suite.Name(), func(b *testing.B) {
			cfg, _, _ := config(b, suite)
			s := sealer(b, cfg)
			payload := bytes.Repeat([]byte("x"), 2000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Seal(sealing.Draft{Step: flow.Register, Payload: payload, To: s.Own()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package authority_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/receipt"
)

// line is a fusion node that hands over what the test puts in and keeps what is
// published.
type line struct {
	in      chan []fusion.Delivery
	anchors chan []fusion.AnchorDelivery

	mu  sync.Mutex
	out map[flow.ID]flow.Decision
	got chan struct{}
}

func newLine() *line {
	return &line{in: make(chan []fusion.Delivery), anchors: make(chan []fusion.AnchorDelivery), out: map[flow.ID]flow.Decision{}, got: make(chan struct{}, 1024)}
}

func (l *line) Submissions(ctx context.Context, _ int, fn func(context.Context, []fusion.Delivery) []error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batch := <-l.in:
			if err := errors.Join(fn(ctx, batch)...); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (l *line) Anchors(ctx context.Context, _ int, fn func(context.Context, []fusion.AnchorDelivery) []error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batch := <-l.anchors:
			if err := errors.Join(fn(ctx, batch)...); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (l *line) PublishAgain(_ context.Context, _ string, decisions ...flow.Decision) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range decisions {
		l.out[d.ID] = d
		l.got <- struct{}{}
	}
	return nil
}

// decision waits for the answer to a submission.
func (l *line) decision(t *testing.T, id flow.ID) flow.Decision {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		l.mu.Lock()
		d, ok := l.out[id]
		l.mu.Unlock()
		if ok {
			return d
		}
		select {
		case <-l.got:
		case <-deadline:
			t.Fatalf("no answer to submission %s", id)
		}
	}
}

// notes is a profile whose records are "subject number".
type notes struct{}

var errUnused = errors.New("unused")

func (notes) Business() string { return "prescription" }

func (notes) Intake([]byte) (profile.Record, error) { return profile.Record{}, errUnused }

func (notes) Parse([]byte) (profile.Record, error) { return profile.Record{}, errUnused }

func (notes) Facts(step flow.Step, payload []byte, name profile.Pseudonym) (contract.Facts, error) {
	subject, number, ok := strings.Cut(string(payload), " ")
	if !ok {
		return contract.Facts{}, &profile.Problem{Path: "/number", Zh: "缺少编号", En: "number is missing"}
	}
	if number == "cancel" {
		return contract.Facts{}, &profile.Refusal{Reason: flow.Reason{Code: "cancellation_not_supported"}}
	}
	return contract.Facts{
		Business: "prescription", Subject: name("subject", subject), Originator: name("originator", "o"),
		Record: name("record", number), Content: name("content", number), Currency: "CNY", DaysSupply: 7,
		Items: []contract.ItemFacts{{Item: name("item", "i"), Quantity: 1000, DaysSupply: 7}},
	}, nil
}

// register is a licence register that knows one licence, and may be out of reach.
type register struct{ down bool }

func (r *register) CheckLicence(_ context.Context, a flow.Application) error {
	switch {
	case r.down:
		return errors.New("register is out of reach")
	case a.Licence != "L-1":
		return authority.ErrLicence
	}
	return nil
}

type world struct {
	*chaintest.Fixture
	line     *line
	chain    *chain.Chain
	auth     *authority.Authority
	register *register
}

func start(t *testing.T, change func(*authority.Config)) world {
	t.Helper()
	f := chaintest.New(t, envelope.GM())
	w := world{Fixture: f, line: newLine(), register: &register{}}
	w.chain, _ = f.Open(t, t.TempDir())
	cfg := authority.Config{
		Suite: f.Suite, Signing: f.Signing, Sealing: []envelope.PrivateKey{f.Sealing}, PseudonymKey: make([]byte, authority.PseudonymKeySize),
		CA: f.CA.Certificate(), Profiles: []profile.Profile{notes{}}, Register: w.register,
		Random: rand.Reader, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	w.auth, err = authority.New(cfg, w.chain, w.line)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.auth.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the authority: %v", err)
		}
	})
	return w
}

func (w world) send(subs ...flow.Submission) {
	batch := make([]fusion.Delivery, len(subs))
	for i, s := range subs {
		batch[i] = fusion.Delivery{Platform: chaintest.Platform, Business: "prescription", Submission: s}
	}
	w.line.in <- batch
}

func (w world) register1(t *testing.T, payload string) (flow.Submission, flow.Header) {
	return w.Submission(t, flow.Header{Step: flow.Register, Record: flow.SumHash([]byte(payload))}, []byte(payload))
}

// R1.4: opened with the authority's key, decided, answered with a receipt, and
// stored under the subject's key.
func TestRegistration(t *testing.T) {
	w := start(t, nil)
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub)
	d := w.line.decision(t, h.ID)
	if d.Verdict != flow.Granted || d.Flow != d.Tx {
		t.Fatalf("decision %+v", d)
	}
	p, err := receipt.Verify(d.Receipt, w.Keys, chaintest.Chain)
	must(t, err)
	if p.Leaf.Submission != h.ID || p.Leaf.Commitment != h.Commitment {
		t.Error("receipt proves something else")
	}
	stands, err := w.chain.ByTx(d.Tx)
	must(t, err)
	bySubject, err := w.chain.BySubject(stands.Subject)
	must(t, err)
	if len(bySubject) != 1 || len(stands.Subject) != 64 {
		t.Errorf("%d decisions under subject key %q", len(bySubject), stands.Subject)
	}
	onChain, facts, err := w.chain.Submission(stands)
	must(t, err)
	if strings.Contains(string(onChain.Sealed), "resident") || strings.Contains(facts.Subject, "resident") {
		t.Error("plaintext stands on the chain")
	}
}

// R1.2: the source's own subject key where a network asks for it.
func TestSubjectKeySHA256(t *testing.T) {
	w := start(t, func(c *authority.Config) { c.SubjectKey = authority.SubjectKeySHA256 })
	sub, h := w.register1(t, "resident:110101199003070038 RX-1")
	w.send(sub)
	d, err := w.chain.ByTx(w.line.decision(t, h.ID).Tx)
	must(t, err)
	if want := flow.SumHash([]byte("110101199003070038")).String(); d.Subject != want {
		t.Errorf("subject key %s, want SHA-256 of the number, %s", d.Subject, want)
	}
}

// What can't be opened or read is refused with a reason, on the chain, with a
// receipt, and holds up nobody behind it.
func TestUnreadableHoldsUpNobody(t *testing.T) {
	w := start(t, nil)
	malformed, hm := w.register1(t, "no-number")
	cancelled, hc := w.register1(t, "resident:1 cancel")
	good, hg := w.register1(t, "resident:1 RX-9")
	swapped, hs := w.register1(t, "resident:1 RX-8")
	swapped.Sealed = good.Sealed // sealed for another submission: its context is not this one's
	resign(t, w, &swapped)
	other := w.Key(t, envelope.Sealing)
	elsewhere, he := w.Submission(t, flow.Header{Step: flow.Settle, Flow: flow.Hash{1}, Actor: chaintest.Producer, Record: flow.Hash{2}},
		[]byte(`{"flow":"`+flow.Hash{3}.String()+`"}`))
	h := hs
	h.ID, _ = flow.NewID(rand.Reader)
	h.Recipients = []flow.KeyID{other.Public().ID()}
	foreign := flow.Submission{Sealed: good.Sealed}
	foreign.Header, _ = flow.Marshal(h)
	resign(t, w, &foreign)

	w.send(malformed, cancelled, swapped, elsewhere, foreign, good)
	for id, want := range map[flow.ID]string{
		hm.ID: "malformed", hc.ID: "cancellation_not_supported", hs.ID: "unopened", h.ID: "not_recipient", he.ID: "flow_mismatch",
	} {
		d := w.line.decision(t, id)
		if d.Verdict != flow.Refused || len(d.Reasons) != 1 || d.Reasons[0].Code != want || d.Reasons[0].Zh == "" {
			t.Errorf("want refused with %s, have %s %+v", want, d.Verdict, d.Reasons)
		}
		if _, err := receipt.Verify(d.Receipt, w.Keys, chaintest.Chain); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	if d := w.line.decision(t, hm.ID); d.Reasons[0].Path != "/number" {
		t.Errorf("malformed at %q, want /number", d.Reasons[0].Path)
	}
	if d := w.line.decision(t, hg.ID); d.Verdict != flow.Granted {
		t.Errorf("the good one behind them: %s %+v", d.Verdict, d.Reasons)
	}
}

func resign(t *testing.T, w world, s *flow.Submission) {
	t.Helper()
	var err error
	s.Signature, err = w.Suite.Sign(rand.Reader, w.Platform, s.SigningInput())
	must(t, err)
}

// Attack: what can't be attributed to an admitted platform gets no decision and
// no receipt; nothing of it reaches the chain (R7.1).
func TestForgedSubmissions(t *testing.T) {
	w := start(t, nil)
	forged, hf := w.register1(t, "resident:1 RX-1")
	stranger := w.Key(t, envelope.Signing)
	var err error
	forged.Signature, err = w.Suite.Sign(rand.Reader, stranger, forged.SigningInput())
	must(t, err)
	tampered, ht := w.register1(t, "resident:1 RX-2")
	tampered.Sealed = append([]byte(nil), tampered.Sealed...)
	tampered.Sealed[len(tampered.Sealed)-1] ^= 1
	w.send(forged, tampered, flow.Submission{Header: []byte("garbage")})
	for _, id := range []flow.ID{hf.ID, ht.ID} {
		if d := w.line.decision(t, id); d.Verdict != flow.Refused || len(d.Receipt) != 0 || d.Reasons[0].Code != "not_attributable" {
			t.Errorf("%+v", d)
		}
	}
	if w.chain.Size() != 0 {
		t.Errorf("%d decisions on the chain", w.chain.Size())
	}
}

// A resent submission gets the answer that it got before.
func TestResentSubmission(t *testing.T) {
	w := start(t, nil)
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub, sub, sub)
	first := w.line.decision(t, h.ID)
	w.send(sub)
	again := w.line.decision(t, h.ID)
	if first.Tx != again.Tx || w.chain.Size() != 1 {
		t.Errorf("decided by %s and %s; %d decisions", first.Tx, again.Tx, w.chain.Size())
	}
}

// Former sealing keys still open, so that rotation loses nothing in flight.
func TestFormerSealingKey(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	current := f.Key(t, envelope.Sealing)
	w := start(t, func(c *authority.Config) { c.Sealing = []envelope.PrivateKey{current, f.Sealing} })
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub)
	if d := w.line.decision(t, h.ID); d.Verdict != flow.Granted {
		t.Errorf("%s %+v", d.Verdict, d.Reasons)
	}
}

// R2.1: a reviewer enrols with a certificate of the authority's CA and a licence
// that the register knows.
func TestEnrolment(t *testing.T) {
	w := start(t, nil)
	key := w.Key(t, envelope.Signing)
	cert := w.Certificate(t, "reviewer-2", contract.RoleReviewer, key)
	otherCA, err := envelope.NewCA(rand.Reader, "gm", "other", w.Begun.Add(-time.Hour), w.Begun.AddDate(1, 0, 0))
	must(t, err)
	foreign, err := otherCA.Issue(rand.Reader, envelope.Subject{ID: "reviewer-2", Role: "reviewer"}, key.Public(), w.Begun.Add(-time.Minute), w.Begun.AddDate(1, 0, 0))
	must(t, err)
	apply := func(actor, licence string, cert []byte) flow.Decision {
		payload, err := flow.EncodePayload(flow.Application{Kind: "reviewer", Name: "somebody", Licence: licence, Specialties: []string{"b", "a"}, Certificate: cert})
		must(t, err)
		sub, h := w.Submission(t, flow.Header{Step: flow.Enrol, Actor: actor}, payload)
		w.send(sub)
		return w.line.decision(t, h.ID)
	}
	for what, d := range map[string]flow.Decision{
		"certificate_invalid": apply("reviewer-2", "L-1", foreign),
		"licence_unknown":     apply("reviewer-2", "L-9", cert),
	} {
		if d.Verdict != flow.Refused || d.Reasons[0].Code != what {
			t.Errorf("want %s, have %s %+v", what, d.Verdict, d.Reasons)
		}
	}
	if d := apply("reviewer-3", "L-1", cert); d.Verdict != flow.Refused {
		t.Errorf("enrolled under another's certificate: %+v", d)
	}
	if d := apply("reviewer-2", "L-1", cert); d.Verdict != flow.Granted {
		t.Fatalf("%s %+v", d.Verdict, d.Reasons)
	}
	id, ok, err := w.chain.Identity("reviewer-2")
	must(t, err)
	if !ok || id.Status != contract.Active || id.Licence == "L-1" || id.Tags[0] != "a" {
		t.Errorf("identity %+v", id)
	}
}

// R7.1: a suspended platform is refused from the next decision on.
func TestSuspension(t *testing.T) {
	w := start(t, nil)
	w.give(t, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub)
	if d := w.line.decision(t, h.ID); d.Verdict != flow.Refused || d.Reasons[0].Code != "identity_suspended" {
		t.Errorf("%s %+v", d.Verdict, d.Reasons)
	}
	var no *contract.OrderRefused
	if _, err := w.auth.Order(t.Context(), w.signed(t, contract.IdentityStatus, contract.StatusChange{ID: "nobody", Status: contract.Active})); !errors.As(err, &no) {
		t.Errorf("an order about nobody: %v", err)
	}
}

// signed is the first officer's next order.
func (w world) signed(t *testing.T, kind contract.Kind, body any) chain.SignedOrder {
	t.Helper()
	last, err := contract.LastOrder(w.chain.State())
	must(t, err)
	enc, err := flow.Marshal(body)
	must(t, err)
	return w.Fixture.Order(t, contract.Order{
		Number: last + 1, Kind: kind, Officer: chaintest.Officer, Reason: "test",
		Issued: time.Now().Unix(), Expires: time.Now().Add(time.Hour).Unix(), Body: enc,
	})
}

func (w world) give(t *testing.T, kind contract.Kind, body any) {
	t.Helper()
	_, err := w.auth.Order(t.Context(), w.signed(t, kind, body))
	must(t, err)
}

// R9.6: a held submission waits; an officer's word is answered to the platform
// without its asking again.
func TestHoldIsAnswered(t *testing.T) {
	w := start(t, nil)
	w.give(t, contract.Freeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub)
	held := w.line.decision(t, h.ID)
	if held.Verdict != flow.Held || len(held.Receipt) == 0 {
		t.Fatalf("%s %+v", held.Verdict, held.Reasons)
	}
	w.give(t, contract.Unfreeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	w.give(t, contract.HoldDecide, contract.HoldDecision{Tx: held.Tx, Grant: true})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d := w.line.decision(t, h.ID)
		if d.Verdict == flow.Granted {
			if d.Tx != held.Tx || d.Flow != held.Tx {
				t.Errorf("decided on %s, flow %s; want %s", d.Tx, d.Flow, held.Tx)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", d.Verdict)
		}
	}
}

// Anchors reach the chain; one that can't stand is dropped and holds up nobody.
func TestAnchors(t *testing.T) {
	w := start(t, nil)
	sub, h := w.register1(t, "resident:1 RX-1")
	w.send(sub)
	tx := w.line.decision(t, h.ID).Tx
	anchor := func(tx flow.Hash, at string) fusion.AnchorDelivery {
		return fusion.AnchorDelivery{Platform: chaintest.Platform, Business: "prescription", Anchors: []flow.Anchor{{Tx: tx, BusinessTx: at}}}
	}
	w.line.anchors <- []fusion.AnchorDelivery{anchor(flow.Hash{1}, "x"), anchor(tx, "b1")}
	w.line.anchors <- nil // taken when the batch before is done
	d, err := w.chain.ByTx(tx)
	must(t, err)
	if d.Anchor != "b1" {
		t.Errorf("anchored at %q", d.Anchor)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package system

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/trial"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
	"signalbox.dev/signalbox/receipt"
)

// open runs an all-in-one system in a new directory until the test ends or stop
// is called.
func open(t testing.TB, dir string, unattended bool) (s *System, stop func()) {
	t.Helper()
	return openSuite(t, dir, "gm", unattended)
}

func openSuite(t testing.TB, dir, suite string, unattended bool) (s *System, stop func()) {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, Suite: suite, BaseURL: "http://127.0.0.1", Unattended: unattended})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatalf("running the system: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the system: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sample(t testing.TB, i int) []byte {
	t.Helper()
	all, err := samples.All()
	must(t, err)
	return all[i].Data
}

// outcome waits for a submission's end and wants it done.
func outcome(t *testing.T, p *platform.Platform, id flow.ID, err error) outbox.Outcome {
	t.Helper()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o, err := p.Wait(ctx, id)
	must(t, err)
	if o.State != outbox.Done {
		t.Fatalf("%s is %s: %v", o.Step, o.State, o.Reasons)
	}
	return o
}

// steps takes a flow through the platform's modules by hand.
type steps struct {
	*testing.T
	s    *System
	flow flow.Hash
}

const (
	reviewerA, reviewerB = "rx-reviewer-001", "rx-reviewer-002"
	producerA, producerB = "rx-pharmacy-001", "rx-pharmacy-002"
)

func (x *steps) enrol() {
	x.Helper()
	for _, p := range trial.People() {
		if p.Role != contract.RoleReviewer {
			continue
		}
		id, err := x.s.Platform.Review.Enrol(x.Context(), review.Application{ID: p.ID, Application: flow.Application{
			Kind: "reviewer", Name: p.Name, Licence: p.Licence, Certificate: x.s.ring.people[p.ID].certificate,
		}})
		outcome(x.T, x.s.Platform, id, err)
	}
}

func (x *steps) register(i int) {
	x.Helper()
	r, err := x.s.Platform.Authorise.Register(x.Context(), authorise.Input{Data: sample(x.T, i)})
	x.flow = outcome(x.T, x.s.Platform, r.Ref, err).Flow
}

func (x *steps) request(who string) outbox.Outcome {
	x.Helper()
	id, err := x.s.Platform.Review.Request(x.Context(), x.flow, who)
	return outcome(x.T, x.s.Platform, id, err)
}

func (x *steps) approve(who string) {
	x.Helper()
	id, err := x.s.Platform.Review.Submit(x.Context(), review.Result{Flow: x.flow, Reviewer: who, Opinion: flow.Approve})
	outcome(x.T, x.s.Platform, id, err)
}

func (x *steps) order(who string) outbox.Outcome {
	x.Helper()
	id, err := x.s.Platform.Process.Order(x.Context(), process.OrderRequest{Flow: x.flow, Producer: who, Delivery: "pickup"})
	return outcome(x.T, x.s.Platform, id, err)
}

// R1 to R5 by hand, and who sees what on the way: a reviewer sees no record that
// is not theirs (R2.4), a producer opens no other's order (R4.2), the platform
// opens nothing that is sealed to a producer or the authority (R7.3).
func TestWhoSeesWhat(t *testing.T) {
	s, _ := open(t, t.TempDir(), true)
	x := &steps{T: t, s: s}
	x.enrol()
	x.register(0)
	if _, err := s.Platform.Review.Read(t.Context(), x.flow, reviewerA); !errors.Is(err, review.ErrNotYours) {
		t.Errorf("reading before asking: %v", err)
	}
	x.request(reviewerA)
	record, err := s.Platform.Review.Read(t.Context(), x.flow, reviewerA)
	must(t, err)
	if !strings.Contains(string(record), "patient") {
		t.Error("the reviewer was not shown the record")
	}
	if _, err := s.Platform.Review.Read(t.Context(), x.flow, reviewerB); !errors.Is(err, review.ErrNotYours) {
		t.Errorf("another reviewer: %v", err)
	}
	x.approve(reviewerA)
	if _, err := s.Platform.Review.Read(t.Context(), x.flow, reviewerA); !errors.Is(err, review.ErrNotYours) {
		t.Errorf("reading with a used token: %v", err)
	}
	ordered := x.order(producerA)
	if _, err := s.Platform.Process.Fetch(t.Context(), x.flow, producerB); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("another producer's request: %v", err)
	}
	stored, err := s.Platform.Process.Fetch(t.Context(), x.flow, producerA)
	must(t, err)
	reader := sealing.Reader{Suite: s.suite, Chain: s.Settings.Chain, Log: s.Keys, Sender: s.ring.platform.Signing.Public()}
	for who, key := range map[string]envelope.PrivateKey{
		"another producer": s.ring.people[producerB].sealing,
		"the platform":     s.ring.platform.Sealing,
		"the network":      s.ring.platform.Network,
		"the authority":    s.ring.authority.Sealing,
	} {
		if _, err := process.OpenOrder(reader, stored, key); !errors.Is(err, envelope.ErrNotRecipient) {
			t.Errorf("%s opening the order: %v", who, err)
		}
	}
	if _, err := process.OpenOrder(reader, stored, s.ring.people[producerA].sealing); err != nil {
		t.Errorf("its own producer: %v", err)
	}
	d, err := s.Chain.ByTx(ordered.Tx)
	must(t, err)
	sub, _, err := s.Chain.Submission(d)
	must(t, err)
	h, err := sub.Open()
	must(t, err)
	for who, key := range map[string]envelope.PrivateKey{"platform": s.ring.platform.Sealing, "network": s.ring.platform.Network} {
		if _, err := s.suite.Open(envelope.SubmissionContext(h), sub.Sealed, key); !errors.Is(err, envelope.ErrNotRecipient) {
			t.Errorf("the %s's key opens what is sealed to the authority: %v", who, err)
		}
	}
}

// cheat is a platform that leaves its own modules out: it seals and signs what
// it likes with its own good keys and pushes it to the fusion node.
type cheat struct {
	*steps
	sealer *sealing.Sealer
	side   *fusion.PlatformSide
}

func newCheat(x *steps) *cheat {
	x.Helper()
	s := x.s
	sealer, err := sealing.New(sealing.Config{
		Suite: s.suite, Chain: s.Settings.Chain, Network: s.Settings.Network, Platform: s.Settings.Platform, Business: "prescription",
		Signing: s.ring.platform.Signing, Sealing: s.ring.platform.Sealing, NetworkKey: s.ring.platform.Network.Public(),
		Authority: []envelope.PublicKey{s.ring.authority.Sealing.Public()}, Log: s.Keys, Zone: time.FixedZone(zoneName, zoneOffset),
	})
	must(x.T, err)
	directory, err := fusion.NewDirectory(s.node.Node)
	must(x.T, err)
	return &cheat{steps: x, sealer: sealer, side: directory.Platform(s.Settings.Platform)}
}

// push submits a step and gives the decision as it stands on the chain.
func (c *cheat) push(step flow.Step, actor string, payload any) (receipt.Leaf, []byte) {
	c.Helper()
	enc, err := flow.EncodePayload(payload)
	must(c.T, err)
	sealed, err := c.sealer.Seal(sealing.Draft{Step: step, Flow: c.flow, Actor: actor, Payload: enc, To: c.sealer.Own()})
	must(c.T, err)
	must(c.T, c.side.Submit(c.Context(), sealed.Submission))
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		d, err := c.s.Chain.BySubmission(sealed.Header.ID)
		if err == nil {
			return d.Leaf, sealed.Value
		}
	}
	c.Fatalf("%s was not decided", step)
	return receipt.Leaf{}, nil
}

func (c *cheat) refused(step flow.Step, actor string, payload any, want string) {
	c.Helper()
	leaf, _ := c.push(step, actor, payload)
	if leaf.Verdict != flow.Refused || len(leaf.Reasons) == 0 || leaf.Reasons[0] != want {
		c.Errorf("%s: %s %v, want refused with %s", step, leaf.Verdict, leaf.Reasons, want)
	}
}

// Attacks by a platform that claims supervision is off. R1.7, R3.2, R3.4.
func TestCheatingPlatform(t *testing.T) {
	s, _ := open(t, t.TempDir(), true)
	x := &steps{T: t, s: s}
	x.enrol()
	x.register(0)
	c := newCheat(x)
	at := time.Now().UTC()
	// An order on a record that nobody reviewed.
	p := c.purchase(producerA)
	c.refused(flow.Order, producerA, p, "out_of_order")
	// A result without a request, then with a token that was computed, not given.
	pres, err := flow.Token(at.In(time.FixedZone(zoneName, zoneOffset)), x.flow, flow.ReviewRequest)
	must(t, err)
	c.refused(flow.ReviewResult, reviewerA, flow.Review{Flow: x.flow, Reviewer: reviewerA, Opinion: flow.Approve, ReviewedAt: at, Token: pres, Request: flow.Hash{9}}, "out_of_order")
	asked := x.request(reviewerA)
	c.refused(flow.ReviewResult, reviewerA, flow.Review{Flow: x.flow, Reviewer: reviewerA, Opinion: flow.Approve, ReviewedAt: at, Token: pres, Request: flow.Hash{9}}, "token_missing")
	c.refused(flow.ReviewResult, reviewerA, flow.Review{Flow: x.flow, Reviewer: reviewerA, Opinion: flow.Approve, ReviewedAt: at}, "malformed")
	c.refused(flow.ReviewResult, reviewerB, flow.Review{Flow: x.flow, Reviewer: reviewerB, Opinion: flow.Approve, ReviewedAt: at, Token: asked.Token, Request: asked.Tx}, "token_wrong")
	x.approve(reviewerA)
	// A settlement without an order.
	settlement := flow.Settlement{Flow: x.flow, SubjectID: p.SubjectID, Producer: producerA, Currency: p.Currency, Payment: "pay-1", PaidAt: at}
	lines, sum, err := profile.Settle(p.Lines)
	must(t, err)
	settlement.Lines, settlement.Total, settlement.Insured, settlement.Self = lines, sum.Total, sum.Insured, sum.Self
	settlement.Token, settlement.Order = pres, flow.Hash{9}
	c.refused(flow.Settle, producerA, settlement, "out_of_order")
	ordered := x.order(producerA)
	c.refused(flow.Settle, producerA, settlement, "token_missing")
	settlement.Token, settlement.Order = ordered.Token, ordered.Tx
	c.refused(flow.Settle, producerB, withProducer(settlement, producerB), "token_wrong")
	more := settlement
	more.Lines = append([]flow.SettlementLine(nil), settlement.Lines...)
	more.Lines[0].Price, more.Lines[0].Self = more.Lines[0].Price+100, more.Lines[0].Self+100
	more.Total, more.Self = more.Total+100, more.Self+100
	c.refused(flow.Settle, producerA, more, "amount_mismatch")
	leaf, value := c.push(flow.Settle, producerA, settlement)
	if leaf.Verdict != flow.Granted {
		t.Fatalf("a true settlement: %s %v", leaf.Verdict, leaf.Reasons)
	}
	// The token is used.
	c.refused(flow.Settle, producerA, settlement, "out_of_order")
	c.bypassLedger(leaf, value)
}

// purchase composes an order of the whole record.
func (c *cheat) purchase(producer string) flow.Purchase {
	c.Helper()
	stored, err := c.s.Ledger.Get(c.Context(), ledger.Key{Flow: c.flow, Tx: c.flow})
	must(c.T, err)
	reader := sealing.Reader{Suite: c.s.suite, Chain: c.s.Settings.Chain, Log: c.s.Keys, Sender: c.s.ring.platform.Signing.Public()}
	raw, err := reader.Open(stored, c.s.ring.platform.Sealing)
	must(c.T, err)
	p, err := prescription.New(prescription.Config{})
	must(c.T, err)
	rec, err := p.Parse(raw)
	must(c.T, err)
	out := flow.Purchase{Flow: c.flow, SubjectID: rec.SubjectID, Producer: producer, Currency: rec.Currency, Delivery: "pickup", OrderedAt: time.Now().UTC()}
	for _, i := range rec.Items {
		out.Lines = append(out.Lines, flow.OrderLine{Item: i.Code, Name: i.Name, Quantity: i.Quantity, Unit: i.Unit, Price: i.Price, Ratio: i.Ratio})
	}
	return out
}

func withProducer(s flow.Settlement, id string) flow.Settlement {
	s.Producer = id
	return s
}

// bypassLedger tries the business chain itself with a good decision and with none.
func (c *cheat) bypassLedger(leaf receipt.Leaf, value []byte) {
	c.Helper()
	d, err := c.s.Chain.ByTx(leaf.Tx)
	must(c.T, err)
	proof, err := c.s.Chain.Receipt(d)
	must(c.T, err)
	rec := ledger.Record{Key: ledger.Key{Flow: leaf.Flow, Tx: leaf.Tx}, Step: leaf.Step, Value: value, Receipt: proof}
	for what, change := range map[string]func(*ledger.Record){
		"no receipt":    func(r *ledger.Record) { r.Receipt = nil },
		"other content": func(r *ledger.Record) { r.Value = append([]byte("x"), r.Value...) },
		"another step":  func(r *ledger.Record) { r.Step = flow.Order },
		"another flow":  func(r *ledger.Record) { r.Key.Flow = flow.Hash{1} },
		"another key":   func(r *ledger.Record) { r.Key.Tx = flow.Hash{1} },
	} {
		bad := rec
		change(&bad)
		if _, err := c.s.Ledger.Put(c.Context(), bad); !errors.Is(err, ledger.ErrRefused) {
			c.Errorf("business chain took a record with %s: %v", what, err)
		}
	}
	if _, err := c.s.Ledger.Put(c.Context(), rec); err != nil {
		c.Errorf("business chain refused the true record: %v", err)
	}
}

// A restart in the middle finishes what was begun, twice nothing; both chains
// agree afterwards.
func TestRestartInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	s, stop := open(t, dir, false)
	var refs []string
	for i := range 6 {
		r, err := s.Platform.Authorise.Register(t.Context(), authorise.Input{Data: sample(t, i)})
		must(t, err)
		refs = append(refs, r.Ref.String())
	}
	stop()
	s, stop = open(t, dir, false)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for _, ref := range refs {
		follow(ctx, t, s, ref)
	}
	stop()
	checked, err := Fsck(t.Context(), dir, Beside{}, time.Now(), func(string) {})
	must(t, err)
	if len(checked.Inconsistencies) != 0 || checked.Records != 5*len(refs) {
		t.Errorf("%+v", checked)
	}
}

// follow waits until a flow is delivered.
func follow(ctx context.Context, t *testing.T, s *System, ref string) {
	t.Helper()
	seen := errors.New("seen")
	look := func(event.Event) error {
		v, err := s.Platform.Flow(ctx, ref)
		if err == nil && v.State == flow.Delivered {
			return seen
		}
		return err
	}
	if err := look(event.Event{}); err == nil {
		err = s.Platform.Events(ctx, 0, look)
		if !errors.Is(err, seen) {
			t.Fatalf("flow %s was not delivered: %v", ref, err)
		}
	} else if !errors.Is(err, seen) {
		t.Fatal(err)
	}
}

// Key files are unreadable for others and without the passphrase, and a key
// serves for its use only (R7.3, R8.4).
func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := found(dir, "gm", time.Now()); err != nil {
		t.Fatal(err)
	}
	l := dataDir(dir)
	p, err := party.Passphrase(l.passphrase())
	must(t, err)
	r := newRing(envelope.GM(), chainID)
	if err := party.LoadKeys(append(p, 'x'), r.slots(l)); err == nil {
		t.Error("keys open with another passphrase")
	}
	must(t, party.LoadKeys(p, r.slots(l)))
	var key envelope.PrivateKey
	if err := party.LoadKeys(p, []party.Slot{{Key: &key, Use: envelope.Signing, File: l.Path("authority/keys/sealing.pem")}}); err == nil {
		t.Error("a sealing key was taken for a signing key")
	}
	if _, _, err := found(dir, "intl", time.Now()); err == nil {
		t.Error("a directory of suite gm was opened as intl")
	}
}

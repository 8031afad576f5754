package chain_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// give carries out an order that must succeed.
func give(t *testing.T, f *chaintest.Fixture, c *chain.Chain, kind contract.Kind, body any) contract.OrderOutcome {
	t.Helper()
	out, err := f.Give(t, c, kind, body)
	must(t, err)
	return out
}

// R7.1, R9.6: suspension acts with the very next decision, and so does its end.
func TestSuspensionByOrder(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	give(t, f, c, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
	if d := f.Register(t, c, "RX-1"); d.Leaf.Verdict != flow.Refused || d.Leaf.Reasons[0] != "identity_suspended" {
		t.Errorf("while suspended: %s %v", d.Leaf.Verdict, d.Leaf.Reasons)
	}
	give(t, f, c, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Active})
	if d := f.Register(t, c, "RX-1"); d.Leaf.Verdict != flow.Granted {
		t.Errorf("active again: %s %v", d.Leaf.Verdict, d.Leaf.Reasons)
	}
}

// R9.6: a held submission gets an officer's decision on its own transaction: the
// flow's id is the transaction hash that it had from the start, the receipt
// proves the later decision, and the whole chain replays.
func TestHeldSubmissionIsGranted(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	c, stop := f.Open(t, dir)
	give(t, f, c, contract.Freeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	held := f.Register(t, c, "RX-1")
	if held.Leaf.Verdict != flow.Held || !held.Leaf.Flow.IsZero() {
		t.Fatalf("while frozen: %s, flow %s", held.Leaf.Verdict, held.Leaf.Flow)
	}
	give(t, f, c, contract.Unfreeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	out := give(t, f, c, contract.HoldDecide, contract.HoldDecision{Tx: held.Leaf.Tx, Grant: true})
	if len(out.Resolved) != 1 {
		t.Fatalf("%d resolved, want 1", len(out.Resolved))
	}
	<-c.Resolutions()
	resolved, next, err := c.Resolved(0, 10)
	must(t, err)
	if len(resolved) != 1 || resolved[0].Leaf.Tx != held.Leaf.Tx || next != resolved[0].Index+1 {
		t.Errorf("%d resolved, to go on at %d", len(resolved), next)
	}
	if more, end, err := c.Resolved(next, 10); err != nil || len(more) != 0 || end != next {
		t.Errorf("after the last: %d resolved, to go on at %d, %v", len(more), end, err)
	}
	now, err := c.BySubmission(held.Leaf.Submission)
	must(t, err)
	if now.Leaf.Verdict != flow.Granted || now.Leaf.Flow != held.Leaf.Tx || now.Leaf.Tx != held.Leaf.Tx || now.Order == 0 {
		t.Fatalf("after the officer's word: %+v", now.Leaf)
	}
	file, err := c.Receipt(now)
	must(t, err)
	p, err := receipt.Verify(file, f.Keys, chaintest.Chain)
	must(t, err)
	if p.Leaf.Verdict != flow.Granted || p.Leaf.Facts != held.Leaf.Facts {
		t.Errorf("receipt proves %s, facts %s; want granted on the same facts", p.Leaf.Verdict, p.Leaf.Facts)
	}
	stop()
	seen := 0
	r, err := chain.Replay(t.Context(), dir, f.Keys, func(d chain.Decided) error { seen++; return nil })
	must(t, err)
	if len(r.Problems) != 0 || seen != 1 || r.Decisions != 2 {
		t.Errorf("replay: %d seen, %+v", seen, r)
	}
}

// Attacks on orders: nobody but an active officer, signed for this chain, each
// number once.
func TestForgedOrders(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	body, err := flow.Marshal(contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
	must(t, err)
	order := contract.Order{
		Number: 1, Kind: contract.IdentityStatus, Officer: chaintest.Officer, Reason: "test",
		Issued: time.Now().Unix(), Expires: time.Now().Add(time.Hour).Unix(), Body: body,
	}
	good := f.Order(t, order)
	forged := good
	forged.Signature, err = f.Suite.Sign(rand.Reader, f.Platform, chain.OrderInput(chaintest.Chain, good.Order))
	must(t, err)
	elsewhere := good
	elsewhere.Signature, err = f.Suite.Sign(rand.Reader, f.Others[chaintest.Officer], chain.OrderInput("supervision-other", good.Order))
	must(t, err)
	byReviewer := order
	byReviewer.Officer = chaintest.Reviewer
	byNobody := order
	byNobody.Officer = "officer-9"
	nobody := f.Order(t, order)
	nobody.Order, err = flow.Marshal(byNobody)
	must(t, err)
	second := good
	second.Second, second.SecondSignature = chaintest.Officer2, good.Signature
	send := func(o chain.SignedOrder) error {
		tx, err := chain.Compose(chaintest.Chain, chain.KindOrder, o, f.Suite, f.Signing, rand.Reader)
		must(t, err)
		_, err = c.Order(t.Context(), tx)
		return err
	}
	for what, o := range map[string]chain.SignedOrder{
		"signed by another": forged, "for another chain": elsewhere, "by a reviewer": f.Order(t, byReviewer),
		"by nobody": nobody, "second officer's signature forged": second,
	} {
		if err := send(o); !errors.Is(err, chain.ErrSender) {
			t.Errorf("%s: %v, want ErrSender", what, err)
		}
	}
	must(t, send(good))
	var no *contract.OrderRefused
	if err := send(f.Order(t, order)); !errors.As(err, &no) || no.Code != "order_replayed" {
		t.Errorf("replayed: %v", err)
	}
}

// R6.1: a version takes force exactly at its height, and every decision names
// the one that made it.
func TestRulesTakeForceAtTheirHeight(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	before := f.Register(t, c, "RX-1")
	text := append(contracts.Prescription(), "\n# another edition\n"...)
	height := c.Height() + 8
	give(t, f, c, contract.RulesPublish, contract.Publication{Text: text, Height: height})
	for i := 0; c.Height() < height+2; i++ {
		d := f.Register(t, c, chaintest.Numbered(i))
		want := before.Leaf.ContractVersion
		if d.Height >= height {
			want++
		}
		if d.Leaf.ContractVersion != want {
			t.Errorf("block %d decided by version %d, want %d", d.Height, d.Leaf.ContractVersion, want)
		}
	}
}

// R6.1: on a chain where nothing else happens, a tick lets a published bundle
// take force; without something due there is nothing to tick for.
func TestTickLetsRulesTakeForce(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	waiting := func() bool {
		due, err := contract.Waiting(c.State(), c.Height(), time.Now().Unix())
		must(t, err)
		return due
	}
	if waiting() {
		t.Error("something is due on a new chain")
	}
	give(t, f, c, contract.RulesPublish, contract.Publication{Text: append(contracts.Prescription(), "\n# another edition\n"...)})
	if !waiting() {
		t.Error("a published bundle is not due with the next block")
	}
	tx, err := chain.Compose(chaintest.Chain, chain.KindTick, chain.Tick{Now: time.Now().Unix()}, f.Suite, f.Signing, rand.Reader)
	must(t, err)
	must(t, c.Submit(t.Context(), tx))
	if waiting() {
		t.Error("still due after the tick")
	}
	if v, ok, err := contract.VersionOf(c.State(), 2); err != nil || !ok || v.Order != 1 {
		t.Errorf("version 2: %+v, %v, %v; want the first order's", v, ok, err)
	}
}

// Explanations: live against the state of now, offline against the state that
// the decision had.
func TestExplain(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	c, stop := f.Open(t, dir)
	give(t, f, c, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
	d := f.Register(t, c, "RX-1")
	give(t, f, c, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Active})
	now, err := c.Explain(d.Leaf.Tx)
	must(t, err)
	if now.Decision.Verdict != flow.Granted {
		t.Errorf("against the state of now: %s", now.Decision.Verdict)
	}
	n := 0
	must(t, c.Past(t.Context(), time.Time{}, time.Time{}, func(p chain.Past) error { n++; return nil }))
	stop()
	then, err := chain.ExplainAt(t.Context(), dir, d.Leaf.Tx)
	must(t, err)
	if then.Decision.Verdict != flow.Refused || then.Decision.Reasons[0].Code != "identity_suspended" {
		t.Errorf("against the state of then: %s %v", then.Decision.Verdict, then.Decision.Reasons)
	}
	if _, err := chain.ExplainAt(t.Context(), dir, flow.Hash{1}); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("unknown transaction: %v", err)
	}
	m := 0
	must(t, chain.PastOf(t.Context(), dir, func(p chain.Past) error { m++; return nil }))
	if n != 1 || m != 1 {
		t.Errorf("%d past decisions live, %d offline, want 1", n, m)
	}
}

// A registration explained on the running chain does not stand in its own way,
// and a backtest of a stopped chain has facts as of then: a reviewer's tags as
// they were at each decision, whatever an order made of them since (R6.4, R9.5).
func TestPastIsAsOfThen(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	c, stop := f.Open(t, dir)
	rx := f.Register(t, c, "RX-1")
	e, err := c.Explain(rx.Leaf.Tx)
	must(t, err)
	if e.Decision.Verdict != flow.Granted {
		t.Errorf("a registration against itself: %s %v", e.Decision.Verdict, e.Decision.Reasons)
	}
	reviewer, _, err := c.Identity(chaintest.Reviewer)
	must(t, err)
	for _, tag := range []string{"general", "narcotic"} {
		reviewer.Tags = []string{tag}
		give(t, f, c, contract.IdentityRenew, reviewer)
		sub, h := f.Submission(t, flow.Header{Step: flow.ReviewRequest, Flow: rx.Leaf.Tx, Actor: chaintest.Reviewer}, []byte(`{}`))
		d, err := c.Decide(t.Context(), h.ID, f.Compose(t, sub, contract.Facts{Business: "prescription", Reviewer: chaintest.Reviewer}))
		must(t, err)
		if d.Leaf.Verdict != flow.Granted {
			t.Fatalf("asking to review: %s %v", d.Leaf.Verdict, d.Reasons)
		}
	}
	give(t, f, c, contract.Freeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	held := f.Register(t, c, "RX-2")
	give(t, f, c, contract.Unfreeze, contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform})
	give(t, f, c, contract.HoldDecide, contract.HoldDecision{Tx: held.Leaf.Tx, Grant: true})
	stop()
	var got [][]string
	var verdicts []flow.Verdict
	must(t, chain.PastOf(t.Context(), dir, func(p chain.Past) error {
		got, verdicts = append(got, p.Facts.ReviewerTags), append(verdicts, p.Leaf.Verdict)
		return nil
	}))
	want := [][]string{nil, {"general"}, {"narcotic"}, nil}
	if !cmp.Equal(want, got) || !cmp.Equal(verdicts, []flow.Verdict{flow.Granted, flow.Granted, flow.Granted, flow.Granted}) {
		t.Errorf("tags %v, %v, want %v and each granted once", got, verdicts, want)
	}
}

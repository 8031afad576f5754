package platform_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// ruling is how the fake authority decides one submission. The zero value grants.
type ruling struct {
	verdict  flow.Verdict
	reasons  []flow.Reason
	leaf     func(*receipt.Leaf)  // changes the leaf before it is logged
	decision func(*flow.Decision) // changes the decision on its way
	lie      bool                 // somebody else's answer: the authority has decided nothing
}

// authority plays fusion node, authority and supervision chain in one: it
// checks, opens and decides each submission once, and mints real receipts. It
// outlives the platform's restarts.
type authority struct {
	tb       testing.TB
	suite    envelope.Suite
	log      *ledgertest.Authority
	sealing  envelope.PrivateKey
	platform envelope.PublicKey
	now      func() time.Time
	zone     *time.Location
	faults   *faults
	rule     func(h flow.Header, payload []byte) ruling
	copies   int // of each decision, delivered besides it

	mu        sync.Mutex // guards what follows
	decided   map[flow.ID]flow.Decision
	digests   map[flow.ID]flow.Hash
	payloads  map[flow.ID][]byte
	states    map[flow.Hash]flow.State
	granted   map[flow.Hash][]flow.Step // in order; zero for enrolments
	anchors   map[flow.Hash]string
	pushes    int
	attempts  []int // of each push
	problems  []string
	queue     []flow.Decision
	available chan struct{}
}

var _ outbox.Transport = (*authority)(nil)

func newAuthority(tb testing.TB, w *world) *authority {
	return &authority{
		tb: tb, suite: w.suite, log: ledgertest.NewAuthority(tb, chainID), sealing: generate(tb, w.suite, envelope.Sealing),
		platform: w.signing.Public(), now: w.now, zone: w.zone, faults: w.faults,
		rule:    func(flow.Header, []byte) ruling { return ruling{} },
		decided: map[flow.ID]flow.Decision{}, digests: map[flow.ID]flow.Hash{}, payloads: map[flow.ID][]byte{},
		states: map[flow.Hash]flow.State{}, granted: map[flow.Hash][]flow.Step{}, anchors: map[flow.Hash]string{},
		available: make(chan struct{}, 1024),
	}
}

// Resubmit implements outbox.Transport.
func (a *authority) Resubmit(ctx context.Context, s flow.Submission, attempt int) error {
	return a.faults.at(ctx, "submit", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.pushes++
		a.attempts = append(a.attempts, attempt)
		d, err := a.decide(s)
		if err != nil {
			a.problems = append(a.problems, err.Error())
			return err
		}
		for range 1 + a.copies {
			a.enqueue(d)
		}
		return nil
	})
}

// enqueue needs mu.
func (a *authority) enqueue(d flow.Decision) {
	a.queue = append(a.queue, d)
	select {
	case a.available <- struct{}{}:
	default:
	}
}

// decide needs mu.
func (a *authority) decide(s flow.Submission) (flow.Decision, error) {
	h, err := s.Open()
	if err != nil {
		return flow.Decision{}, err
	}
	digest := flow.SumHash(s.SigningInput(), s.Signature)
	if d, known := a.decided[h.ID]; known {
		if a.digests[h.ID] != digest {
			return flow.Decision{}, errors.New("another submission under a known id")
		}
		return d, nil
	}
	if err := a.suite.Verify(a.platform, s.SigningInput(), s.Signature); err != nil {
		return flow.Decision{}, err
	}
	m, err := a.suite.Open(envelope.SubmissionContext(h), s.Sealed, a.sealing)
	if err != nil {
		return flow.Decision{}, err
	}
	r := a.rule(h, m.Payload)
	d := a.judge(h, flow.SumHash(digest[:]), m.Payload, r)
	if d.Verdict != flow.Held && !r.lie {
		a.decided[h.ID], a.digests[h.ID] = d, digest
	}
	a.payloads[h.ID] = m.Payload
	return d, nil
}

// judge needs mu.
func (a *authority) judge(h flow.Header, tx flow.Hash, payload []byte, r ruling) flow.Decision {
	if r.verdict == "" {
		r.verdict = flow.Granted
	}
	id := h.Flow
	if h.Step == flow.Register && r.verdict == flow.Granted {
		id = tx
	}
	if h.Step != flow.Enrol && r.verdict == flow.Granted && !r.lie {
		next, err := flow.Next(a.states[id], h.Step, approved(payload))
		if err != nil {
			r.verdict, r.reasons = flow.Refused, []flow.Reason{{Code: "out_of_order", Zh: "环节次序不符", En: "out of order"}}
		} else {
			a.states[id] = next
		}
	}
	if r.verdict == flow.Granted && !r.lie {
		a.granted[id] = append(a.granted[id], h.Step)
	}
	l := a.leaf(h, r, id, tx)
	if r.leaf != nil {
		r.leaf(&l)
	}
	d := flow.Decision{
		ID: h.ID, Platform: h.Platform, Business: h.Business, Flow: l.Flow, Tx: l.Tx, Verdict: r.verdict,
		Reasons: r.reasons, Receipt: a.log.Receipt(a.tb, l),
	}
	if r.decision != nil {
		r.decision(&d)
	}
	return d
}

// ruleFor has fn decide about one step, until the returned function is called.
func (a *authority) ruleFor(step flow.Step, fn func() ruling) (end func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rule = func(h flow.Header, _ []byte) ruling {
		if h.Step != step {
			return ruling{}
		}
		return fn()
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.rule = func(flow.Header, []byte) ruling { return ruling{} }
	}
}

// pushed counts pushes so far.
func (a *authority) pushed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pushes
}

func (a *authority) leaf(h flow.Header, r ruling, id, tx flow.Hash) receipt.Leaf {
	l := receipt.Leaf{
		Suite: h.Suite, Chain: h.Chain, Network: h.Network, Platform: h.Platform, Business: h.Business,
		Actor: h.Actor, Step: h.Step, Verdict: r.verdict, Issued: a.now().Unix(), ContractVersion: 1,
		Flow: id, Tx: tx, Commitment: h.Commitment, Record: h.Record, Submission: h.ID,
	}
	for _, reason := range r.reasons {
		l.Reasons = append(l.Reasons, reason.Code)
	}
	if r.verdict == flow.Granted && h.Step.TokenSuffix() != "" {
		l.Token, _ = flow.Token(a.now().In(a.zone), id, h.Step)
		l.Expires = a.now().Add(2 * time.Hour).Unix()
	}
	return l
}

func approved(payload []byte) bool {
	var r flow.Review
	return flow.DecodePayload(payload, &r) == nil && r.Opinion == flow.Approve
}

// Anchor implements outbox.Transport.
func (a *authority) Anchor(ctx context.Context, business string, anchors []flow.Anchor) error {
	return a.faults.at(ctx, "anchor", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, n := range anchors {
			if old, ok := a.anchors[n.Tx]; ok && old != n.BusinessTx {
				a.problems = append(a.problems, "anchored twice, differently")
			}
			a.anchors[n.Tx] = n.BusinessTx
		}
		return nil
	})
}

// Decisions implements outbox.Transport: at least once, again until fn gives nil.
func (a *authority) Decisions(ctx context.Context, fn func(context.Context, flow.Decision) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.available:
		}
		a.mu.Lock()
		if len(a.queue) == 0 {
			a.mu.Unlock()
			continue
		}
		d := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		if err := a.faults.at(ctx, "decision", func() error { return fn(ctx, d) }); err != nil {
			a.mu.Lock()
			a.enqueue(d)
			a.mu.Unlock()
		}
	}
}

// deliver brings a decision to the platform, whatever it is.
func (a *authority) deliver(d flow.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.enqueue(d)
}

func generate(tb testing.TB, s envelope.Suite, use envelope.Use) envelope.PrivateKey {
	tb.Helper()
	k, err := s.GenerateKey(rand.Reader, use)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

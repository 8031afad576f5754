package contract_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// officeGenesis is the town with two officers, an institution on neither list
// and a short deadline.
func officeGenesis() contract.Genesis {
	g := townGenesis()
	g.Identities = append(g.Identities, identity(contract.RoleOfficer, "O1"), identity(contract.RoleOfficer, "O2"))
	g.HoldDeadline = 6 * 3600
	g.Committee = committee.Terms{Seats: 2, Epoch: 3}
	for _, id := range []string{"N1", "N2"} {
		g.Identities = append(g.Identities, identity(contract.RoleNode, id))
		g.Nodes = append(g.Nodes, nodeSeat(id, 1))
	}
	return g
}

// side is one of two instances that must come to the same.
type side struct {
	s mapState
	c *contract.Contract
}

// do begins a block, and decides a request or carries out an order in it.
func (x *side) do(t *testing.T, at contract.Block, r *contract.Request, o *contract.Order, second string) (all []contract.Resolved, refused string) {
	t.Helper()
	changed, err := contract.Due(x.s, at.Height, at.Now)
	if err != nil {
		t.Fatal(err)
	}
	if changed {
		if x.c, err = contract.New(x.s); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = x.c.ExpireHolds(x.s, at); err != nil {
		t.Fatal(err)
	}
	if o == nil {
		return append(all, contract.Resolved{Request: *r, Decision: decide(t, x.c, x.s, *r)}), ""
	}
	before := x.s.dump()
	done, err := x.c.Apply(x.s, *o, second, at)
	var not *contract.OrderRefused
	if errors.As(err, &not) {
		if x.s.dump() != before {
			t.Fatalf("a refused order changes the state: %v", not)
		}
		if not.Why.Zh == "" || not.Why.En == "" || not.Advice.Zh == "" || not.Advice.En == "" || strings.Contains(not.Error(), "%!") {
			t.Fatalf("an order's refusal without words: %+v", not)
		}
		return all, not.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(all, done.Resolved...), ""
}

// Random requests and orders give equal decisions and equal states on two
// instances, one of which is loaded anew now and then; a held submission is
// resolved once, and a batch grant serves no more than its quota (R6.3, R9.6).
func TestOrdersDeterminism(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		g := officeGenesis()
		g.RequireGrants = seed%2 == 0
		s1, c1 := begin(t, g)
		s2, c2 := begin(t, g)
		one, two := &side{s1, c1}, &side{s2, c2}
		w := &office{walk: walk{rng: rng, used: map[flow.Hash]bool{}}, open: map[flow.Hash]bool{}, seen: seen}
		for n := range 200 {
			r, o, second := w.step(t, s1, n)
			at := contract.Block{Height: int64(2 + n/2), Now: morning + w.now, Tx: txOf(fmt.Sprint("T", n))}
			if n%40 == 39 {
				var err error
				if two.c, err = contract.New(two.s); err != nil {
					t.Fatal(err)
				}
			}
			got1, refused1 := one.do(t, at, r, o, second)
			got2, refused2 := two.do(t, at, r, o, second)
			if d := cmp.Diff(resolvedText(got1), resolvedText(got2)); d != "" || refused1 != refused2 {
				t.Fatalf("seed %d, %d: %q and %q, decisions differ:\n%s", seed, n, refused1, refused2, d)
			}
			if d := cmp.Diff(s1.dump(), s2.dump()); d != "" {
				t.Fatalf("seed %d, %d: states differ:\n%s", seed, n, d)
			}
			w.note(t, got1, o, refused1)
			if o != nil && o.Kind == contract.GrantIssue {
				w.grants = codesOf(s1)
			}
		}
		w.quotas(t, s1)
	}
	for _, what := range []string{"granted", "refused", "held", "carried out", "order_number", "hold_expired", "grant_required", "by grant", "resolved granted"} {
		if seen[what] == 0 {
			t.Errorf("the walk never comes to %s: %v", what, seen)
		}
	}
}

func resolvedText(all []contract.Resolved) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s %+v\n", r.Request.Tx, r.Decision)
	}
	return b.String()
}

// office is a walk with officers in it.
type office struct {
	walk
	open   map[flow.Hash]bool // submissions that are held
	held   []flow.Hash
	grants []string
	seen   map[string]int
}

// step gives the next submission or order.
func (w *office) step(t *testing.T, s contract.State, n int) (*contract.Request, *contract.Order, string) {
	if w.rng.IntN(3) > 0 {
		r := w.next(n)
		if w.rng.IntN(3) == 0 { // likely to come through, or to be held
			r = submission("P1", flow.Register, "", fmt.Sprint("T", n))
			r.Now = morning + w.now
			r.Facts = contract.Facts{Record: fmt.Sprint("Y", n), Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 9}}}
		}
		return &r, nil, ""
	}
	w.now += w.rng.Int64N(1800)
	last, err := contract.LastOrder(s)
	if err != nil {
		t.Fatal(err)
	}
	kind := pick(w.rng, append(contract.Kinds(), slices.Repeat([]contract.Kind{contract.HoldDecide}, 10)...)...)
	o := order(t, last+1, kind, w.body(kind))
	o.Officer = pick(w.rng, "O1", "O1", "O1", "O2")
	o.Expires = morning + w.now + pick[int64](w.rng, 600, 600, 600, 600, 600, 600, 600, 0)
	if w.rng.IntN(10) == 0 {
		o.Number += pick[uint64](w.rng, 1, 2, ^uint64(0))
	}
	return nil, &o, pick(w.rng, "", "", "", "O1", "O2", "O2")
}

func (w *office) body(kind contract.Kind) any {
	now := morning + w.now
	institution := pick(w.rng, "P1", "P2", "D1", "D2")
	switch kind {
	case contract.IdentityAdmit:
		return identity(pick(w.rng, contract.RoleReviewer, contract.RoleProducer), pick(w.rng, "R4", "D3", "R1"))
	case contract.IdentityRenew:
		return identity(contract.RoleReviewer, pick(w.rng, "R1", "R2", "R9"))
	case contract.IdentityStatus:
		return contract.StatusChange{ID: pick(w.rng, "R2", "D2", "P2", "O2"), Status: pick(w.rng, contract.Active, contract.Active, contract.Suspended)}
	case contract.ListDefine:
		return contract.Definition{Name: pick[contract.List](w.rng, "a", "b"), Key: []string{"subject", "item"}, Steps: []flow.Step{flow.Register}, Message: contract.Message{Zh: "受限", En: "restricted"}}
	case contract.ListAdd:
		return contract.Additions{Entries: []contract.Addition{
			{List: pick[contract.List](w.rng, "a", contract.RestrictedSubjectItems), Key: []string{"S1", pick(w.rng, "I1", "I3")}, To: now + w.rng.Int64N(7200), Reason: "r", Basis: "b"},
			{List: contract.RestrictedSubjects, Key: []string{pick(w.rng, "S1", "S2")}, To: now + 1800, Reason: "r", Basis: "b"},
		}}
	case contract.ListLift, contract.ListAppeal, contract.ListKeep:
		return contract.EntryRef{List: contract.RestrictedSubjectItems, Number: 1 + w.rng.Uint64N(4), Text: "a mistake"}
	case contract.StandingSet:
		return contract.StandingChange{Institution: institution, Standing: pick(w.rng, contract.Allow, contract.Deny, contract.Neither, contract.Neither)}
	case contract.GrantIssue:
		return contract.Grant{Institution: institution, Steps: flow.Steps()[1:], To: now + 86400, Quota: 1 + w.rng.Uint64N(5)}
	case contract.GrantRenew:
		return contract.GrantRenewal{Code: pick(w.rng, append(w.grants, "none")...), To: now + 86400, More: 1}
	case contract.GrantRevoke:
		return contract.GrantRef{Code: pick(w.rng, append(w.grants, "none")...)}
	case contract.Freeze, contract.Unfreeze:
		return contract.Target{What: pick(w.rng, contract.FrozenSubject, contract.FrozenInstitution), ID: pick(w.rng, "S1", "S2", "D2")}
	case contract.Stop, contract.Resume:
		return contract.StepStop{Business: "prescription", Step: pick(w.rng, flow.Steps()...), Until: now + 3600}
	case contract.HoldDecide:
		tx := pick(w.rng, append(w.held[max(0, len(w.held)-2):], flow.Hash{})...)
		return contract.HoldDecision{Tx: tx, Grant: w.rng.IntN(4) > 0}
	case contract.RulesPublish:
		return contract.Publication{Text: []byte(pick(w.rng, oneRule, "rules: 1"))}
	case contract.RulesRollback:
		return contract.Rollback{Version: 1}
	case contract.PolicySet:
		return contract.Policy{Second: pick(w.rng, nil, []contract.Kind{contract.Freeze})}
	case contract.NodeAdmit:
		return nodeSeat(pick(w.rng, "N1", "N2", "N3"), pick[int64](w.rng, 0, 1, 5))
	case contract.NodeRemove:
		return contract.NodeRef{ID: pick(w.rng, "N1", "N2")}
	case contract.CommitteeSet:
		return committee.Terms{Seats: 1 + w.rng.IntN(3), Epoch: 2}
	case contract.RetentionSet:
		return contract.Retention{Business: "prescription", Days: w.rng.Int64N(3)}
	case contract.PayloadErase:
		return contract.Erasure{Ground: contract.ByLaw, Basis: "b", Payloads: []contract.Payload{{Tx: pick(w.rng, append(w.held, flow.Hash{})...)}}}
	default:
		return contract.Cancellation{Order: 1}
	}
}

// note learns from what happened, and checks what must always hold.
func (w *office) note(t *testing.T, all []contract.Resolved, o *contract.Order, refused string) {
	t.Helper()
	if o != nil {
		if refused == "" {
			refused = "carried out"
		}
		w.seen[refused]++
	}
	for _, r := range all {
		d, tx := r.Decision, r.Request.Tx
		w.seen[string(d.Verdict)]++
		for _, reason := range d.Reasons {
			w.seen[reason.Code]++
		}
		if d.Grant != "" {
			w.seen["by grant"]++
		}
		if w.open[tx] {
			w.seen["resolved "+string(d.Verdict)]++
		}
		if was, before := w.open[tx]; before && !was {
			t.Fatalf("%s is resolved twice", tx)
		}
		if d.Verdict == flow.Held {
			w.open[tx] = true
			w.held = append(w.held, tx)
			continue
		}
		if w.open[tx] {
			w.open[tx] = false
		}
		if d.Verdict == flow.Granted && r.Request.Header.Step == flow.Register {
			if d.Flow != tx {
				t.Fatalf("registration %s opens flow %s", tx, d.Flow)
			}
			w.flows = append(w.flows, d.Flow)
		}
		if !d.Token.IsZero() {
			w.permits = append(w.permits, permitted{tx, d.Token})
		}
	}
}

// codesOf gives the codes of all batch grants, sorted.
func codesOf(s mapState) []string {
	var codes []string
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if code, isGrant := strings.CutPrefix(key, "grant/"); isGrant {
			codes = append(codes, code)
		}
	}
	return codes
}

// quotas checks every batch grant in the state.
func (w *office) quotas(t *testing.T, s mapState) {
	t.Helper()
	for _, code := range codesOf(s) {
		if g, ok, err := contract.GrantOf(s, code); err != nil || !ok || g.Used > g.Quota {
			t.Errorf("grant %s: known %t, used %d of %d, %v", code, ok, g.Used, g.Quota, err)
		}
	}
}

// A quota of n serves exactly n submissions, whoever asks how often (R6.3).
func TestQuotaIsExact(t *testing.T) {
	g := officeGenesis()
	g.RequireGrants = true
	g.Grants = []contract.Grant{{Institution: "P1", Steps: []flow.Step{flow.Register}, To: until, Quota: 137}}
	s, c := begin(t, g)
	granted := map[string]int{}
	for n := range 400 {
		r := submission("P1", flow.Register, "", fmt.Sprint("F", n))
		r.Facts = contract.Facts{Record: fmt.Sprint("X", n), Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
		if n%3 == 0 {
			r.Facts.DaysSupply = 999 // refused by the rules: counts for nothing
		}
		d := decide(t, c, s, r)
		granted[string(d.Verdict)]++
		if d.Verdict == flow.Granted && d.Grant == "" {
			t.Fatal("a granted submission names no grant")
		}
	}
	if granted["granted"] != 137 {
		t.Errorf("a grant of 137 served %v", granted)
	}
}

// Many holds expire over several blocks, in order, each once (R9.6).
func TestManyHoldsExpire(t *testing.T) {
	g := officeGenesis()
	g.Standing = []contract.StandingChange{{Institution: "P1", Standing: contract.Deny}}
	s, c := begin(t, g)
	for n := range 250 {
		r := submission("P1", flow.Register, "", fmt.Sprint("F", n))
		r.Facts = contract.Facts{Record: fmt.Sprint("X", n), Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
		if d := decide(t, c, s, r); d.Verdict != flow.Held {
			t.Fatal(d.Verdict)
		}
	}
	// One is decided before: it is passed over.
	o := order(t, 1, contract.HoldDecide, contract.HoldDecision{Tx: txOf("F3"), Grant: true})
	if done, err := c.Apply(s, o, "", contract.Block{Height: 3, Now: morning}); err != nil || done.Resolved[0].Decision.Flow != txOf("F3") {
		t.Fatal(done, err)
	}
	var order []flow.Hash
	for height, want := range []int{0, 100, 100, 49, 0} {
		now := int64(morning)
		if height > 0 {
			now += g.HoldDeadline
		}
		resolved, err := c.ExpireHolds(s, contract.Block{Height: int64(4 + height), Now: now})
		if err != nil || len(resolved) != want {
			t.Fatalf("block %d: %d expire, %v; want %d", height, len(resolved), err, want)
		}
		for _, r := range resolved {
			if d := r.Decision; d.Verdict != flow.Refused || d.Reasons[0].Code != "hold_expired" || r.Request.Header.Platform != "P1" {
				t.Fatalf("%+v", r)
			}
			order = append(order, r.Request.Tx)
		}
	}
	for n, tx := range order {
		if want := n + min(1, n/3); tx != txOf(fmt.Sprint("F", want)) {
			t.Fatalf("hold %d is not in order", n)
		}
	}
}

// What there can be too much of is refused, and nothing changes.
func TestOrderBounds(t *testing.T) {
	s, c := begin(t, officeGenesis())
	number := uint64(0)
	apply := func(kind contract.Kind, body any) string {
		t.Helper()
		_, err := c.Apply(s, order(t, number+1, kind, body), "", contract.Block{Height: 2, Now: morning})
		var refused *contract.OrderRefused
		switch {
		case errors.As(err, &refused):
			return refused.Code
		case err != nil:
			t.Fatal(err)
		}
		number++
		return ""
	}
	until := func(want string, kind contract.Kind, most int, body func(n int) any) {
		t.Helper()
		for n := range most + 1 {
			if got := apply(kind, body(n)); (got != "") != (n == most) || got != "" && got != want {
				t.Fatalf("%s number %d: %q", kind, n+1, got)
			}
		}
	}
	until("list_full", contract.ListDefine, 32, func(n int) any {
		return contract.Definition{Name: contract.List(fmt.Sprint("list-", n)), Key: []string{"subject"}, Steps: []flow.Step{flow.Order}, Message: contract.Message{Zh: "受限", En: "restricted"}}
	})
	until("list_full", contract.ListAdd, 1, func(int) any {
		a := contract.Additions{}
		for range 501 {
			a.Entries = append(a.Entries, contract.Addition{List: contract.RestrictedReviewers, Key: []string{"R9"}, Reason: "r", Basis: "b"})
		}
		return a
	})
	until("grants_full", contract.GrantIssue, 16, func(int) any {
		return contract.Grant{Institution: "D1", Steps: []flow.Step{flow.Order}, To: morning + 100}
	})
	until("rules_scheduled", contract.RulesPublish, 16, func(n int) any {
		return contract.Publication{Text: []byte(oneRule), Height: int64(100 + n)}
	})
	if got := apply(contract.ListAdd, contract.Additions{}); got != "order_body" {
		t.Errorf("no entries: %q", got)
	}
	if got := apply(contract.RulesCancel, "no cancellation"); got != "order_body" {
		t.Errorf("another body: %q", got)
	}
}

// A storage failure is no refusal, and leaves the state as it was.
func TestOrderStorageFailure(t *testing.T) {
	s, c := begin(t, officeGenesis())
	w := &office{walk: walk{rng: rand.New(rand.NewPCG(1, 1))}}
	for _, kind := range contract.Kinds() {
		body, failures := w.body(kind), 0
		for reads := 0; ; reads++ {
			left, before := reads, s.dump()
			_, err := c.Apply(failingState{s, &left}, order(t, 1, kind, body), "", contract.Block{Height: 2, Now: morning})
			var refused *contract.OrderRefused
			if err == nil || errors.As(err, &refused) {
				break
			}
			failures++
			if !errors.Is(err, errStorage) || s.dump() != before {
				t.Fatalf("%s, read %d: %v", kind, reads, err)
			}
		}
		if failures < 3 {
			t.Errorf("%s: only %d reads failed", kind, failures)
		}
		s, c = begin(t, officeGenesis())
	}
}

// Explain says how a decision comes about, and changes nothing.
func TestExplain(t *testing.T) {
	g := officeGenesis()
	g.RequireGrants = true
	g.Grants = []contract.Grant{{Institution: "P1", Steps: flow.Steps()[1:], To: until}}
	s, c := begin(t, g)
	add := contract.Additions{Entries: []contract.Addition{{List: contract.RestrictedReviewers, Key: []string{"R1"}, Reason: "case 17", Basis: "article 3"}}}
	if _, err := c.Apply(s, order(t, 1, contract.ListAdd, add), "", contract.Block{Height: 2, Now: morning}); err != nil {
		t.Fatal(err)
	}
	register := submission("P1", flow.Register, "", "F1")
	register.Facts = contract.Facts{Record: "X", Content: "C", Subject: "S1", DaysSupply: 60, Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
	before := s.dump()
	e, err := c.Explain(s, register)
	if err != nil || s.dump() != before {
		t.Fatal(err, "or the state has changed")
	}
	if e.Decision.Verdict != flow.Granted || e.Grant == nil || e.Grant.Code != e.Decision.Grant || len(e.Rules) == 0 || len(e.Standing) != 1 {
		t.Errorf("%+v", e)
	}
	if d := decide(t, c, s, register); !cmp.Equal(d, e.Decision) {
		t.Errorf("explained %+v, decided %+v", e.Decision, d)
	}
	review := submission("P1", flow.ReviewRequest, "F1", "A1")
	review.Header.Actor, review.Facts.Reviewer = "R1", "R1"
	if e, err = c.Explain(s, review); err != nil {
		t.Fatal(err)
	}
	if len(e.Entries) != 1 || e.Entries[0].Entry.Reason != "case 17" || len(e.Entries[0].Orders) != 1 || e.Entries[0].Orders[0].Order.Officer != "O1" {
		t.Errorf("entries: %+v", e.Entries)
	}
	outcomes := map[string]contract.CheckOutcome{}
	for _, c := range e.Checks {
		outcomes[c.Check] = c.Outcome
	}
	for check, want := range map[string]contract.CheckOutcome{"in order": contract.CheckPassed, "on no list": contract.CheckRefused, "in standing": contract.CheckNotAsked} {
		if outcomes[check] != want {
			t.Errorf("%s: %s, want %s", check, outcomes[check], want)
		}
	}
}

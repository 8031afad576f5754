package contract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// bulky are refusals of orders that scenarios would be too long for; they have
// tests of their own.
var bulky = []string{"list_full", "grants_full", "rules_scheduled"}

// nextBlock begins a block: bundles that are due take force, and holds whose
// deadline has passed are refused. The last of them becomes the last answer.
func (w *world) nextBlock(height int64) error {
	if w.contract == nil {
		return nil
	}
	if _, err := contract.TurnCommittee(w.state, w.height, w.now, true, nil, nil); err != nil {
		return err
	}
	w.height = height
	changed, err := contract.Due(w.state, w.height, w.now)
	if err != nil {
		return err
	}
	if changed {
		if w.contract, err = contract.New(w.state); err != nil {
			return err
		}
	}
	resolved, err := w.contract.ExpireHolds(w.state, contract.Block{Height: w.height, Now: w.now})
	w.learn(resolved)
	return err
}

func (w *world) learn(resolved []contract.Resolved) {
	for _, r := range resolved {
		w.last = r.Decision
		for name := range w.requests {
			if txOf(name) == r.Request.Tx {
				w.answers[name] = r.Decision
			}
		}
		for _, reason := range r.Decision.Reasons {
			w.seen[reason.Code] = true
		}
	}
}

// givenOffice reads what genesis says of lists, standing, grants and officers.
func (w *world) givenOffice(words []string) error {
	if w.contract != nil {
		return errors.New("from the first submission on, officers' orders do this")
	}
	a, err := w.arguments(words[1:])
	if err != nil {
		return err
	}
	switch words[0] {
	case "standing": // D1 allow
		w.genesis.Standing = append(w.genesis.Standing, contract.StandingChange{Institution: a.words[0], Standing: contract.Standing(a.words[1])})
	case "grants": // required
		w.genesis.RequireGrants = true
	case "grant": // G1 D1, steps "...", to TIME, quota N
		w.genesis.Grants = append(w.genesis.Grants, a.grant(a.words[1]))
	case "deadline": // SECONDS
		w.genesis.HoldDeadline, err = number(a.words[0])
	case "list":
		w.genesis.ListDefinitions = append(w.genesis.ListDefinitions, a.definition(a.words[0]))
	case "node": // N1 votes WEIGHT
		weight, err := number(a.words[2])
		w.genesis.Identities = append(w.genesis.Identities, identity(contract.RoleNode, a.words[0]))
		w.genesis.Nodes = append(w.genesis.Nodes, nodeSeat(a.words[0], weight))
		return err
	case "committee": // SEATS, epoch N
		seats, err := number(a.words[0])
		w.genesis.Committee = committee.Terms{Seats: int(seats), Epoch: a.int("epoch")}
		return err
	case "second": // officer for "KIND ..."
		for _, k := range strings.Fields(words[3]) {
			w.genesis.SecondOfficer = append(w.genesis.SecondOfficer, contract.Kind(k))
		}
	}
	return err
}

// arguments are an order's: words, then names with values.
type arguments struct {
	words  []string
	values map[string]string
	times  map[string]int64
}

var argumentNames = []string{
	"reason", "second", "number", "expires", "basis", "why", "from", "to", "until", "time", "height", "steps",
	"quota", "more", "key", "zh", "en", "text", "status", "with-key-of", "licence", "weight", "epoch", "keys-of",
}

func (w *world) arguments(words []string) (arguments, error) {
	a := arguments{values: map[string]string{}, times: map[string]int64{}}
	for n := 0; n < len(words); n++ {
		name := ""
		for _, known := range argumentNames {
			if words[n] == known && n+1 < len(words) {
				name = known
			}
		}
		if name == "" {
			if len(a.values) > 0 {
				return a, fmt.Errorf("%q is no part of an order", words[n])
			}
			a.words = append(a.words, words[n])
			continue
		}
		n++
		a.values[name] = words[n]
		switch name {
		case "from", "to", "until", "time", "expires":
			at, err := w.time(words[n])
			if err != nil {
				return a, err
			}
			a.times[name] = at
		}
	}
	a.words = append(a.words, "", "", "") // so that a short order fails in the contract
	return a, nil
}

func (a arguments) int(name string) int64 {
	n, _ := number(a.values[name])
	return n
}

func (a arguments) steps() []flow.Step {
	var steps []flow.Step
	for _, s := range strings.Fields(a.values["steps"]) {
		steps = append(steps, flow.Step(s))
	}
	return steps
}

func (a arguments) grant(institution string) contract.Grant {
	return contract.Grant{
		Institution: institution, Steps: a.steps(),
		From: a.times["from"], To: a.times["to"], Quota: uint64(a.int("quota")),
	}
}

func (a arguments) definition(name string) contract.Definition {
	return contract.Definition{
		Name: contract.List(name), Key: strings.Fields(a.values["key"]), Steps: a.steps(),
		Message: contract.Message{Zh: a.values["zh"], En: a.values["en"]},
	}
}

// order reads "officer O1 orders KIND ARGUMENTS" and carries it out.
func (w *world) order(words []string) error {
	a, err := w.arguments(words[4:])
	if err != nil {
		return err
	}
	last, err := contract.LastOrder(w.state)
	if err != nil {
		return err
	}
	o := contract.Order{
		Number: last + 1, Kind: contract.Kind(words[3]), Officer: words[1], Reason: "no reason",
		Issued: w.now, Expires: w.now + 3600,
	}
	if n, ok := a.values["number"]; ok {
		at, err := number(n)
		if err != nil {
			return err
		}
		o.Number = uint64(at)
	}
	if at, ok := a.times["expires"]; ok {
		o.Expires = at
	}
	if reason, ok := a.values["reason"]; ok {
		o.Reason = reason
	}
	body, err := w.body(o.Kind, a)
	if err != nil {
		return err
	}
	if o.Body, err = flow.Marshal(body); err != nil {
		return err
	}
	return w.carryOut(o, a)
}

func (w *world) carryOut(o contract.Order, a arguments) error {
	w.before = w.state.dump()
	at := contract.Block{Height: w.height, Now: w.now, Tx: txOf(fmt.Sprint("order ", o.Number)), Decided: w.decided}
	done, err := w.contract.Apply(w.state, o, a.values["second"], at)
	w.refused = nil
	if errors.As(err, &w.refused) {
		w.seen[w.refused.Code] = true
		if w.state.dump() != w.before {
			return fmt.Errorf("the order is refused and yet the state has changed")
		}
		return nil
	}
	if err != nil {
		return err
	}
	if done.Grant != "" {
		w.grants[a.words[0]] = done.Grant
	}
	w.learn(done.Resolved)
	return nil
}

// decided is what a host's log knows of a decision.
func (w *world) decided(p contract.Payload) (contract.Decided, bool, error) {
	for name, r := range w.requests {
		if d, ok := w.answers[name]; ok && r.Tx == p.Tx {
			return contract.Decided{Business: r.Header.Business, Issued: r.Now, Held: d.Verdict == flow.Held, Height: 1}, true, nil
		}
	}
	return contract.Decided{}, false, nil
}

// thenErased checks "F1 by ORDER" or "F1 by none".
func (w *world) thenErased(words []string) error {
	e, ok, err := contract.ErasureOf(w.state, txOf(words[0]))
	if got := fmt.Sprint(e.Order); err != nil || ok != (words[2] != "none") || ok && got != words[2] {
		return fmt.Errorf("erased %t, by order %s, error %v", ok, got, err)
	}
	return nil
}

// body makes what the order's kind asks for.
func (w *world) body(kind contract.Kind, a arguments) (any, error) {
	first, second, third := a.words[0], a.words[1], a.words[2]
	switch kind {
	case contract.IdentityAdmit, contract.IdentityRenew:
		return a.identity(), nil
	case contract.IdentityStatus:
		return contract.StatusChange{ID: first, Status: contract.Status(second)}, nil
	case contract.ListDefine:
		return a.definition(first), nil
	case contract.ListAdd:
		return a.additions(), nil
	case contract.ListLift, contract.ListAppeal, contract.ListKeep:
		n, err := number(second)
		return contract.EntryRef{List: contract.List(first), Number: uint64(n), Text: a.values["text"]}, err
	case contract.StandingSet:
		return contract.StandingChange{Institution: first, Standing: contract.Standing(second)}, nil
	case contract.GrantIssue:
		return a.grant(second), nil
	case contract.GrantRenew:
		return contract.GrantRenewal{Code: w.grants[first], To: a.times["to"], More: uint64(a.int("more"))}, nil
	case contract.GrantRevoke:
		return contract.GrantRef{Code: w.grants[first]}, nil
	case contract.Freeze, contract.Unfreeze:
		if contract.Frozen(first) == contract.FrozenFlow {
			second = txOf(second).String()
		}
		return contract.Target{What: contract.Frozen(first), ID: second}, nil
	case contract.Stop, contract.Resume:
		return contract.StepStop{Business: first, Step: flow.Step(second), Until: a.times["until"]}, nil
	case contract.HoldDecide:
		return contract.HoldDecision{Tx: txOf(first), Grant: second == "grant"}, nil
	case contract.RulesPublish:
		text, err := os.ReadFile(filepath.Join("testdata", "bundles", first))
		if err != nil {
			text = []byte(first) // what stands there is the bundle
		}
		return contract.Publication{Text: text, Height: a.int("height"), Time: a.times["time"]}, nil
	case contract.RulesRollback:
		n, err := number(first)
		return contract.Rollback{Version: uint64(n), Height: a.int("height"), Time: a.times["time"]}, err
	case contract.RulesCancel:
		n, err := number(first)
		return contract.Cancellation{Order: uint64(n)}, err
	case contract.PolicySet:
		var p contract.Policy
		for _, k := range strings.Fields(strings.Join([]string{first, second, third}, " ")) {
			p.Second = append(p.Second, contract.Kind(k))
		}
		return p, nil
	case contract.NodeAdmit:
		n := nodeSeat(first, a.int("weight"))
		if other, ok := a.values["keys-of"]; ok {
			n = nodeSeat(other, n.Weight)
			n.ID = first
		}
		return n, nil
	case contract.NodeRemove:
		return contract.NodeRef{ID: first}, nil
	case contract.CommitteeSet:
		n, err := number(first)
		return committee.Terms{Seats: int(n), Epoch: a.int("epoch")}, err
	case contract.RetentionSet:
		n, err := number(second)
		return contract.Retention{Business: first, Days: n}, err
	case contract.PayloadErase:
		e := contract.Erasure{Ground: contract.Ground(first), Basis: a.values["basis"]}
		for _, name := range strings.Fields(second + " " + third) {
			e.Payloads = append(e.Payloads, contract.Payload{Tx: txOf(name)})
		}
		return e, nil
	}
	return first, nil
}

// nodeSeat gives a node keys that follow from its name.
func nodeSeat(id string, weight int64) contract.NodeSeat {
	vote, network := flow.SumHash([]byte("vote "+id)), flow.SumHash([]byte("network "+id))
	return contract.NodeSeat{ID: id, Vote: vote[:], Network: network.String()[:40], Weight: weight}
}

// thenCommittee checks who sits: "is N1 N2"; and who may connect: "admits N1",
// "turns away N1".
func (w *world) thenCommittee(words []string) error {
	switch words[0] {
	case "admits", "turns":
		against, known, err := contract.AgainstConnecting(w.state, nodeSeat(words[len(words)-1], 0).Network, w.now)
		if admitted := known && len(against) == 0; err != nil || admitted != (words[0] == "admits") {
			return fmt.Errorf("known %t, against it %v, error %v", known, against, err)
		}
		return nil
	}
	c, err := contract.CommitteeOf(w.state)
	var sitting []string
	for _, o := range c.Candidates {
		if o.Seated {
			sitting = append(sitting, o.ID)
		}
	}
	if got, want := strings.Join(sitting, " "), strings.Join(words[1:], " "); err != nil || got != want {
		return fmt.Errorf("the committee is %q, error %v", got, err)
	}
	return nil
}

// identity reads ROLE ID and what follows.
func (a arguments) identity() contract.Identity {
	i := identity(contract.Role(a.words[0]), a.words[1])
	if s, ok := a.values["status"]; ok {
		i.Status = contract.Status(s)
	}
	if owner, ok := a.values["with-key-of"]; ok {
		i.SPKI, i.Key = keyOf(owner)
	}
	if to, ok := a.times["to"]; ok {
		i.NotAfter = to
	}
	i.Licence = a.values["licence"]
	return i
}

// additions reads LIST "KEY" pairs.
func (a arguments) additions() contract.Additions {
	var all contract.Additions
	for n := 0; n+1 < len(a.words) && a.words[n] != ""; n += 2 {
		e := contract.Addition{
			List: contract.List(a.words[n]), Key: strings.Fields(a.words[n+1]),
			From: a.times["from"], To: a.times["to"], Reason: a.values["why"], Basis: a.values["basis"],
		}
		if e.Reason == "" {
			e.Reason = "no reason"
		}
		if e.Basis == "" {
			e.Basis = "no basis"
		}
		all.Entries = append(all.Entries, e)
	}
	return all
}

// thenOffice checks an order's outcome, an entry, a hold or a grant.
func (w *world) thenOffice(words []string) error {
	last, err := contract.LastOrder(w.state)
	if err != nil {
		return err
	}
	switch words[0] {
	case "order":
		return w.thenOrder(words[1:], last)
	case "entry": // LIST N is STATUS, by ORDER
		n, err := number(words[2])
		if err != nil {
			return err
		}
		e, ok, err := contract.EntryOf(w.state, contract.List(words[1]), uint64(n))
		got := fmt.Sprintf("%s, added by %d, lifted by %d", e.StatusAt(w.now), e.Added, e.Lifted)
		if err != nil || !ok || !strings.HasPrefix(strings.ReplaceAll(got, ",", ""), strings.Join(words[4:], " ")) {
			return fmt.Errorf("entry: known %t, %s, error %v", ok, got, err)
		}
	case "hold": // F1 is held
		h, ok, err := contract.HoldOf(w.state, txOf(words[1]))
		if err != nil || !ok || string(h.Verdict) != words[3] {
			return fmt.Errorf("hold: known %t, %s, error %v", ok, h.Verdict, err)
		}
	case "grant": // G1 is used N, or: G1 is the one used, which names it
		if words[3] == "the" {
			if w.last.Grant == "" {
				return errors.New("no grant was used")
			}
			w.grants[words[1]] = w.last.Grant
			return nil
		}
		g, ok, err := contract.GrantOf(w.state, w.grants[words[1]])
		if err != nil || !ok || fmt.Sprint(g.Used) != words[4] {
			return fmt.Errorf("grant: known %t, used %d, error %v", ok, g.Used, err)
		}
	}
	return nil
}

// thenOrder reads "carried out", "refused with CODE, zh ..., en ..." or
// "N is KIND by O1, second O2".
func (w *world) thenOrder(words []string, last uint64) error {
	switch words[0] {
	case "carried":
		if w.refused != nil {
			return w.refused
		}
		return nil
	case "refused":
		if w.refused == nil {
			return fmt.Errorf("order %d was carried out", last)
		}
		if w.refused.Code != words[2] {
			return w.refused
		}
		for n := 3; n+1 < len(words); n += 2 {
			got := map[string]string{
				"zh": w.refused.Why.Zh, "en": w.refused.Why.En, "advice": w.refused.Advice.En,
			}[words[n]]
			if got != words[n+1] {
				return fmt.Errorf("%s is %q", words[n], got)
			}
		}
		return nil
	}
	n, err := number(words[0])
	if err != nil {
		return err
	}
	o, ok, err := contract.OrderOf(w.state, uint64(n))
	got := fmt.Sprintf("is %s by %s second %s", o.Order.Kind, o.Order.Officer, o.Second)
	if err != nil || !ok || !strings.HasPrefix(got, strings.Join(words[1:], " ")) {
		return fmt.Errorf("order %d: known %t, %s, error %v", n, ok, got, err)
	}
	return nil
}

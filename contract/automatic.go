package contract

import (
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// Terms are those of the batch grants that a rule with effect grant issues
// (R6.3): an institution that has no usable grant gets one, for the rule's steps,
// from the submission on that the rule hits. The rule issues its next one to the
// same institution when the time of the last has passed, not when it is merely
// used up, and none any more after an officer has revoked one.
type Terms struct {
	Days  int64  // how long a grant is valid, from its issue
	Quota uint64 // granted submissions that one serves
	Most  uint64 // grants to one institution, ever; 0: any number
}

// Limits of terms.
const (
	maxGrantDays  = 366
	maxGrantQuota = 1_000_000
)

func (t Terms) validate() error {
	switch {
	case t.Days < 1 || t.Days > maxGrantDays:
		return fmt.Errorf("grant: days: want 1 to %d", maxGrantDays)
	case t.Quota < 1 || t.Quota > maxGrantQuota:
		return fmt.Errorf("grant: quota: want 1 to %d", maxGrantQuota)
	}
	return nil
}

// validateTerms asks for terms with effect grant, and for none without.
func (r Rule) validateTerms() error {
	if r.Effect != Granting {
		if r.Terms != (Terms{}) {
			return r.at.wrong("grant", errors.New("grant: is for rules with effect grant"))
		}
		return nil
	}
	for _, s := range r.Steps {
		if s == flow.Enrol {
			return r.at.wrong("steps", errors.New("steps: enrol needs no grant"))
		}
	}
	if err := r.Terms.validate(); err != nil {
		return r.at.wrong("grant", err)
	}
	return nil
}

// automatic is what a rule has issued to one institution. It outlives the
// bundle: a rule of the same id in another version goes on from there.
type automatic struct {
	_ struct{} `cbor:",toarray"`

	Issued uint64 // grants so far
	Last   string // code of the last one
}

// AutomaticGrants is how many batch grants rules have issued.
func AutomaticGrants(s State) (uint64, error) {
	var n uint64
	_, err := load(s, automaticCountKey(), &n)
	return n, err
}

// AutomaticGrant returns the n-th batch grant that a rule has issued, counted
// from 1; false when there is none.
func AutomaticGrant(s State, n uint64) (Grant, bool, error) {
	var code string
	ok, err := load(s, automaticGrantKey(n), &code)
	if err != nil || !ok {
		return Grant{}, false, err
	}
	return GrantOf(s, code)
}

// offer is the grant that the rule would issue to an institution at now; nil
// when that is beyond its terms. It changes nothing.
func (r *compiledRule) offer(s State, chain string, version uint64, institution string, now int64) (*Grant, error) {
	var a automatic
	if _, err := load(s, automaticKey(r.ID, institution), &a); err != nil {
		return nil, err
	}
	if a.Issued > 0 {
		last, ok, err := GrantOf(s, a.Last)
		if err != nil {
			return nil, err
		}
		if r.Terms.Most != 0 && a.Issued >= r.Terms.Most || ok && (last.Revoked != 0 || now < last.To) {
			return nil, nil
		}
	}
	live, err := liveGrants(s, institution, now)
	if err != nil || len(live) >= maxGrants {
		return nil, err
	}
	n, err := AutomaticGrants(s)
	if err != nil {
		return nil, err
	}
	return &Grant{
		Code: automaticCode(chain, n+1), Institution: institution, Steps: r.Steps, From: now, To: now + r.Terms.Days*secondsPerDay,
		Quota: r.Terms.Quota, Rule: r.ID, Version: version,
	}, nil
}

// issueAutomatic stores a grant that a rule offers.
func issueAutomatic(s State, g Grant, now int64) error {
	n, err := AutomaticGrants(s)
	if err != nil {
		return err
	}
	var a automatic
	key := automaticKey(g.Rule, g.Institution)
	if _, err := load(s, key, &a); err != nil {
		return err
	}
	a.Issued, a.Last = a.Issued+1, g.Code
	if err := store(s, key, a); err != nil {
		return err
	}
	if err := store(s, automaticGrantKey(n+1), g.Code); err != nil {
		return err
	}
	if err := store(s, automaticCountKey(), n+1); err != nil {
		return err
	}
	return issue(s, g, now)
}

// automaticCode derives a code as grantCode does, for the n-th grant by rule.
func automaticCode(chain string, n uint64) string {
	sum := flow.SumHash([]byte(fmt.Sprintf("signalbox/grant/rule/v1\n%s\n%d", chain, n)))
	return sum.String()[:24]
}

// offered finds the first rule that hits and has a grant for one of the
// institutions. found is what the rules with effect grant say; nothing is offered
// when one of them fails to evaluate, which refuses.
func (r *Rules) offered(s State, found Findings, step flow.Step, chain string, version uint64, institutions []string, now int64) (*Grant, error) {
	if len(found.Refusals) > 0 {
		return nil, nil
	}
	for _, rule := range r.granting[step] {
		if !found.grants(rule.ID) {
			continue
		}
		for _, id := range institutions {
			if g, err := rule.offer(s, chain, version, id, now); err != nil || g != nil {
				return g, err
			}
		}
	}
	return nil, nil
}

// byRule asks the rules for the batch grant that the institutions lack (R6.3).
// It is issued when the submission is granted; one that is refused all the same,
// or held, changes nothing.
func (x *examination) byRule(institutions []string) ([]flow.Reason, error) {
	step, rules := x.r.Header.Step, x.c.rules
	x.sought = true
	if len(rules.granting[step]) == 0 {
		return nil, nil
	}
	if err := complete(x.s, step, x.flow, &x.r.Facts); err != nil {
		return nil, err
	}
	var err error
	if x.granting, err = rules.evaluate(x.s, rules.granting[step], step, &x.r.Facts, x.r.Now); err != nil {
		return nil, err
	}
	x.under, err = rules.offered(x.s, x.granting, step, x.c.params.Chain, x.c.version, institutions, x.r.Now)
	x.issuing = x.under != nil
	return x.granting.Refusals, err
}

// GrantFor finds the batch grant by rule under which an institution's step can
// go on, issues one if a rule does, and counts the step against it: in s alone,
// for trials of bundles on the past. It gives the rule's id; empty for none.
func (r *Rules) GrantFor(s State, step flow.Step, facts *Facts, institution string, now int64) (string, error) {
	g, _, err := usableGrant(s, institution, step, now)
	if err != nil {
		return "", err
	}
	if g == nil {
		found, err := r.evaluate(s, r.granting[step], step, facts, now)
		if err != nil {
			return "", err
		}
		if g, err = r.offered(s, found, step, "", 0, []string{institution}, now); err != nil || g == nil {
			return "", err
		}
		if err := issueAutomatic(s, *g, now); err != nil {
			return "", err
		}
	}
	g.Used++
	return g.Rule, store(s, grantKey(g.Code), *g)
}

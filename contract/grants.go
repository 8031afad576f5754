package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Grant is a batch grant (R6.3): an authorisation code under which one
// institution's submissions are granted, while it is valid and until its quota
// is used up. The rules and lists apply all the same.
type Grant struct {
	_ struct{} `cbor:",toarray"`

	Code        string      `cbor:"code" json:"-"` // derived from the chain and the order that issued it, or from how many grants rules have issued
	Institution string      `json:"institution"`
	Steps       []flow.Step `json:"steps"`
	From        int64       `json:"from"`  // Unix seconds; 0: from the beginning
	To          int64       `json:"to"`    // Unix seconds, exclusive
	Quota       uint64      `json:"quota"` // granted submissions it serves; 0: any number

	Used    uint64 `cbor:"used" json:"-"`    // granted submissions it has served
	Issued  uint64 `cbor:"issued" json:"-"`  // the order that issued it; 0: genesis, or a rule
	Renewed uint64 `cbor:"renewed" json:"-"` // the order that renewed it last; 0: none
	Revoked uint64 `cbor:"revoked" json:"-"` // the order that revoked it; 0: none

	Rule    string `cbor:"rule" json:"-"`    // the rule that issued it, in place of an order; empty for none
	Version uint64 `cbor:"version" json:"-"` // of the rule contract that it stood in
}

// maxGrants is how many grants an institution can have at a time.
const maxGrants = 16

// Validate says what is wrong with g, naming the field.
func (g Grant) Validate() error {
	if g.Institution == "" || len(g.Institution) > maxText {
		return fmt.Errorf("institution: want 1 to %d bytes", maxText)
	}
	if len(g.Steps) == 0 {
		return errors.New("steps: none")
	}
	for i, s := range g.Steps {
		if !s.Known() || s == flow.Enrol || slices.Contains(g.Steps[:i], s) {
			return fmt.Errorf("steps: %q needs no grant, or stands twice", s)
		}
	}
	if g.To <= g.From {
		return errors.New("to: ends before it begins, or never")
	}
	return nil
}

func (g Grant) spent() bool { return g.Quota != 0 && g.Used >= g.Quota }

// ended says whether nothing can be granted under g at now or later.
func (g Grant) ended(now int64) bool { return g.Revoked != 0 || now >= g.To || g.spent() }

// GrantOf returns a batch grant; false when the chain has none of this code.
func GrantOf(s State, code string) (Grant, bool, error) {
	var g Grant
	ok, err := load(s, grantKey(code), &g)
	return g, ok, err
}

// grantCode derives a code that nobody chose and no two grants share.
func grantCode(chain string, order, index uint64) string {
	sum := flow.SumHash([]byte(fmt.Sprintf("signalbox/grant/v1\n%s\n%d\n%d", chain, order, index)))
	return sum.String()[:24]
}

// errTooManyGrants is issue's when an institution has as many as it can have.
var errTooManyGrants = fmt.Errorf("an institution has at most %d grants at a time", maxGrants)

// issue stores a grant among those that its institution may use, at now.
func issue(s State, g Grant, now int64) error {
	codes, err := liveGrants(s, g.Institution, now)
	if err != nil {
		return err
	}
	if !slices.Contains(codes, g.Code) {
		codes = append(codes, g.Code)
	}
	if len(codes) > maxGrants {
		return errTooManyGrants
	}
	if err := store(s, grantsKey(g.Institution), codes); err != nil {
		return err
	}
	return store(s, grantKey(g.Code), g)
}

// liveGrants are the codes of an institution's grants that have not ended.
func liveGrants(s State, institution string, now int64) ([]string, error) {
	var codes []string
	if _, err := load(s, grantsKey(institution), &codes); err != nil {
		return nil, err
	}
	live := []string{}
	for _, code := range codes {
		g, ok, err := GrantOf(s, code)
		if err != nil {
			return nil, err
		}
		if ok && !g.ended(now) {
			live = append(live, code)
		}
	}
	return live, nil
}

// usableGrant finds the grant that an institution can use for a step at now, in
// the order in which grants were issued; else the code of one that is used up.
func usableGrant(s State, institution string, step flow.Step, now int64) (usable *Grant, spent string, err error) {
	var codes []string
	if _, err := load(s, grantsKey(institution), &codes); err != nil {
		return nil, "", err
	}
	for _, code := range codes {
		g, ok, err := GrantOf(s, code)
		if err != nil {
			return nil, "", err
		}
		switch {
		case !ok || !slices.Contains(g.Steps, step) || g.Revoked != 0 || now < g.From || now >= g.To:
		case g.spent():
			spent = code
		default:
			return &g, "", nil
		}
	}
	return nil, spent, nil
}

// underGrant asks for a batch grant of one of the institutions, where the chain
// asks for grants at all, and for one by rule where there is none. Enrolment needs
// none: it asks to be admitted.
func (x *examination) underGrant(institutions []institution) ([]flow.Reason, error) {
	step := x.r.Header.Step
	if !x.c.params.RequireGrants || step == flow.Enrol {
		return nil, nil
	}
	spent, ids := "", []string{}
	for _, i := range institutions {
		g, used, err := usableGrant(x.s, i.id, step, x.r.Now)
		if err != nil {
			return nil, err
		}
		if g != nil {
			x.under = g
			return nil, nil
		}
		if used != "" {
			spent = used
		}
		ids = append(ids, i.id)
	}
	if failed, err := x.byRule(ids); err != nil || len(failed) > 0 || x.under != nil {
		return failed, err
	}
	if spent != "" {
		return because("grant_used_up", institutions[0].path, spent), nil
	}
	return because("grant_required", institutions[0].path, stepName(step), string(step)), nil
}

// useGrant counts a granted submission against its batch grant. The decision is
// one transaction of a chain that decides one after the other, so the quota is
// exact.
func (x *examination) useGrant(d *Decision) error {
	if x.under == nil {
		return nil
	}
	if x.issuing {
		if err := issueAutomatic(x.s, *x.under, x.r.Now); err != nil {
			return err
		}
	}
	d.Grant = x.under.Code
	x.under.Used++
	return store(x.s, grantKey(x.under.Code), *x.under)
}

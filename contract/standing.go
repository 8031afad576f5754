package contract

import (
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Standing is how an institution stands with the authority (R6.3).
type Standing string

// The standings. Neither is the standing of every institution that no order
// has set one for.
const (
	Allow   Standing = "allow"   // granted without rules; lists still apply
	Deny    Standing = "deny"    // every submission waits for an officer
	Neither Standing = "neither" // needs a batch grant, where genesis asks for them
)

func (s Standing) known() bool { return slices.Contains([]Standing{Allow, Deny, Neither}, s) }

// standing is an institution's standing in state.
type standing struct {
	_ struct{} `cbor:",toarray"`

	Standing Standing
	Order    uint64 // the order that set it; 0: genesis
}

// StandingOf returns an institution's standing, and the order that set it; 0
// for genesis, or for none.
func StandingOf(s State, institution string) (Standing, uint64, error) {
	v := standing{Standing: Neither}
	_, err := load(s, standingKey(institution), &v)
	return v.Standing, v.Order, err
}

// institution is one that a submission concerns, by the name of its fact.
type institution struct{ path, id string }

// acting are the institutions whose standing a step is granted under: the
// originator, where the record names one, and the platform for a registration;
// the platform for enrolment and review; the producer for what follows.
func (x *examination) acting() []institution { return acting(x.r.Header, x.r.Facts) }

// Acting gives the institutions under whose standing or batch grant a
// submission goes on.
func Acting(h flow.Header, f Facts) []string {
	var ids []string
	for _, i := range acting(h, f) {
		ids = append(ids, i.id)
	}
	return ids
}

func acting(h flow.Header, f Facts) []institution {
	platform := institution{"platform", h.Platform}
	switch h.Step {
	case flow.Register:
		if f.Originator != "" {
			return []institution{{"originator", f.Originator}, platform}
		}
		return []institution{platform}
	case flow.Order, flow.Settle, flow.Deliver:
		return []institution{{"producer", f.Producer}}
	default:
		return []institution{platform}
	}
}

// inStanding applies standing, the strictest one (R6.3): one denied institution
// holds the submission for an officer, and a denied platform holds all it
// submits; only where all are allowed are the rules passed over. Whoever is
// neither needs a batch grant, where genesis asks for them.
func (x *examination) inStanding() ([]flow.Reason, error) {
	acting := x.acting()
	all := acting
	if platform := (institution{"platform", x.r.Header.Platform}); !slices.Contains(acting, platform) {
		all = append(slices.Clone(acting), platform)
	}
	var plain []institution // neither allowed nor denied
	denied := false
	for _, i := range all {
		s, order, err := StandingOf(x.s, i.id)
		if err != nil {
			return nil, err
		}
		x.standings = append(x.standings, StandingTrace{Institution: i.id, Fact: i.path, Standing: s, Order: order})
		switch {
		case s == Deny:
			denied = true
			x.hold(BasisStanding, reason("standing_deny", i.path))
		case s == Neither && slices.Contains(acting, i):
			plain = append(plain, i)
		}
	}
	switch {
	case denied:
		x.standing = Deny
	case len(plain) == 0:
		x.standing = Allow
	default:
		x.standing = Neither
		return x.underGrant(plain)
	}
	return nil, nil
}

package contract

import (
	"slices"

	"signalbox.dev/signalbox/flow"
)

// forThisChain refuses what was made for another chain or in another suite.
func (x *examination) forThisChain() ([]flow.Reason, error) {
	switch h, p := x.r.Header, x.c.params; {
	case h.Chain != p.Chain:
		return because("wrong_chain", "chain"), nil
	case h.Suite != p.Suite:
		return because("wrong_suite", "suite"), nil
	}
	return nil, nil
}

// businessAdmitted refuses kinds of business and networks that genesis does not name.
func (x *examination) businessAdmitted() ([]flow.Reason, error) {
	switch h, p, f := x.r.Header, x.c.params, x.r.Facts; {
	case len(p.Businesses) > 0 && !slices.Contains(p.Businesses, h.Business):
		return because("unknown_business", "business"), nil
	case len(p.Networks) > 0 && !slices.Contains(p.Networks, h.Network):
		return because("unknown_network", "network"), nil
	case f.Business != "" && f.Business != h.Business:
		return because("business_mismatch", "business"), nil
	}
	return nil, nil
}

// platformAdmitted asks for an active platform that signs with its own key (R7.1).
func (x *examination) platformAdmitted() ([]flow.Reason, error) {
	platform, known, err := IdentityOf(x.s, x.r.Header.Platform)
	if err != nil {
		return nil, err
	}
	if against := platform.against(known, RolePlatform, x.r.Now, "platform"); against != nil {
		return against, nil
	}
	if platform.Key != x.r.Header.Sender {
		return because("wrong_key", "platform"), nil
	}
	return nil, nil
}

// flowOfThisPlatform loads the flow; only the platform that registered it goes
// on with it, for the same kind of business and on the same network.
func (x *examination) flowOfThisPlatform() ([]flow.Reason, error) {
	h := x.r.Header
	if h.Flow.IsZero() {
		return nil, nil
	}
	var err error
	if x.flow, x.known, err = FlowOf(x.s, h.Flow); err != nil || !x.known {
		return nil, err // unknown: inOrder refuses it
	}
	switch {
	case x.flow.Platform != h.Platform:
		return because("foreign_flow", "flow"), nil
	case x.flow.Business != h.Business:
		return because("business_mismatch", "business"), nil
	case x.flow.Network != h.Network:
		return because("network_mismatch", "network"), nil
	}
	return nil, nil
}

// actorAdmitted asks for an active reviewer behind a review (R2.1) and an
// active producer behind an order and what follows on it, the one that the
// header names.
func (x *examination) actorAdmitted() ([]flow.Reason, error) {
	f := x.r.Facts
	switch x.r.Header.Step {
	case flow.ReviewRequest, flow.ReviewResult:
		return x.admitted(f.Reviewer, RoleReviewer, "reviewer")
	case flow.Order, flow.Settle, flow.Deliver:
		return x.admitted(f.Producer, RoleProducer, "producer")
	default:
		return nil, nil
	}
}

func (x *examination) admitted(id string, role Role, path string) ([]flow.Reason, error) {
	if id == "" || id != x.r.Header.Actor {
		return because("actor_mismatch", path), nil
	}
	i, known, err := IdentityOf(x.s, id)
	if err != nil {
		return nil, err
	}
	return i.against(known, role, x.r.Now, path), nil
}

// mayEnrol says whether the identity that an enrolment asks for can be had
// (R2.1). Nobody takes over an id, a key or a licence that belongs to another,
// and enrolling again neither lifts a suspension nor a revocation.
func (x *examination) mayEnrol() ([]flow.Reason, error) {
	if x.r.Header.Step != flow.Enrol {
		return nil, nil
	}
	who := x.enrolled()
	if who == nil {
		return because("bad_enrolment", "enrol"), nil
	}
	if actor := x.r.Header.Actor; actor != "" && actor != who.ID {
		return because("actor_mismatch", "reviewer"), nil
	}
	if path, err := taken(x.s, *who); err != nil {
		return nil, err
	} else if path != "" {
		return because("already_enrolled", path), nil
	}
	before, known, err := IdentityOf(x.s, who.ID)
	if err != nil || !known {
		return nil, err
	}
	switch {
	case before.Role != who.Role || before.Key != who.Key:
		return because("already_enrolled", "id"), nil
	case before.Status == Revoked:
		return because("identity_revoked", "reviewer"), nil
	case before.Status == Applied || before.Status == Verified:
		return because("identity_not_active", "reviewer"), nil
	case before.Status != Active:
		return because("identity_suspended", "reviewer"), nil
	}
	return nil, nil
}

// taken says which of an identity's names belongs to another: its key or its
// licence; empty for neither.
func taken(s State, who Identity) (string, error) {
	for _, n := range []struct {
		path string
		none bool
		key  []byte
	}{
		{"key", len(who.SPKI) == 0, keyKey(who.Key)},
		{"licence", who.Licence == "", licenceKey(who.Licence)},
	} {
		if n.none {
			continue
		}
		var owner string
		if _, err := load(s, n.key, &owner); err != nil {
			return "", err
		}
		if owner != "" && owner != who.ID {
			return n.path, nil
		}
	}
	return "", nil
}

// enrolled is the identity as a granted enrolment stores it, or nil when the
// facts ask for none that can be enrolled. The grant is the activation.
func (x *examination) enrolled() *Identity {
	if x.r.Facts.Enrol == nil {
		return nil
	}
	who := *x.r.Facts.Enrol
	if who.Status == "" {
		who.Status = Active
	}
	if who.Role != RoleReviewer || who.Status != Active || len(who.SPKI) == 0 || who.Validate() != nil {
		return nil
	}
	if x.r.Now > who.NotAfter {
		return nil
	}
	return &who
}

package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// StatusChange is the body of identity.status.
type StatusChange struct {
	_ struct{} `cbor:",toarray"`

	ID     string
	Status Status
}

// Target is the body of freeze and unfreeze.
type Target struct {
	_ struct{} `cbor:",toarray"`

	What Frozen
	ID   string
}

// StepStop is the body of stop and resume.
type StepStop struct {
	_ struct{} `cbor:",toarray"`

	Business string
	Step     flow.Step
	Until    int64 // Unix seconds, exclusive
}

// StandingChange is the body of standing.set.
type StandingChange struct {
	_ struct{} `cbor:",toarray"`

	Institution string   `json:"institution"` // an identity, or an originator's pseudonym
	Standing    Standing `json:"standing"`
}

// GrantRenewal is the body of grant.renew.
type GrantRenewal struct {
	_ struct{} `cbor:",toarray"`

	Code string
	To   int64  // the new end, Unix seconds
	More uint64 // added to the quota; a grant without quota stays so
}

// GrantRef is the body of grant.revoke.
type GrantRef struct {
	_ struct{} `cbor:",toarray"`

	Code string
}

// HoldDecision is the body of hold.decide. A refusal shows the order's reason to
// the platform.
type HoldDecision struct {
	_ struct{} `cbor:",toarray"`

	Tx    flow.Hash // of the held submission
	Grant bool      // grant, or refuse
}

// with reads the body and hands it to what carries it out.
func with[T any](p *proceeding, do func(*proceeding, T) error) error {
	var body T
	if err := flow.Unmarshal(p.order.Body, &body); err != nil {
		return refuseOrder("order_body", err.Error())
	}
	return do(p, body)
}

// carryOut does what the order says.
func (p *proceeding) carryOut() error {
	switch p.order.Kind {
	case IdentityAdmit:
		return with(p, (*proceeding).admitIdentity)
	case IdentityStatus:
		return with(p, (*proceeding).setStatus)
	case IdentityRenew:
		return with(p, (*proceeding).renewIdentity)
	case ListDefine:
		return with(p, (*proceeding).defineList)
	case ListAdd:
		return with(p, (*proceeding).addEntries)
	case ListLift, ListAppeal, ListKeep:
		return with(p, (*proceeding).changeEntry)
	case StandingSet:
		return with(p, (*proceeding).setStanding)
	case GrantIssue:
		return with(p, (*proceeding).issueGrant)
	case GrantRenew:
		return with(p, (*proceeding).renewGrant)
	case GrantRevoke:
		return with(p, (*proceeding).revokeGrant)
	case Freeze, Unfreeze:
		return with(p, (*proceeding).freeze)
	case Stop, Resume:
		return with(p, (*proceeding).stop)
	case HoldDecide:
		return with(p, (*proceeding).decideHold)
	case RulesPublish:
		return with(p, (*proceeding).publishRules)
	case RulesRollback:
		return with(p, (*proceeding).rollBackRules)
	case RulesCancel:
		return with(p, (*proceeding).cancelRules)
	case PolicySet:
		return with(p, (*proceeding).setPolicy)
	case NodeAdmit:
		return with(p, (*proceeding).admitNode)
	case NodeRemove:
		return with(p, (*proceeding).removeNode)
	case CommitteeSet:
		return with(p, (*proceeding).setTerms)
	case RetentionSet:
		return with(p, (*proceeding).setRetention)
	case PayloadErase:
		return with(p, (*proceeding).erase)
	case KeysHandover:
		return with(p, (*proceeding).handOver)
	default:
		return refuseOrder("order_kind", string(p.order.Kind))
	}
}

// wrong refuses a body that does not hold together.
func wrong(err error) error { return refuseOrder("order_body", err.Error()) }

// admitIdentity takes in a participant that has applied, or that an officer has
// verified (R2.1).
func (p *proceeding) admitIdentity(i Identity) error {
	if err := i.Validate(); err != nil {
		return wrong(err)
	}
	if i.Status == Suspended || i.Status == Revoked {
		return refuseOrder("identity_status")
	}
	_, known, err := IdentityOf(p.s, i.ID)
	if err != nil {
		return err
	}
	if known {
		return refuseOrder("identity_exists")
	}
	return p.putIdentity(i)
}

func (p *proceeding) putIdentity(i Identity) error {
	path, err := taken(p.s, i)
	if err != nil {
		return err
	}
	if path != "" {
		return refuseOrder("identity_taken")
	}
	return putIdentity(p.s, i)
}

// renewIdentity changes key, certificate, validity, licence and tags; the status
// stays as it is.
func (p *proceeding) renewIdentity(i Identity) error {
	before, known, err := IdentityOf(p.s, i.ID)
	switch {
	case err != nil:
		return err
	case !known:
		return refuseOrder("identity_unknown")
	case before.Status == Revoked:
		return refuseOrder("identity_final")
	case before.Role != i.Role:
		return wrong(fmt.Errorf("role: is %s and stays so", before.Role))
	}
	i.Status = before.Status
	if err := i.Validate(); err != nil {
		return wrong(err)
	}
	return p.putIdentity(i)
}

func (p *proceeding) setStatus(c StatusChange) error {
	own := c.ID == p.order.Officer || c.ID == p.second
	if own && (c.Status == Suspended || c.Status == Revoked) {
		return refuseOrder("identity_own") // or the last officer locks everyone out
	}
	err := SetIdentityStatus(p.s, c.ID, c.Status)
	switch {
	case errors.Is(err, ErrUnknownIdentity):
		return refuseOrder("identity_unknown")
	case errors.Is(err, ErrRevoked):
		return refuseOrder("identity_final")
	case errors.Is(err, ErrStatus):
		return refuseOrder("identity_status")
	case err != nil:
		return err
	}
	return p.nodeStatus(c.ID, c.Status)
}

// Validate says what is wrong with c, naming the field.
func (c StandingChange) Validate() error {
	if c.Institution == "" || len(c.Institution) > maxText {
		return fmt.Errorf("institution: want 1 to %d bytes", maxText)
	}
	if !c.Standing.known() {
		return fmt.Errorf("standing: %q: want allow, deny or neither", c.Standing)
	}
	return nil
}

func (p *proceeding) setStanding(c StandingChange) error {
	if err := c.Validate(); err != nil {
		return wrong(err)
	}
	return store(p.s, standingKey(c.Institution), standing{Standing: c.Standing, Order: p.order.Number})
}

func (p *proceeding) issueGrant(g Grant) error {
	if err := g.Validate(); err != nil {
		return wrong(err)
	}
	if p.at.Now >= g.To {
		return wrong(errors.New("to: has passed"))
	}
	g = Grant{Institution: g.Institution, Steps: g.Steps, From: g.From, To: g.To, Quota: g.Quota, Issued: p.order.Number}
	g.Code = grantCode(p.c.params.Chain, p.order.Number, 0)
	p.out.Grant = g.Code
	return p.keepGrant(g)
}

func (p *proceeding) keepGrant(g Grant) error {
	err := issue(p.s, g, p.at.Now)
	if errors.Is(err, errTooManyGrants) {
		return refuseOrder("grants_full", maxGrants)
	}
	return err
}

func (p *proceeding) grant(code string) (Grant, error) {
	g, ok, err := GrantOf(p.s, code)
	switch {
	case err != nil:
		return g, err
	case !ok:
		return g, refuseOrder("grant_unknown")
	case g.Revoked != 0:
		return g, refuseOrder("grant_revoked")
	}
	return g, nil
}

func (p *proceeding) renewGrant(r GrantRenewal) error {
	g, err := p.grant(r.Code)
	if err != nil {
		return err
	}
	if r.To <= g.From || p.at.Now >= r.To {
		return wrong(errors.New("to: has passed"))
	}
	if g.Quota != 0 {
		if g.Quota+r.More < g.Quota {
			return wrong(errors.New("more: the quota is too large"))
		}
		g.Quota += r.More
	}
	g.To, g.Renewed = r.To, p.order.Number
	return p.keepGrant(g)
}

func (p *proceeding) revokeGrant(r GrantRef) error {
	g, err := p.grant(r.Code)
	if err != nil {
		return err
	}
	g.Revoked = p.order.Number
	return store(p.s, grantKey(g.Code), g)
}

func (p *proceeding) freeze(t Target) error {
	if !slices.Contains([]Frozen{FrozenFlow, FrozenSubject, FrozenInstitution}, t.What) {
		return wrong(fmt.Errorf("what: %q: want flow, subject or institution", t.What))
	}
	if t.ID == "" || len(t.ID) > maxText {
		return wrong(fmt.Errorf("id: want 1 to %d bytes", maxText))
	}
	if t.What == FrozenFlow {
		if _, err := flow.ParseHash(t.ID); err != nil {
			return wrong(errors.New("id: is no flow's"))
		}
	}
	if p.order.Kind == Unfreeze {
		order, err := FrozenBy(p.s, t.What, t.ID)
		if err != nil {
			return err
		}
		if order == 0 {
			return refuseOrder("not_frozen")
		}
	}
	return store(p.s, frozenKey(t.What, t.ID), frozen{Is: p.order.Kind == Freeze, Order: p.order.Number})
}

func (p *proceeding) stop(t StepStop) error {
	if err := flow.CheckName("business", t.Business); err != nil {
		return wrong(err)
	}
	if !t.Step.Known() {
		return wrong(fmt.Errorf("step: %q is no step", t.Step))
	}
	if p.order.Kind == Stop {
		if t.Until <= p.at.Now {
			return wrong(errors.New("until: has passed"))
		}
	} else {
		until, _, err := StoppedUntil(p.s, t.Business, t.Step, p.at.Now)
		if err != nil {
			return err
		}
		if until == 0 {
			return refuseOrder("not_stopped")
		}
		t.Until = 0
	}
	return store(p.s, stopKey(t.Business, t.Step), stopped{Until: t.Until, Order: p.order.Number})
}

func (p *proceeding) decideHold(d HoldDecision) error {
	var h heldRequest
	ok, err := load(p.s, holdKey(d.Tx), &h)
	switch {
	case err != nil:
		return err
	case !ok:
		return refuseOrder("hold_unknown")
	case h.Verdict != flow.Held:
		return refuseOrder("hold_resolved")
	}
	var r Resolved
	switch {
	case p.at.Now >= h.Deadline: // the chain has only not come to it yet
		r, err = p.c.refuseHold(p.s, d.Tx, h, 0, reason("hold_expired", ""), p.at.Now)
	case d.Grant:
		r, err = p.c.grantHold(p.s, d.Tx, h, p.order.Number, p.at.Now)
	default:
		r, err = p.c.refuseHold(p.s, d.Tx, h, p.order.Number, reason("officer_refused", "", p.order.Reason), p.at.Now)
	}
	if err != nil {
		return err
	}
	p.out.Resolved = append(p.out.Resolved, r)
	return nil
}

func (p *proceeding) setPolicy(policy Policy) error {
	if err := policy.Validate(); err != nil {
		return wrong(err)
	}
	if len(policy.Second) > 0 && p.second == "" {
		return refuseOrder("policy_second")
	}
	return store(p.s, policyKey(), policy)
}

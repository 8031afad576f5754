package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Order is an officer's order, as it is signed (R9.6). Its form is deterministic
// CBOR; the host has checked the signatures over the bytes that it received.
type Order struct {
	_ struct{} `cbor:",toarray"`

	Number  uint64 // counts the chain's orders from 1 without gaps
	Kind    Kind
	Officer string // identity
	Reason  string // why, for people; a refused hold shows it to the platform
	Issued  int64  // Unix seconds
	Expires int64  // Unix seconds, exclusive
	Body    []byte // what Kind says, flow.Marshal
}

// Kind is what an order is about. Comments give the body.
type Kind string

// The kinds of orders.
const (
	IdentityAdmit  Kind = "identity.admit"  // Identity, of any role; applied, verified or active
	IdentityStatus Kind = "identity.status" // StatusChange
	IdentityRenew  Kind = "identity.renew"  // Identity, of the same id and role; its status stays
	ListDefine     Kind = "list.define"     // Definition
	ListAdd        Kind = "list.add"        // Additions
	ListLift       Kind = "list.lift"       // EntryRef
	ListAppeal     Kind = "list.appeal"     // EntryRef, with what the appeal says
	ListKeep       Kind = "list.keep"       // EntryRef; the appeal is turned down
	StandingSet    Kind = "standing.set"    // StandingChange
	GrantIssue     Kind = "grant.issue"     // Grant
	GrantRenew     Kind = "grant.renew"     // GrantRenewal
	GrantRevoke    Kind = "grant.revoke"    // GrantRef
	Freeze         Kind = "freeze"          // Target
	Unfreeze       Kind = "unfreeze"        // Target
	Stop           Kind = "stop"            // StepStop
	Resume         Kind = "resume"          // StepStop, its Until 0
	HoldDecide     Kind = "hold.decide"     // HoldDecision
	RulesPublish   Kind = "rules.publish"   // Publication
	RulesRollback  Kind = "rules.rollback"  // Rollback
	RulesCancel    Kind = "rules.cancel"    // Cancellation
	PolicySet      Kind = "policy.set"      // Policy
	NodeAdmit      Kind = "node.admit"      // NodeSeat
	NodeRemove     Kind = "node.remove"     // NodeRef
	CommitteeSet   Kind = "committee.set"   // committee.Terms
	RetentionSet   Kind = "retention.set"   // Retention
	PayloadErase   Kind = "payload.erase"   // Erasure; always by two officers
	KeysHandover   Kind = "keys.handover"   // Handover, of the log's keys
)

// Kinds lists every kind of order.
func Kinds() []Kind {
	return []Kind{
		IdentityAdmit, IdentityStatus, IdentityRenew,
		ListDefine, ListAdd, ListLift, ListAppeal, ListKeep,
		StandingSet, GrantIssue, GrantRenew, GrantRevoke,
		Freeze, Unfreeze, Stop, Resume, HoldDecide,
		RulesPublish, RulesRollback, RulesCancel, PolicySet,
		NodeAdmit, NodeRemove, CommitteeSet, KeysHandover,
		RetentionSet, PayloadErase,
	}
}

// Block is where on the chain an order or a deadline is carried out.
type Block struct {
	_ struct{} `cbor:",toarray"`

	Height int64
	Now    int64     // the block's time, Unix seconds
	Tx     flow.Hash // the order's transaction; zero for a block's beginning
	Size   int64     `cbor:"-"` // decisions in the log before it; not part of what is recorded

	// Decided looks a decision up in the host's log, for payload.erase; false when it
	// is not there, or not proven. nil: there is no log.
	Decided func(Payload) (Decided, bool, error) `cbor:"-"`
}

// OrderOutcome is what an order has brought about, besides its kind's own change.
type OrderOutcome struct {
	Entries  []uint64    // numbers that list.add gave, in the order of the additions
	Grant    string      // code of the grant issued
	Bundle   flow.Hash   // address of the bundle published, or gone back to
	Resolved []Resolved  // decisions on held submissions, for the host to record
	Erased   []flow.Hash // transactions whose payload the host is to destroy
}

// OrderRecord is an order that was carried out: who, when, why and what.
type OrderRecord struct {
	_ struct{} `cbor:",toarray"`

	Order  Order     // its Body is empty when it is over 4 KiB: the transaction has it
	Body   flow.Hash // SHA-256 of Body
	Second string    // the officer who signed second; empty for none
	At     Block
}

const maxRecordedBody = 4 << 10

// Policy says which kinds of order two officers must sign (four eyes).
type Policy struct {
	_ struct{} `cbor:",toarray"`

	Second []Kind
}

// Validate says what is wrong with p.
func (p Policy) Validate() error {
	for i, k := range p.Second {
		if !slices.Contains(Kinds(), k) || slices.Contains(p.Second[:i], k) {
			return fmt.Errorf("%q is no kind of order, or stands twice", k)
		}
	}
	return nil
}

// OrderOf returns an order that was carried out; false when there is none of
// this number.
func OrderOf(s State, number uint64) (OrderRecord, bool, error) {
	var r OrderRecord
	ok, err := load(s, orderKey(number), &r)
	return r, ok, err
}

// LastOrder is the number of the last order carried out; the next one's is one more.
func LastOrder(s State) (uint64, error) {
	var last uint64
	_, err := load(s, ordersKey(), &last)
	return last, err
}

// PolicyOf returns the policy in force.
func PolicyOf(s State) (Policy, error) {
	var p Policy
	_, err := load(s, policyKey(), &p)
	return p, err
}

// Apply carries out an officer's order, from the next decision on, as a whole or
// not at all. The host has checked that officer, and second if it is not empty,
// have signed it. An order that may not be carried out is an *OrderRefused and
// leaves the state as it was, its number unused; any other error is a failure of
// the storage. Deterministic, as Decide is.
func (c *Contract) Apply(s State, o Order, second string, at Block) (OrderOutcome, error) {
	p := &proceeding{c: c, s: newStaged(s), order: o, second: second, at: at}
	if err := p.permitted(); err != nil {
		return OrderOutcome{}, p.failed(err)
	}
	if err := p.carryOut(); err != nil {
		return OrderOutcome{}, p.failed(err)
	}
	if err := p.record(); err != nil {
		return OrderOutcome{}, p.failed(err)
	}
	p.s.commit()
	return p.out, nil
}

// proceeding is one order being carried out.
type proceeding struct {
	c      *Contract
	s      *staged
	order  Order
	second string
	at     Block
	out    OrderOutcome
}

// failed names the order in an error; a refusal stays one.
func (p *proceeding) failed(err error) error {
	var refused *OrderRefused
	if errors.As(err, &refused) {
		return refused
	}
	return fmt.Errorf("carrying out order %d: %w", p.order.Number, err)
}

// permitted says whether the order may be carried out at all.
func (p *proceeding) permitted() error {
	o := p.order
	last, err := LastOrder(p.s)
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(Kinds(), o.Kind):
		return refuseOrder("order_kind", string(o.Kind))
	case o.Number <= last:
		return refuseOrder("order_replayed", o.Number, last+1)
	case o.Number != last+1:
		return refuseOrder("order_number", o.Number, last+1)
	case p.at.Now >= o.Expires:
		return refuseOrder("order_expired")
	case o.Reason == "" || len(o.Reason) > maxMessage:
		return refuseOrder("order_reason", maxMessage)
	}
	if err := p.officer(o.Officer); err != nil {
		return err
	}
	return p.fourEyes()
}

// officer asks for an active officer, within its validity (R7.1).
func (p *proceeding) officer(id string) error {
	against, err := AgainstActing(p.s, id, RoleOfficer, p.at.Now)
	if err != nil {
		return err
	}
	if len(against) > 0 {
		return refuseOrder("order_officer", against[0].Zh, against[0].En)
	}
	return nil
}

// fourEyes asks for a second officer where policy says so.
func (p *proceeding) fourEyes() error {
	policy, err := PolicyOf(p.s)
	if err != nil {
		return err
	}
	if p.second == "" {
		if slices.Contains(policy.Second, p.order.Kind) {
			return refuseOrder("order_second", string(p.order.Kind))
		}
		return nil
	}
	if p.second == p.order.Officer {
		return refuseOrder("order_second_same")
	}
	return p.officer(p.second)
}

// record keeps the order for history.
func (p *proceeding) record() error {
	r := OrderRecord{Order: p.order, Body: flow.SumHash(p.order.Body), Second: p.second, At: p.at}
	if len(r.Order.Body) > maxRecordedBody {
		r.Order.Body = nil
	}
	if err := store(p.s, orderKey(p.order.Number), r); err != nil {
		return err
	}
	return store(p.s, ordersKey(), p.order.Number)
}

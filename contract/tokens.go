package contract

import (
	"crypto/subtle"
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// permittedBy says which step's token the step needs; empty for none.
func permittedBy(step flow.Step) flow.Step {
	switch step {
	case flow.ReviewResult:
		return flow.ReviewRequest
	case flow.Settle:
		return flow.Order
	default:
		return ""
	}
}

// tokenTrue asks for the token of the granted request or order that this step
// completes: given for this flow, to this actor, neither used, replaced nor
// expired (R2.4, R3.4, R4.1). The token is compared in constant time.
func (x *examination) tokenTrue() ([]flow.Reason, error) {
	from := permittedBy(x.r.Header.Step)
	if from == "" {
		return nil, nil
	}
	f, h := x.r.Facts, x.r.Header
	if f.Permit.IsZero() || f.Token.IsZero() {
		return because("token_missing", "token"), nil
	}
	known, err := load(x.s, permitKey(f.Permit), &x.used)
	if err != nil {
		return nil, err
	}
	p := x.used
	switch {
	case !known:
		return because("token_missing", "permit"), nil
	case subtle.ConstantTimeCompare(p.Token[:], f.Token[:]) != 1:
		return because("token_wrong", "token"), nil
	case p.Flow != h.Flow:
		return because("token_wrong", "flow"), nil
	case p.Step != from:
		return because("token_wrong", "step"), nil
	case p.Actor != h.Actor:
		return because("token_wrong", "actor"), nil
	case p.Used:
		return because("token_used", "token"), nil
	case x.received >= p.Expires: // it was in time if it had to wait for an officer since
		return because("token_expired", "token"), nil
	case x.flow.Pending != f.Permit:
		return because("token_replaced", "token"), nil
	}
	return nil, nil
}

// tokenSpent tells whoever comes out of order with a used token so: it is the
// likeliest cause, since using it moved the flow on.
func (x *examination) tokenSpent() ([]flow.Reason, error) {
	from, f := permittedBy(x.r.Header.Step), x.r.Facts
	if from == "" || f.Permit.IsZero() {
		return nil, nil
	}
	var p permit
	if _, err := load(x.s, permitKey(f.Permit), &p); err != nil {
		return nil, err
	}
	if p.Used && p.Step == from && p.Flow == x.r.Header.Flow {
		return because("token_used", "token"), nil
	}
	return nil, nil
}

// asOrdered asks that a settlement be over what was ordered.
func (x *examination) asOrdered() ([]flow.Reason, error) {
	if x.r.Header.Step != flow.Settle {
		return nil, nil
	}
	switch f, o := x.r.Facts, x.flow.Order; {
	case f.Amount != o.Amount:
		return because("amount_mismatch", "amount"), nil
	case f.Insured != o.Insured:
		return because("amount_mismatch", "insured"), nil
	case f.Currency != o.Currency:
		return because("amount_mismatch", "currency"), nil
	}
	return nil, nil
}

// giveToken makes the token of a granted review request or order (R2.3, R3.3)
// and notes it as the flow's.
func (x *examination) giveToken(d *Decision) error {
	step, now := x.r.Header.Step, x.r.Now
	token, err := flow.Token(x.c.params.date(now), d.Flow, step)
	if err != nil {
		return fmt.Errorf("making a token: %w", err)
	}
	d.Token, d.Expires = token, x.c.params.expiry(now)
	x.flow.Pending = x.r.Tx
	return store(x.s, permitKey(x.r.Tx), permit{
		Flow: d.Flow, Step: step, Actor: x.r.Header.Actor, Token: token, Expires: d.Expires,
	})
}

// takeToken marks the presented token as used.
func (x *examination) takeToken() error {
	x.used.Used = true
	x.flow.Pending = flow.Hash{}
	return store(x.s, permitKey(x.r.Facts.Permit), x.used)
}

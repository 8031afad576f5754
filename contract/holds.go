package contract

import (
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// HeldSubmission is one that waits for an officer, or waited for one (R9.6).
type HeldSubmission struct {
	Number   uint64
	Tx       flow.Hash
	Since    int64         // when it was submitted, Unix seconds
	Deadline int64         // from when on it is refused by default
	Reasons  []flow.Reason // why it is held, those that came up since among them
	Header   flow.Header   // zero when it is resolved
	Facts    Facts         // zero when it is resolved
	Verdict  flow.Verdict  // held while it waits; then what came of it
	Order    uint64        // the order that resolved it; 0 while it waits, or for its deadline
}

// heldRequest is a hold in state. What was submitted is dropped once it is
// resolved: the chain has the transaction.
type heldRequest struct {
	_ struct{} `cbor:",toarray"`

	Number   uint64
	Since    int64
	Deadline int64
	Reasons  []flow.Reason
	Header   flow.Header
	Facts    Facts
	Verdict  flow.Verdict
	Order    uint64
}

// holdCount finds open holds without a scan. Block times do not go back and the
// time to wait is one for all, so deadlines come in the order of the numbers.
type holdCount struct {
	_ struct{} `cbor:",toarray"`

	Last  uint64 // number of the last hold
	First uint64 // lowest number that may still be open; 0 before the first hold
}

// Resolved is what came of a held submission: the decision for its own
// transaction, which the host records as it records any.
type Resolved struct {
	Request  Request
	Decision Decision
}

// HoldOf returns the hold of a transaction; false when it was never held.
func HoldOf(s State, tx flow.Hash) (HeldSubmission, bool, error) {
	var h heldRequest
	ok, err := load(s, holdKey(tx), &h)
	if err != nil || !ok {
		return HeldSubmission{}, false, err
	}
	return HeldSubmission{
		Number: h.Number, Tx: tx, Since: h.Since, Deadline: h.Deadline, Reasons: h.Reasons,
		Header: h.Header, Facts: h.Facts, Verdict: h.Verdict, Order: h.Order,
	}, true, nil
}

// HoldNumber returns the transaction of the numbered hold, counted from 1;
// false when there is none.
func HoldNumber(s State, number uint64) (flow.Hash, bool, error) {
	var tx flow.Hash
	ok, err := load(s, holdNumberKey(number), &tx)
	return tx, ok, err
}

// hold notes a reason to wait for an officer. It does not end the examination:
// what is refused in any case need not wait, and an officer sees all reasons.
func (x *examination) hold(on Basis, reasons ...flow.Reason) {
	if len(x.holds) == 0 && len(reasons) > 0 {
		x.heldOn = on
	}
	x.holds = append(x.holds, reasons...)
}

// uncovered are the reasons to wait that an officer's word does not cover.
func (x *examination) uncovered() []flow.Reason {
	if x.word == nil {
		return x.holds
	}
	return slices.DeleteFunc(slices.Clone(x.holds), func(r flow.Reason) bool {
		return slices.ContainsFunc(x.word.covers, func(c flow.Reason) bool { return c.Code == r.Code && c.Path == r.Path })
	})
}

// word is an officer's word on a held submission.
type word struct {
	order  uint64
	covers []flow.Reason // the reasons that it was held for
}

// wait keeps the submission until an officer decides it.
func (x *examination) wait(d Decision) error {
	if x.word != nil {
		return nil // it waits already
	}
	var count holdCount
	if _, err := load(x.s, holdsKey(), &count); err != nil {
		return err
	}
	count.Last++
	if count.First == 0 {
		count.First = 1
	}
	h := heldRequest{
		Number: count.Last, Since: x.r.Now, Deadline: x.r.Now + x.c.params.HoldDeadline,
		Reasons: d.Reasons, Header: x.r.Header, Facts: x.r.Facts, Verdict: flow.Held,
	}
	if err := store(x.s, holdKey(x.r.Tx), h); err != nil {
		return err
	}
	if err := store(x.s, holdNumberKey(count.Last), x.r.Tx); err != nil {
		return err
	}
	return store(x.s, holdsKey(), count)
}

// close drops what was submitted and notes what came of it.
func (h heldRequest) close(s State, tx flow.Hash, v flow.Verdict, order uint64) error {
	h.Header, h.Facts, h.Verdict, h.Order = flow.Header{}, Facts{}, v, order
	return store(s, holdKey(tx), h)
}

// grantHold decides a held submission again, now, with the officer's word that
// what it was held for is no obstacle. Everything else counts as it stands now,
// so that a hold is no way around what has changed. Should there be new reasons
// to wait, it goes on waiting, for those, until its old deadline.
func (c *Contract) grantHold(s State, tx flow.Hash, h heldRequest, order uint64, now int64) (Resolved, error) {
	r := Request{Header: h.Header, Tx: tx, Facts: h.Facts, Now: now}
	x := &examination{c: c, s: s, r: r, received: h.Since, word: &word{order: order, covers: h.Reasons}}
	d, err := x.decide()
	if err != nil {
		return Resolved{}, fmt.Errorf("deciding held %s: %w", r.Header.Step, err)
	}
	d.Order = order
	if d.Verdict == flow.Held {
		if room := maxReasons - len(h.Reasons); room > 0 {
			h.Reasons = append(h.Reasons, d.Reasons[:min(room, len(d.Reasons))]...)
		}
		return Resolved{r, d}, store(s, holdKey(tx), h)
	}
	return Resolved{r, d}, h.close(s, tx, d.Verdict, order)
}

// refuseHold refuses a held submission, by an officer's order or, with order 0,
// because its deadline has passed.
func (c *Contract) refuseHold(s State, tx flow.Hash, h heldRequest, order uint64, why flow.Reason, now int64) (Resolved, error) {
	r := Request{Header: h.Header, Tx: tx, Facts: h.Facts, Now: now}
	d := Decision{
		Verdict: flow.Refused, Reasons: []flow.Reason{why}, Basis: BasisHold, Order: order,
		Flow: h.Header.Flow, Contract: c.rules.address, Version: c.version,
	}
	return Resolved{r, d}, h.close(s, tx, flow.Refused, order)
}

// Bounds of what one block does about deadlines.
const (
	maxExpired = 100  // holds that are refused
	maxPassed  = 1000 // holds that were resolved before, passed over
)

// ExpireHolds refuses held submissions whose deadline has passed, in the order
// in which they were held, at most 100 of them: the host calls it once a block,
// before the block's transactions, and the rest is for the next block. The error
// is a failure of the storage.
func (c *Contract) ExpireHolds(s State, at Block) ([]Resolved, error) {
	var count holdCount
	if _, err := load(s, holdsKey(), &count); err != nil {
		return nil, err
	}
	first := count.First
	var all []Resolved
	for passed := 0; count.First != 0 && count.First <= count.Last && len(all) < maxExpired && passed < maxPassed; {
		tx, ok, err := HoldNumber(s, count.First)
		if err != nil {
			return nil, err
		}
		var h heldRequest
		if ok {
			ok, err = load(s, holdKey(tx), &h)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("expiring holds: number %d is missing", count.First)
		}
		if h.Verdict == flow.Held {
			if at.Now < h.Deadline {
				break
			}
			r, err := c.refuseHold(s, tx, h, 0, reason("hold_expired", ""), at.Now)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		} else {
			passed++
		}
		count.First++
	}
	if count.First == first {
		return all, nil
	}
	return all, store(s, holdsKey(), count)
}

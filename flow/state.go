package flow

import "fmt"

// State is where a flow stands. Both sides keep it: the verification contract
// to decide, the platform to know what it may ask next.
type State string

// The states.
const (
	Unregistered State = ""
	Registered   State = "registered"
	InReview     State = "in_review"
	Approved     State = "approved"
	Rejected     State = "rejected" // final, R2.7
	Ordered      State = "ordered"
	Settled      State = "settled"
	Delivered    State = "delivered" // final, R5
)

// Final says whether nothing can follow.
func (s State) Final() bool { return s == Rejected || s == Delivered }

// ErrOutOfOrder is what Next's errors wrap.
var ErrOutOfOrder = fmt.Errorf("step out of order")

// Next gives the state after a granted step. approved matters for review.result
// alone. A review request or an order may be repeated while the one before is
// unused: whether that one's token still counts is the contract's to check.
func Next(s State, step Step, approved bool) (State, error) {
	switch {
	case step == Register && s == Unregistered:
		return Registered, nil
	case step == ReviewRequest && (s == Registered || s == InReview):
		return InReview, nil
	case step == ReviewResult && s == InReview:
		if approved {
			return Approved, nil
		}
		return Rejected, nil
	case step == Order && (s == Approved || s == Ordered):
		return Ordered, nil
	case step == Settle && s == Ordered:
		return Settled, nil
	case step == Deliver && s == Settled:
		return Delivered, nil
	}
	from := string(s)
	if s == Unregistered {
		from = "unregistered"
	}
	return s, fmt.Errorf("%w: %s cannot follow on %s", ErrOutOfOrder, step, from)
}

package flow

import "fmt"

// Step is one supervised action of a flow. The five kinds of the method, the
// reported delivery, and the enrolment of a participant travel the same path.
type Step string

// The steps, in the order in which a flow takes them.
const (
	// Enrol registers a participant (a reviewer, R2.1); it belongs to no flow.
	Enrol         Step = "enrol"
	Register      Step = "register"       // R1
	ReviewRequest Step = "review.request" // R2.2
	ReviewResult  Step = "review.result"  // R2.6
	Order         Step = "order"          // R3
	Settle        Step = "settle"         // R4.5
	Deliver       Step = "deliver"        // R5, reported
)

// Steps lists every step in order; a step's code is its index plus one.
func Steps() []Step {
	return []Step{Enrol, Register, ReviewRequest, ReviewResult, Order, Settle, Deliver}
}

// Code is the step's number in leaves and on business chains, from 1; 0 is unknown.
func (s Step) Code() uint8 {
	for i, k := range Steps() {
		if k == s {
			return uint8(i + 1)
		}
	}
	return 0
}

// StepOf is the inverse of Code.
func StepOf(code uint8) (Step, error) {
	if code == 0 || int(code) > len(Steps()) {
		return "", fmt.Errorf("unknown step code %d", code)
	}
	return Steps()[code-1], nil
}

// Known says whether s is one of Steps.
func (s Step) Known() bool { return s.Code() != 0 }

// Recorded says whether a granted step leaves a record on the business chain
// (R1.5, R2.7, R4.1, R4.6, R5). A review request leaves only its token, an
// enrolment only the identity on the supervision chain.
func (s Step) Recorded() bool { return s.Known() && s != ReviewRequest && s != Enrol }

// TokenSuffix is what the step's token is made with: "pres" (R2.3) or "order"
// (R3.3), and empty for a step that gives no token.
func (s Step) TokenSuffix() string {
	switch s {
	case ReviewRequest:
		return "pres"
	case Order:
		return "order"
	default:
		return ""
	}
}

// Verdict is a decision's outcome. A submission without a decision has none of
// these: it is unknown, and unknown is retried, never guessed.
type Verdict string

// The verdicts.
const (
	Granted Verdict = "granted"
	Refused Verdict = "refused"
	Held    Verdict = "held"
)

// Code is the verdict's number in leaves, from 1; 0 is unknown.
func (v Verdict) Code() uint8 {
	switch v {
	case Granted:
		return 1
	case Refused:
		return 2
	case Held:
		return 3
	default:
		return 0
	}
}

// VerdictOf is the inverse of Code.
func VerdictOf(code uint8) (Verdict, error) {
	for _, v := range []Verdict{Granted, Refused, Held} {
		if v.Code() == code {
			return v, nil
		}
	}
	return "", fmt.Errorf("unknown verdict code %d", code)
}

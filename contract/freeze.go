package contract

import "signalbox.dev/signalbox/flow"

// Frozen names what can be frozen (R9.6).
type Frozen string

// What can be frozen.
const (
	FrozenFlow        Frozen = "flow"        // by id, lower hex
	FrozenSubject     Frozen = "subject"     // by pseudonym
	FrozenInstitution Frozen = "institution" // by identity or pseudonym: platform, originator, producer
)

// frozen says whether something is frozen, and by which order.
type frozen struct {
	_ struct{} `cbor:",toarray"`

	Is    bool
	Order uint64 // the order that froze it, or let it go
}

// stopped is a step stopped for one kind of business.
type stopped struct {
	_ struct{} `cbor:",toarray"`

	Until int64 // Unix seconds, exclusive
	Order uint64
}

// FrozenBy returns the number of the order under which something is frozen;
// 0 when it is not.
func FrozenBy(s State, what Frozen, id string) (uint64, error) {
	var f frozen
	if _, err := load(s, frozenKey(what, id), &f); err != nil || !f.Is {
		return 0, err
	}
	return f.Order, nil
}

// StoppedUntil returns when a stop of the step ends, Unix seconds, and the order
// that stopped it; zeros when it is not stopped at now.
func StoppedUntil(s State, business string, step flow.Step, now int64) (until int64, order uint64, err error) {
	var stop stopped
	if _, err := load(s, stopKey(business, step), &stop); err != nil || now >= stop.Until {
		return 0, 0, err
	}
	return stop.Until, stop.Order, nil
}

// notFrozen holds what an officer has frozen, or stopped: nothing is refused for
// it, since the reason to freeze may turn out to be none.
func (x *examination) notFrozen() ([]flow.Reason, error) {
	type target struct {
		what Frozen
		id   string
		path string
	}
	var targets []target
	if id := x.part("flow"); id != "" {
		targets = append(targets, target{FrozenFlow, id, "flow"})
	}
	if id := x.part("subject"); id != "" {
		targets = append(targets, target{FrozenSubject, id, "subject"})
	}
	for _, path := range []string{"platform", "originator", "producer"} {
		if id := x.part(path); id != "" {
			targets = append(targets, target{FrozenInstitution, id, path})
		}
	}
	for _, t := range targets {
		order, err := FrozenBy(x.s, t.what, t.id)
		if err != nil {
			return nil, err
		}
		if order != 0 {
			x.hold(BasisFreeze, reason("frozen_"+string(t.what), t.path, order))
		}
	}
	return nil, nil
}

// notStopped holds a step that is stopped for its kind of business.
func (x *examination) notStopped() ([]flow.Reason, error) {
	h := x.r.Header
	until, order, err := StoppedUntil(x.s, h.Business, h.Step, x.r.Now)
	if err != nil || until == 0 {
		return nil, err
	}
	x.hold(BasisFreeze, reason("step_stopped", "step", order, stepName(h.Step), string(h.Step)))
	return nil, nil
}

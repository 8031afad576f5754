package authority

import (
	"context"
	"encoding/json"
	"errors"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
)

// Reason codes of submissions that can't be opened or read. The contract
// refuses with them and knows their texts.
const (
	unreadableKey      = "not_recipient"
	unreadableSeal     = "unopened"
	unreadableBusiness = "unknown_business"
	unreadablePayload  = "malformed"
	unreadableFlow     = "flow_mismatch"
)

// examined is what the authority derives from a submission.
type examined struct {
	facts       contract.Facts
	certificate []byte // of an enrolment
}

func unreadable(code, path string) examined {
	return examined{facts: contract.Facts{Unreadable: code, UnreadablePath: path}}
}

// examine opens the payload and derives the facts. What it can't open or read
// becomes facts that say so: there is no error, and the contract refuses. The
// error is for a licence register that can't be asked just now.
func (a *Authority) examine(ctx context.Context, h flow.Header, sub flow.Submission) (examined, error) {
	key, ok := a.keyFor(h.Recipients)
	if !ok {
		return unreadable(unreadableKey, ""), nil
	}
	m, err := a.cfg.Suite.Open(envelope.SubmissionContext(h), sub.Sealed, key)
	if err != nil {
		return unreadable(unreadableSeal, ""), nil
	}
	if h.Step == flow.Enrol {
		return a.examineApplication(ctx, h, m.Payload)
	}
	if !names(m.Payload, h) {
		return unreadable(unreadableFlow, "/flow"), nil
	}
	p, ok := a.profiles[h.Business]
	if !ok {
		return unreadable(unreadableBusiness, ""), nil
	}
	f, err := p.Facts(h.Step, m.Payload, a.name)
	if err != nil {
		return unreadableBecause(err), nil
	}
	f.Business = h.Business
	return examined{facts: f}, nil
}

// names says whether a payload is of the flow that its header names: what was
// sealed about one flow must not be presented under another.
func names(payload []byte, h flow.Header) bool {
	if h.Flow.IsZero() {
		return true
	}
	var p struct {
		Flow flow.Hash `json:"flow"`
	}
	return json.Unmarshal(payload, &p) == nil && p.Flow == h.Flow
}

// keyFor finds the authority's key among the recipients.
func (a *Authority) keyFor(recipients []flow.KeyID) (envelope.PrivateKey, bool) {
	for _, k := range a.cfg.Sealing {
		for _, r := range recipients {
			if k.Public().ID() == r {
				return k, true
			}
		}
	}
	return envelope.PrivateKey{}, false
}

// unreadableBecause takes code and place from a profile's error, never a value.
func unreadableBecause(err error) examined {
	var refusal *profile.Refusal
	if errors.As(err, &refusal) {
		return unreadable(refusal.Reason.Code, refusal.Reason.Path)
	}
	var problem *profile.Problem
	if errors.As(err, &problem) {
		return unreadable(unreadablePayload, problem.Path)
	}
	return unreadable(unreadablePayload, "")
}

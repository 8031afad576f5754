package api

import (
	"context"
	"net/http"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// flowsPath is where flows stand.
const flowsPath = "/api/v1/flows"

type recordInput struct {
	Exchange

	// Prefer is here for the description; Exchange.wait reads it, all of it.
	Prefer string `header:"Prefer" doc:"wait=N (RFC 7240): answer when the registration is decided and the record stored, or after N seconds, at most 60."`
	Key    string `header:"Idempotency-Key" maxLength:"255" doc:"Any text that names this attempt. The same record with the same key is the same registration; another record is refused."`
}

type recordOutput struct {
	Status   int
	Location string `header:"Location" doc:"The flow."`
	Applied  string `header:"Preference-Applied" doc:"The wait that was granted. The body is the flow then."`
	Body     any
}

// Registration is the answer to a record that was not waited for.
type Registration struct {
	Ref      flow.ID    `json:"ref" doc:"Names the flow from now on: the registration's submission id."`
	Flow     flow.Hash  `json:"flow,omitzero" doc:"The flow's txhash, once granted."`
	State    flow.State `json:"state" doc:"Where the flow stands: pending while its registration is undecided."`
	Existing bool       `json:"existing,omitempty" doc:"This very record was here before."`
}

// postRecord takes a record in (R1.1).
func (s *Server) postRecord(ctx context.Context, in *recordInput) (*recordOutput, error) {
	reg, err := s.register(ctx, in)
	if err != nil {
		return nil, err
	}
	if wait, asked := in.wait(); asked && s.waiting.enter() {
		defer s.waiting.leave()
		in.allow(wait)
		return s.registered(ctx, reg, wait)
	}
	out := &recordOutput{Status: http.StatusAccepted, Location: location(reg.Ref, reg.Flow)}
	if reg.Existing {
		out.Status = http.StatusOK
	}
	body := Registration{Ref: reg.Ref, Flow: reg.Flow, State: reg.State, Existing: reg.Existing}
	if body.State == flow.Unregistered {
		body.State = platform.Pending
	}
	out.Body = body
	return out, nil
}

func (s *Server) register(ctx context.Context, in *recordInput) (authorise.Registration, error) {
	if !s.intake.enter() {
		return authorise.Registration{}, &fault{kind: busy}
	}
	defer s.intake.leave()
	data, err := in.record()
	if err != nil {
		return authorise.Registration{}, err
	}
	reg, err := s.cfg.Platform.Register(ctx, authorise.Input{Data: data, Key: in.Key})
	if err != nil {
		return reg, s.fail(ctx, "taking a record in", err)
	}
	return reg, nil
}

// registered waits for the registration's end. What is undecided when time is up
// is unknown, and neither refused nor granted; what is held waits for an officer.
func (s *Server) registered(ctx context.Context, reg authorise.Registration, wait time.Duration) (*recordOutput, error) {
	waiting, cancel := s.patience(ctx, wait)
	defer cancel()
	o, err := s.cfg.Platform.Wait(waiting, reg.Ref)
	if err != nil && waiting.Err() == nil {
		return nil, s.fail(ctx, "waiting for a registration", err)
	}
	switch o.State {
	case outbox.Refused:
		return nil, &fault{kind: registrationRefused, reasons: o.Reasons, ref: reg.Ref, tx: o.Tx}
	case outbox.Lapsed:
		return nil, &fault{kind: registrationLapsed, reasons: o.Reasons, ref: reg.Ref, tx: o.Tx}
	}
	view, err := s.cfg.Platform.Flow(ctx, reg.Ref.String())
	if err != nil {
		return nil, s.fail(ctx, "reading a flow", err)
	}
	out := &recordOutput{Status: http.StatusAccepted, Location: location(view.Ref, view.Flow), Applied: applied(wait), Body: view}
	switch {
	case o.State != outbox.Done: // unknown, or held for an officer
	case reg.Existing:
		out.Status = http.StatusOK
	default:
		out.Status = http.StatusCreated
	}
	return out, nil
}

// location is where a flow is read: by its txhash, once it has one (R1.6).
func location(ref flow.ID, id flow.Hash) string {
	if id.IsZero() {
		return flowsPath + "/" + ref.String()
	}
	return flowsPath + "/" + id.String()
}

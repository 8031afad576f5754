package api

import (
	"context"
	"slices"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

type flowsInput struct {
	State  string `query:"state" enum:"pending,registered,in_review,approved,rejected,ordered,settled,delivered,refused" doc:"Only flows that stand there."`
	Before int64  `query:"before" minimum:"1" doc:"Only flows with a smaller seq: next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"At most this many."`
}

// FlowList is a page of flows.
type FlowList struct {
	Flows []platform.FlowView `json:"flows" doc:"Newest first."`
	Next  int64               `json:"next,omitempty" doc:"Pass it as before for the next page. Absent on the last one."`
}

type flowsOutput struct{ Body FlowList }

// listFlows lists flows with their steps.
func (s *Server) listFlows(ctx context.Context, in *flowsInput) (*flowsOutput, error) {
	views, err := s.cfg.Platform.Flows(ctx, platform.Filter{State: flow.State(in.State), Before: in.Before, Limit: in.Limit})
	if err != nil {
		return nil, s.fail(ctx, "listing flows", err)
	}
	out := FlowList{Flows: views}
	if views == nil {
		out.Flows = []platform.FlowView{}
	}
	if n := len(views); n == in.Limit {
		out.Next = views[n-1].Seq
	}
	return &flowsOutput{out}, nil
}

type flowInput struct {
	Exchange

	ID     string `path:"id" doc:"The flow's txhash, or the ref of its registration."`
	Prefer string `header:"Prefer" doc:"wait=N (RFC 7240): answer when the flow has come to until, or after N seconds, at most 60."`
	Until  string `query:"until" enum:"registered,in_review,approved,ordered,settled,delivered,final" default:"final" doc:"How far to wait. A flow that has come further, or to its end, is not waited for."`
}

type flowOutput struct {
	Applied string `header:"Preference-Applied" doc:"The wait that was granted."`
	Body    platform.FlowView
}

// readFlow shows one flow with its steps, and waits for it when asked to.
func (s *Server) readFlow(ctx context.Context, in *flowInput) (*flowOutput, error) {
	wait, asked := in.wait()
	if !asked || !s.waiting.enter() {
		view, err := s.cfg.Platform.Flow(ctx, in.ID)
		if err != nil {
			return nil, s.fail(ctx, "reading a flow", err)
		}
		return &flowOutput{Body: view}, nil
	}
	defer s.waiting.leave()
	in.allow(wait)
	waiting, cancel := s.patience(ctx, wait)
	defer cancel()
	for {
		view, err := s.cfg.Platform.Flow(ctx, in.ID)
		if err != nil {
			return nil, s.fail(ctx, "reading a flow", err)
		}
		if reached(view.State, in.Until) || waiting.Err() != nil {
			return &flowOutput{Applied: applied(wait), Body: view}, nil
		}
		s.pause(waiting, view)
	}
}

// glance is how long a flow is left alone when nothing of it is under way: its
// next step is anyone's to take.
const glance = 100 * time.Millisecond

// pause waits for the end of the step that is under way, or for a glance.
func (s *Server) pause(ctx context.Context, view platform.FlowView) {
	if n := len(view.Steps); n > 0 {
		last := view.Steps[n-1]
		if !last.State.Final() && last.State != outbox.Held {
			if _, err := s.cfg.Platform.Wait(ctx, last.ID); err == nil {
				return
			}
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(glance):
	}
}

// reached says whether a flow has come to a state, or past it, or will never.
func reached(state flow.State, until string) bool {
	if state.Final() || state == dossier.Refused {
		return true
	}
	way := []flow.State{flow.Registered, flow.InReview, flow.Approved, flow.Ordered, flow.Settled, flow.Delivered}
	want := slices.Index(way, flow.State(until)) // -1 for final
	return want >= 0 && slices.Index(way, state) >= want
}

package sandbox

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/review"
)

// act does what is next in a flow. Nothing is next while a step is on its way,
// when the flow has ended, and when the last step was refused: that is final.
func (s *Sandbox) act(ctx context.Context, ref string) error {
	v, err := s.cfg.Platform.Flow(ctx, ref)
	if err != nil {
		return err
	}
	if len(v.Steps) == 0 {
		return nil
	}
	last := v.Steps[len(v.Steps)-1]
	if !last.State.Final() || last.State == outbox.Refused {
		return nil
	}
	switch v.State {
	case flow.Registered:
		_, err = s.cfg.Platform.Review.Request(ctx, v.Flow, s.reviewer(ref).ID)
	case flow.InReview:
		err = s.review(ctx, v)
	case flow.Approved:
		err = s.order(ctx, v)
	case flow.Ordered:
		if last.State == outbox.Lapsed {
			err = s.order(ctx, v)
		} else {
			err = s.make(ctx, v)
		}
	case flow.Settled:
		_, err = s.cfg.Platform.Process.Deliver(ctx, v.Flow, actorOf(v, flow.Order))
	}
	if errors.Is(err, outbox.ErrInFlight) || errors.Is(err, flow.ErrOutOfOrder) {
		return nil // somebody was quicker
	}
	return err
}

func (s *Sandbox) reviewer(ref string) Reviewer {
	return s.cfg.Reviewers[pick(ref, len(s.cfg.Reviewers))]
}

// actorOf is who acted in the last done step of the kind.
func actorOf(v platform.FlowView, step flow.Step) string {
	for i := len(v.Steps) - 1; i >= 0; i-- {
		if v.Steps[i].Step == step && v.Steps[i].State == outbox.Done {
			return v.Steps[i].Actor
		}
	}
	return ""
}

// review reads the record as the reviewer who may, and approves it (R2.4, R2.5).
func (s *Sandbox) review(ctx context.Context, v platform.FlowView) error {
	who := actorOf(v, flow.ReviewRequest)
	if _, err := s.cfg.Platform.Review.Read(ctx, v.Flow, who); err != nil {
		if errors.Is(err, review.ErrNotYours) { // the token ran out: ask again
			_, err = s.cfg.Platform.Review.Request(ctx, v.Flow, who)
		}
		return err
	}
	_, err := s.cfg.Platform.Review.Submit(ctx, review.Result{Flow: v.Flow, Reviewer: who, Opinion: flow.Approve})
	return err
}

// order is the subject's order (R3.1).
func (s *Sandbox) order(ctx context.Context, v platform.FlowView) error {
	n := pick(v.Ref.String(), 2*len(s.cfg.Producers))
	delivery := "pickup"
	if n >= len(s.cfg.Producers) {
		delivery = "courier"
	}
	_, err := s.cfg.Platform.Process.Order(ctx, process.OrderRequest{
		Flow: v.Flow, Producer: s.cfg.Producers[n%len(s.cfg.Producers)].ID, Delivery: delivery,
	})
	return err
}

// make is the producer's part, with its own key, and the subject's payment
// (R4.2 to R4.4).
func (s *Sandbox) make(ctx context.Context, v platform.FlowView) error {
	who := actorOf(v, flow.Order)
	var key *Producer
	for i := range s.cfg.Producers {
		if s.cfg.Producers[i].ID == who {
			key = &s.cfg.Producers[i]
		}
	}
	if key == nil {
		return fmt.Errorf("producer %s does not take part", who)
	}
	stored, err := s.cfg.Platform.Process.Fetch(ctx, v.Flow, who)
	if err != nil {
		if errors.Is(err, process.ErrNotYours) { // the token ran out: order again
			return s.order(ctx, v)
		}
		return err
	}
	order, err := process.OpenOrder(s.cfg.Reader, stored, key.Key)
	if err != nil {
		return err
	}
	bill, err := s.cfg.Platform.Process.MakeUp(ctx, process.MadeUp{Flow: v.Flow, Producer: who, Lines: order.Lines})
	if err != nil || bill.Payment == "" || bill.State != "open" {
		return err
	}
	if err := s.cfg.Pay(ctx, bill.Payment); err != nil {
		return err
	}
	_, err = s.cfg.Platform.Process.Paid(ctx, bill.Payment)
	return err
}

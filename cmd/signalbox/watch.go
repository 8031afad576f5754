package main

import (
	"context"
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/receipt"
)

// watch looks at flows until something holds of them.
type watch struct{ platform *platform.Platform }

func newWatch(p *platform.Platform) *watch { return &watch{p} }

// errSeen ends a following of events.
var errSeen = fmt.Errorf("seen")

// until looks at a flow, and again after each of its events, until it holds.
func (w *watch) until(ctx context.Context, ref string, holds func(platform.FlowView) bool) (platform.FlowView, error) {
	var v platform.FlowView
	look := func() (err error) {
		if v, err = w.platform.Flow(ctx, ref); err == nil && holds(v) {
			return errSeen
		}
		return err
	}
	err := look()
	if err == nil {
		err = w.platform.Events(ctx, 0, func(e event.Event) error {
			if e.Ref != ref {
				return nil
			}
			return look()
		})
	}
	if err == errSeen {
		err = nil
	}
	return v, err
}

// decided waits until a flow's registration is.
func (w *watch) decided(ctx context.Context, ref string) error {
	_, err := w.until(ctx, ref, func(v platform.FlowView) bool { return v.State != platform.Pending })
	return err
}

// ended waits until nothing more happens in a flow: it is final, or its last
// step was refused or waits for an officer.
func (w *watch) ended(ctx context.Context, ref string) (platform.FlowView, error) {
	return w.until(ctx, ref, func(v platform.FlowView) bool {
		if len(v.Steps) == 0 {
			return false
		}
		last := v.Steps[len(v.Steps)-1].State
		return v.State.Final() || last == outbox.Refused || last == outbox.Held
	})
}

// Anchoring is the last write of a step and batched; nothing waits for it but
// the end of the demo.
const (
	anchorWait = 15 * time.Second
	anchorPoll = 50 * time.Millisecond
)

// anchored waits until the platform has told of every record, and the
// supervision chain, which hears of it through the fusion node, lacks none.
func (w *watch) anchored(ctx context.Context, open []*playing, c *chain.Chain) error {
	ctx, stop := context.WithTimeoutCause(ctx, anchorWait, fmt.Errorf("anchors did not arrive within %s", anchorWait))
	defer stop()
	for _, f := range open {
		for {
			v, err := w.platform.Flow(ctx, f.ref)
			if err != nil {
				return err
			}
			if allAnchored(v) {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(anchorPoll):
			}
		}
	}
	for {
		missing, err := c.Unanchored(0, time.Now().AddDate(100, 0, 0), 1)
		if err != nil || len(missing) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(anchorPoll):
		}
	}
}

func allAnchored(v platform.FlowView) bool {
	for _, s := range v.Steps {
		if s.State == outbox.Done && s.Step.Recorded() && !s.Anchored {
			return false
		}
	}
	return true
}

// verifyBytes checks that a receipt holds and is the step's.
func verifyBytes(file []byte, keys receipt.Keys, s platform.StepView) error {
	p, err := receipt.Verify(file, keys, keys.Origin())
	if err != nil {
		return fmt.Errorf("receipt of transaction %s: %w", s.Tx, err)
	}
	if p.Leaf.Tx != s.Tx || p.Leaf.Verdict != s.Verdict || p.Leaf.Step != s.Step || (s.Token != flow.Hash{} && p.Leaf.Token != s.Token) {
		return fmt.Errorf("receipt of transaction %s proves another decision", s.Tx)
	}
	return nil
}

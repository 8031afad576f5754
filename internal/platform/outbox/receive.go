package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/receipt"
)

// receivers is how many decisions are taken at once. Each waits for a commit;
// at once, they share it. With few of them a slow disk would bound the steps a second,
// and what waits for its answer would keep the room that new steps need.
const receivers = 64

// receive takes decisions until ctx ends, whatever the connection does.
func (o *Outbox) receive(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		began := o.now()
		err := o.cfg.Transport.Decisions(ctx, o.take)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.cfg.Logger.Warn("receiving decisions", "err", err)
		if o.now().Sub(began) > o.cfg.Pace.Longest {
			attempt = 1 // it had worked for long
		}
		if err := pause(ctx, backoff(o.cfg.Pace.Retry, o.cfg.Pace.Longest, attempt)); err != nil {
			return err
		}
	}
}

// take is the fourth write: it notes a proven decision. It gives nil for what it
// need not see again, which a decision that proves nothing is too: there, the
// outcome stays unknown and the submission is pushed again.
func (o *Outbox) take(ctx context.Context, d flow.Decision) error {
	r, ok := o.live.find(d.ID.String())
	var err error
	if !ok {
		r, err = find(ctx, o.cfg.Store.DB(), d.ID.String())
	}
	if errors.Is(err, ErrNotFound) {
		return o.strayed(ctx, d)
	}
	if err != nil {
		return err
	}
	if r.State != Pending && r.State != Held {
		return o.reminded(ctx, r, d)
	}
	leaf, err := o.prove(r, d)
	if errors.Is(err, sealing.ErrUnproven) {
		o.cfg.Logger.Warn("a decision that is not proven", "id", r.ID, "step", r.Step, "err", err)
		return o.note(ctx, r, err)
	}
	if err != nil {
		return err
	}
	return o.decide(ctx, r, leaf, d)
}

// strayed takes a decision on nothing that the database knows. If it is proven
// it was this platform's once.
func (o *Outbox) strayed(ctx context.Context, d flow.Decision) error {
	leaf, err := o.cfg.Sealer.Prove(d.Receipt)
	if err == nil && leaf.Submission != d.ID {
		err = fmt.Errorf("%w: it is for another submission", sealing.ErrUnproven)
	}
	o.cfg.Logger.Warn("a decision on nothing of ours", "id", d.ID, "proven", err == nil)
	if err != nil || o.stray == nil {
		return nil
	}
	return o.stray(ctx, leaf)
}

// settled is how long after its decision a delivery of it again is taken for a
// reminder and not for a mere repetition, in batches of anchors.
const settled = 10

// reminded takes a decision that was taken before. When it comes so much later
// the authority says that it has no anchor: the anchor that it was sent was lost,
// and goes again. What is granted and not stored is being put anyway.
func (o *Outbox) reminded(ctx context.Context, r row, d flow.Decision) error {
	late := time.UnixMilli(r.DecidedAt).Add(settled * o.cfg.Pace.AnchorEvery)
	if r.Anchored == 0 || r.Tx != d.Tx.String() || o.now().Before(late) {
		return nil
	}
	err := o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).Set("anchored = 0").Where("id = ?", r.ID).Exec(ctx)
		return err
	})
	if err == nil {
		o.cfg.Logger.Info("anchoring again", "id", r.ID, "step", r.Step)
		o.anchors.give()
	}
	return err
}

func (o *Outbox) prove(r row, d flow.Decision) (receipt.Leaf, error) {
	leaf, err := o.cfg.Sealer.Prove(d.Receipt)
	if err != nil {
		return receipt.Leaf{}, err
	}
	var s flow.Submission
	if err := flow.Unmarshal(r.Submission, &s); err != nil {
		return receipt.Leaf{}, fmt.Errorf("reading intent: %w", err)
	}
	h, err := s.Open()
	if err != nil {
		return receipt.Leaf{}, fmt.Errorf("reading intent: %w", err)
	}
	return leaf, o.cfg.Sealer.Decides(leaf, h)
}

// note keeps what was wrong where an operator sees it.
func (o *Outbox) note(ctx context.Context, r row, problem error) error {
	return o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).Set("error = ?", problem.Error()).
			Where("id = ?", r.ID).Where("state IN (?, ?)", Pending, Held).Exec(ctx)
		return err
	})
}

// decide carries a proven decision out. What needs no place on the business chain
// ends here. What does is written down when it stands there, with all that came of
// it, or when that fails or takes long: a process that ends in between asks for the
// decision again (docs/adr/0050-granted-in-memory.md).
func (o *Outbox) decide(ctx context.Context, r row, leaf receipt.Leaf, d flow.Decision) error {
	if r.State == Held && leaf.Verdict == flow.Held {
		return nil // delivered again
	}
	now := o.now()
	r.Verdict, r.Tx, r.Issued, r.Expires = leaf.Verdict, leaf.Tx.String(), leaf.Issued*1000, leaf.Expires*1000
	r.Receipt, r.Error, r.DecidedAt, r.NextAt = d.Receipt, "", now.UnixMilli(), now.UnixMilli()
	if !leaf.Token.IsZero() {
		r.Token = leaf.Token.String()
	}
	if r.Step == flow.Register && leaf.Verdict == flow.Granted {
		r.Flow = leaf.Flow.String()
	}
	var err error
	if r.Reasons, err = reasonsOf(leaf, d); err != nil {
		return err
	}
	switch {
	case leaf.Verdict == flow.Refused:
		r.State = Refused
	case leaf.Verdict == flow.Held:
		r.State = Held
		r.NextAt = now.Add(backoff(o.cfg.Pace.Longest, o.cfg.Pace.Longest, 1)).UnixMilli()
	case r.Step.Recorded():
		r.State = Granted
	default:
		r.State = Done
	}
	switch {
	case r.State != Granted:
		return o.finish(ctx, r)
	case o.hand(o.granted, r):
		return nil
	default:
		return o.settle(ctx, r)
	}
}

// settle writes a decision down whose record does not stand yet; it is due at once.
func (o *Outbox) settle(ctx context.Context, r row) error {
	err := o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := o.update(ctx, tx, r)
		return err
	})
	if err == nil {
		o.live.drop(r.ID) // from now on the database is asked
	}
	return err
}

// reasonsOf takes the texts from the decision where their codes are the proven
// ones, in the proven order; otherwise only the codes.
func reasonsOf(leaf receipt.Leaf, d flow.Decision) (string, error) {
	reasons := d.Reasons
	if !slices.EqualFunc(reasons, leaf.Reasons, func(r flow.Reason, code string) bool { return r.Code == code }) {
		reasons = nil
		for _, code := range leaf.Reasons {
			reasons = append(reasons, flow.Reason{Code: code})
		}
	}
	return encodeReasons(reasons)
}

func encodeReasons(reasons []flow.Reason) (string, error) {
	if len(reasons) == 0 {
		return "", nil
	}
	b, err := json.Marshal(reasons)
	if err != nil {
		return "", fmt.Errorf("encoding reasons: %w", err)
	}
	return string(b), nil
}

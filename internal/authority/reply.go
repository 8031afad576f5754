package authority

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
)

// reply is what a submission is answered with.
type reply struct {
	decision *flow.Decision // nil: nothing
	again    bool           // it was given before, and its platform asks once more
}

// once answers copies of one submission that are here at the same time, because
// a platform has resent it while the authority was away, with one answer.
func (a *Authority) once(ctx context.Context, d fusion.Delivery) (reply, error) {
	v, err, _ := a.flights.Do(flow.SumHash(d.Submission.SigningInput(), d.Submission.Signature).String(), func() (any, error) {
		return a.answer(ctx, d)
	})
	r, _ := v.(reply)
	return r, err
}

// answerEvery is how often one decision is published again at most, however
// often its platform asks.
const answerEvery = 5 * time.Second

// reply sends answers to their platforms. Repeated ones go as messages of their
// own: who asks again lacks the first.
func (a *Authority) reply(ctx context.Context, replies []reply) error {
	var fresh, again []flow.Decision
	for _, r := range replies {
		switch {
		case r.decision == nil:
		case r.again:
			again = append(again, *r.decision)
		default:
			fresh = append(fresh, *r.decision)
		}
	}
	round := "again-" + strconv.FormatInt(a.cfg.Clock().UnixNano()/int64(answerEvery), 10)
	if err := errors.Join(a.publish(ctx, "", fresh...), a.publish(ctx, round, again...)); err != nil {
		return fmt.Errorf("publishing %d decisions: %w", len(fresh)+len(again), err)
	}
	return nil
}

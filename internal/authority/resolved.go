package authority

import (
	"context"
	"fmt"
	"slices"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// What the authority notes in its node about resolved holds: how far it has
// answered them, and which answers no fusion node has taken yet.
const (
	noteResolved   = "resolved"
	noteUnanswered = "unanswered/" // and the transaction's hash
)

// resolvedPage is how many resolved holds are answered in one go.
const resolvedPage = 128

// lookEvery is how often the authority looks whether resolved holds wait for
// their answer; the chain's hint makes it sooner.
const lookEvery = 5 * time.Second

// resolve answers platforms whose held submissions got a decision. What is to be
// answered it reads from the chain, beginning where it left off: a restart
// between resolution and answer forgets nothing. Several authorities may do so
// for one chain: the same answer twice does no harm.
func (a *Authority) resolve(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		if err := a.answerResolved(ctx); err != nil {
			return err
		}
		if err := a.answerLeft(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.chain.Resolutions():
		case <-t.C:
		}
	}
}

// answerResolved answers what was resolved since the last look. An answer that no
// fusion node takes is noted for later, so that one platform's node holds up
// nobody else's answers.
func (a *Authority) answerResolved(ctx context.Context) error {
	var from int64
	if _, err := a.notes.Load(noteResolved, &from); err != nil {
		return err
	}
	for {
		list, next, err := a.chain.Resolved(from, resolvedPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		for _, d := range list {
			if err := a.answerAgain(ctx, "resolved", d); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				a.cfg.Logger.Warn("could not answer a resolved hold yet", "transaction", d.Leaf.Tx, "platform", d.Leaf.Platform, "error", err)
				if err := a.notes.Store(noteUnanswered+d.Leaf.Tx.String(), d.Leaf.Tx); err != nil {
					return err
				}
			}
		}
		if err := a.notes.Store(noteResolved, next); err != nil {
			return fmt.Errorf("noting the resolved holds that are answered: %w", err)
		}
		from = next
	}
}

// answerLeft tries again what no fusion node took. A route that fails is left
// alone until the next look.
func (a *Authority) answerLeft(ctx context.Context) error {
	var left []flow.Hash
	err := a.notes.Each(noteUnanswered, "", resolvedPage, func(_ string, value []byte) error {
		var tx flow.Hash
		if err := flow.Unmarshal(value, &tx); err != nil {
			return err
		}
		left = append(left, tx)
		return nil
	})
	if err != nil {
		return err
	}
	var failed []string
	for _, tx := range left {
		d, err := a.chain.ByTx(tx)
		if err != nil {
			return err
		}
		if slices.Contains(failed, d.Leaf.Platform) {
			continue
		}
		if err := a.answerAgain(ctx, "resolved", d); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed = append(failed, d.Leaf.Platform)
			continue
		}
		if err := a.notes.Delete(noteUnanswered + tx.String()); err != nil {
			return err
		}
	}
	return nil
}

// answerAgain publishes a decision that its platform has not asked for just now.
func (a *Authority) answerAgain(ctx context.Context, round string, d chain.Decided) error {
	answer, err := a.prove(flow.Header{ID: d.Leaf.Submission, Platform: d.Leaf.Platform, Business: d.Leaf.Business}, d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	return a.publish(ctx, round, *answer)
}

package authority

import (
	"context"
	"fmt"
	"time"

	"signalbox.dev/signalbox/internal/chain"
)

const (
	defaultRemind = time.Minute

	// reminders is how often a platform is reminded of a granted record without
	// an anchor: after Remind, twice Remind, four times and so on, the last time
	// after 512 times Remind. Then it is left to people.
	reminders = 10

	// remindPage is the most reminders of one round and number. A platform that
	// was away for long must not find more reminders than answers in its stream.
	remindPage = 256
)

// noteReminded is how far the authority has come with each reminder.
const noteReminded = "reminded"

// reminded holds, for each number of reminder, the leaf that it goes on from: of
// all granted records before it that still lack their anchor, the platform has
// been reminded that often.
type reminded [reminders]int64

// remind publishes the decisions on granted records again that have no anchor
// after their time (write 7): its platform then stores the record, or says again
// where it stands, or finds that it knows nothing of it.
func (a *Authority) remind(ctx context.Context) error {
	t := time.NewTicker(max(min(a.cfg.Remind/100, 10*time.Second), time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if err := a.remindRound(ctx); err != nil {
			return err
		}
	}
}

// remindRound goes on with each reminder from where it stood. Every open record
// is looked at once for each reminder, whatever the number of rounds.
func (a *Authority) remindRound(ctx context.Context) error {
	var at reminded
	if _, err := a.notes.Load(noteReminded, &at); err != nil {
		return err
	}
	before := at
	for n := reminders - 1; n >= 0; n-- { // the last first: what is due for several gets that one
		if err := a.remindOf(ctx, n, &at); err != nil {
			return err
		}
	}
	if at == before {
		return nil
	}
	if err := a.notes.Store(noteReminded, at); err != nil {
		return fmt.Errorf("noting reminders: %w", err)
	}
	return nil
}

// remindOf sends the n-th reminder (from 0) of all that it is due for.
func (a *Authority) remindOf(ctx context.Context, n int, at *reminded) error {
	due, err := a.chain.Unanchored(at[n], a.cfg.Clock().Add(-a.cfg.Remind<<n), remindPage)
	if err != nil {
		return err
	}
	for _, d := range due {
		at[n] = d.Index + 1
		if n+1 < reminders && d.Index < at[n+1] {
			continue // it has had a later one
		}
		err := a.answerAgain(ctx, fmt.Sprintf("reminder-%d", n), d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // the next reminder will do
			a.cfg.Logger.Warn("could not remind a platform", "transaction", d.Leaf.Tx, "platform", d.Leaf.Platform, "error", err)
		}
	}
	return nil
}

// Unanchored lists granted records that have no anchor although their time is
// over, by leaf, from the leaf of that index on: up to limit of them.
func (a *Authority) Unanchored(from int64, limit int) ([]chain.Unanchored, error) {
	var at reminded
	if _, err := a.notes.Load(noteReminded, &at); err != nil {
		return nil, err
	}
	late, err := a.chain.Unanchored(from, a.cfg.Clock().Add(-a.cfg.Remind), limit)
	if err != nil {
		return nil, err
	}
	out := []chain.Unanchored{}
	for _, d := range late {
		u := chain.Unanchored{Decided: d}
		for _, next := range at {
			if d.Index < next {
				u.Reminded++
			}
		}
		out = append(out, u)
	}
	return out, nil
}

// Package event is how the platform tells participants what happened (the sixth
// of the order of writes): a numbered list that is written in the transaction
// that it tells of, and can be followed from any number on.
//
// Events name flows, steps, verdicts and participants' identities. They hold no
// content of any record.
package event

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/store"
)

// Kind says what happened.
type Kind string

// The kinds.
const (
	Submitted Kind = "step.submitted" // an intent stands in the outbox
	Held      Kind = "step.held"      // it waits for an officer
	Refused   Kind = "step.refused"   // final
	Done      Kind = "step.done"      // granted, and on the business chain where it leaves a record
	Lapsed    Kind = "step.lapsed"    // granted, but the business chain would not take it
	Fetched   Kind = "order.fetched"  // the producer took the order (R4.2)
	Payable   Kind = "payment.open"   // a payment link stands (R4.3)
	Failed    Kind = "payment.failed" // the money came, the settlement was not granted
)

// Event is one thing that happened.
type Event struct {
	ID      int64        `json:"id"` // counts up, with gaps
	At      time.Time    `json:"at"`
	Kind    Kind         `json:"kind"`
	Flow    string       `json:"flow,omitempty"`    // txhash, where known
	Ref     string       `json:"ref,omitempty"`     // the registration's submission id
	Step    flow.Step    `json:"step,omitempty"`    //
	Verdict flow.Verdict `json:"verdict,omitempty"` //
	Tx      string       `json:"tx,omitempty"`      // the decision's transaction hash
	Party   string       `json:"party,omitempty"`   // the reviewer or producer whom it concerns
}

// Log is the list of events.
type Log struct {
	store *store.Store

	mu   sync.Mutex // guards wake
	wake chan struct{}
}

// NewLog opens the list that stands in s.
func NewLog(s *store.Store) *Log { return &Log{store: s, wake: make(chan struct{})} }

// Append writes e in the caller's transaction; its ID is given by the database.
// After the commit, Wake tells the followers.
func (l *Log) Append(ctx context.Context, tx bun.Tx, e Event) error {
	const text = "INSERT INTO events (at, kind, flow, ref, step, verdict, tx, party) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	_, err := store.Exec(ctx, tx, text, e.At.UnixMilli(), string(e.Kind), e.Flow, e.Ref, string(e.Step), string(e.Verdict), e.Tx, e.Party)
	if err != nil {
		return fmt.Errorf("writing event: %w", err)
	}
	return nil
}

// Wake makes followers look for new events.
func (l *Log) Wake() {
	l.mu.Lock()
	close(l.wake)
	l.wake = make(chan struct{})
	l.mu.Unlock()
}

// Follow calls fn for every event after the one numbered after, in order, and
// goes on with new ones until ctx ends or fn fails; it returns that error. 0 is
// before the first event.
func (l *Log) Follow(ctx context.Context, after int64, fn func(Event) error) error {
	for {
		l.mu.Lock()
		wake := l.wake // taken before reading, so that nothing is missed
		l.mu.Unlock()
		n, err := l.replay(ctx, &after, fn)
		if err != nil {
			return err
		}
		if n == page {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

// page is how many events are read at once.
const page = 256

func (l *Log) replay(ctx context.Context, after *int64, fn func(Event) error) (int, error) {
	const text = "SELECT id, at, kind, flow, ref, step, verdict, tx, party FROM events WHERE id > ? ORDER BY id LIMIT ?"
	var events []Event
	err := store.Query(ctx, l.store.DB(), text, []any{*after, page}, func(scan func(...any) error) error {
		var e Event
		var at int64
		err := scan(&e.ID, &at, &e.Kind, &e.Flow, &e.Ref, &e.Step, &e.Verdict, &e.Tx, &e.Party)
		e.At = time.UnixMilli(at).UTC()
		events = append(events, e)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading events: %w", err)
	}
	for _, e := range events { // after the statement, for fn may take its time
		if err := fn(e); err != nil {
			return 0, err
		}
		*after = e.ID
	}
	return len(events), nil
}

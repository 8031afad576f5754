package receipt

import (
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
)

// Write is a record as someone asks a business chain to store it.
type Write struct {
	Network   string            // the business chain's own network id
	Platforms func(string) bool // platforms admitted to this network
	Flow      flow.Hash
	Tx        flow.Hash
	Step      flow.Step
	Value     []byte
	Now       time.Time // block time
}

// ErrExpired is the refusal of a decision whose time is over.
var ErrExpired = errors.New(expired)

const expired = "the decision has expired"

// Admits says whether a proven decision permits the write (R1.7); nil is yes.
// It is the whole list of what a business chain demands beyond Verify, save that
// the same leaf was not used before: a leaf permits one key only, so that is the
// chain's own refusal of a second record under one key.
func Admits(p Proven, w Write) error {
	l := p.Leaf
	checks := []struct {
		holds bool
		what  string
	}{
		{l.Verdict == flow.Granted, "the decision did not grant the step"},
		{l.Expires == 0 || w.Now.Unix() < l.Expires, expired},
		{l.Network == w.Network, "the decision is for another network"},
		{w.Platforms != nil && w.Platforms(l.Platform), "the decision is for a platform that is not admitted here"},
		{l.Step.Recorded(), "the step leaves no record on a business chain"},
		{l.Step == w.Step, "the decision is for another step"},
		{!l.Flow.IsZero() && l.Flow == w.Flow, "the decision is for another flow"},
		{l.Tx == w.Tx, "the decision is another transaction"},
		{l.Step != flow.Register || l.Flow == l.Tx, "a registration's flow id is its own transaction hash"},
		{l.Record == flow.SumHash(w.Value), "the decision is for other content"},
	}
	for _, c := range checks {
		if !c.holds && c.what == expired {
			return fmt.Errorf("receipt does not admit the record: %w", ErrExpired)
		}
		if !c.holds {
			return fmt.Errorf("receipt does not admit the record: %s", c.what)
		}
	}
	return nil
}

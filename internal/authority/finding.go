package authority

import (
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// FindingKind says what is wrong with what a platform anchored.
type FindingKind string

// The kinds.
const (
	AnchorConflict  FindingKind = "anchor_conflict"  // the record is anchored at another place already
	AnchorUnknown   FindingKind = "anchor_unknown"   // there is no such decision
	AnchorUngranted FindingKind = "anchor_ungranted" // the decision is not a granted record of this platform
)

// Finding is an inconsistency that only people can sort out: what a platform
// says of its business chain is not what the supervision chain has (write 7).
type Finding struct {
	_ struct{} `cbor:",toarray"`

	Kind     FindingKind
	Platform string
	Tx       flow.Hash // of the decision
	Stands   string    // the business chain's transaction that it is anchored with; empty for none
	Claimed  string    // the one that the platform says
	First    int64     // Unix seconds
	Last     int64
	Count    int64 // how often the platform said so
}

// findingsOfPlatform is the most findings that are kept of one platform: what it
// claims is its own to invent.
const findingsOfPlatform = 1000

const (
	noteFinding  = "finding/"  // and platform, kind, transaction
	noteFindings = "findings/" // and platform: how many
)

// find notes a finding, once for each platform, kind and transaction.
func (a *Authority) find(f Finding) error {
	a.cfg.Logger.Error("an anchor that can't stand", "kind", f.Kind, "platform", f.Platform, "transaction", f.Tx)
	a.findings.Lock()
	defer a.findings.Unlock()
	f.First = a.cfg.Clock().Unix()
	f.Last = f.First
	key := noteFinding + f.Platform + "/" + string(f.Kind) + "/" + f.Tx.String()
	var old Finding
	known, err := a.notes.Load(key, &old)
	if err != nil {
		return err
	}
	f.Count = old.Count + 1
	if known {
		f.First = old.First
		return a.notes.Store(key, f)
	}
	var kept int64
	if _, err := a.notes.Load(noteFindings+f.Platform, &kept); err != nil {
		return err
	}
	if kept >= findingsOfPlatform {
		return nil // the log has it
	}
	if err := a.notes.Store(noteFindings+f.Platform, kept+1); err != nil {
		return err
	}
	return a.notes.Store(key, f)
}

// Findings lists up to limit findings by platform, kind and transaction, from
// that cursor on, and where the next page begins; the empty cursor is the
// beginning and the end.
func (a *Authority) Findings(from string, limit int) (list []Finding, next string, err error) {
	list = []Finding{}
	err = a.notes.Each(noteFinding, from, limit+1, func(key string, value []byte) error {
		if len(list) == limit {
			next = key
			return nil
		}
		var f Finding
		if err := flow.Unmarshal(value, &f); err != nil {
			return fmt.Errorf("reading findings: %w", err)
		}
		list = append(list, f)
		return nil
	})
	return list, next, err
}

package authority

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// findingsOfPlatform is the most findings that are kept of one platform: what it
// claims is its own to invent.
const findingsOfPlatform = 1000

const (
	noteFinding  = "finding/"  // and platform, kind, transaction
	noteFindings = "findings/" // and platform: how many
)

// find notes a finding, once for each platform, kind and transaction.
func (a *Authority) find(f chain.AnchorFinding) error {
	a.cfg.Logger.Error("an anchor that can't stand", "kind", f.Kind, "platform", f.Platform, "transaction", f.Tx)
	a.findings.Lock()
	defer a.findings.Unlock()
	f.First = a.cfg.Clock().Unix()
	f.Last = f.First
	key := noteFinding + f.Platform + "/" + string(f.Kind) + "/" + f.Tx.String()
	var old chain.AnchorFinding
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
// beginning and the end. One that has come right since, because the anchor that
// was claimed stands now, is left out.
func (a *Authority) Findings(from string, limit int) (list []chain.AnchorFinding, next string, err error) {
	list = []chain.AnchorFinding{}
	err = a.notes.Each(noteFinding, from, limit+1, func(key string, value []byte) error {
		if len(list) == limit {
			next = key
			return nil
		}
		var f chain.AnchorFinding
		if err := flow.Unmarshal(value, &f); err != nil {
			return fmt.Errorf("reading findings: %w", err)
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	var failed error
	list = slices.DeleteFunc(list, func(f chain.AnchorFinding) bool {
		d, err := a.chain.ByTx(f.Tx)
		if err != nil && !errors.Is(err, chain.ErrNotFound) {
			failed = err
		}
		return err == nil && d.Leaf.Platform == f.Platform && d.Anchor == f.Claimed
	})
	return list, next, failed
}

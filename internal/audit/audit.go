// Package audit compares what the supervision chain decided with what the
// business chain stored (R1.7, R7.2): every business record must have its
// decision, every granted record must have been stored, and what was anchored
// must stand where the anchor says.
//
// It reads neither chain itself: internal/chain and the ledgers replay theirs
// and hand over what they found.
package audit

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// Deadline is how long a granted step may take to reach the business chain, and
// a stored one to be anchored, before that is an inconsistency.
const Deadline = time.Hour

// Audit collects decisions and records. Make one with New.
type Audit struct {
	keys    receipt.Keys
	chain   string
	network string
	now     time.Time

	decisions map[flow.Hash]decision
	order     []flow.Hash
	report    Report
}

type decision struct {
	leaf   receipt.Leaf
	anchor string
	stored bool
}

// Report is what an audit found.
type Report struct {
	Decisions       int      `json:"decisions"`
	Records         int      `json:"records"`
	Receipts        int      `json:"receipts_verified"`
	Anchored        int      `json:"anchored"`
	Unfinished      int      `json:"unfinished"` // granted or stored lately, on their way
	Lapsed          int      `json:"lapsed"`     // granted, but the token ran out before it was used
	Inconsistencies []string `json:"inconsistencies"`
}

// New begins an audit of a business network against a supervision chain, at now.
func New(keys receipt.Keys, chain, network string, now time.Time) *Audit {
	return &Audit{keys: keys, chain: chain, network: network, now: now, decisions: map[flow.Hash]decision{}}
}

// Decision takes one decision of the supervision chain, in the log's order; anchor
// is the business chain's transaction id that it was anchored with, if any.
func (a *Audit) Decision(l receipt.Leaf, anchor string) {
	a.report.Decisions++
	if l.Network != a.network {
		return
	}
	a.decisions[l.Tx] = decision{leaf: l, anchor: anchor}
	a.order = append(a.order, l.Tx)
}

// Record takes one record of the business chain and checks it against its
// decision and its own receipt. All decisions must have been given before.
func (a *Audit) Record(s ledger.Stored) {
	a.report.Records++
	d, ok := a.decisions[s.Key.Tx]
	if !ok {
		a.inconsistent("business record %d (%s) has no decision on the supervision chain", s.Position, s.Key.Tx)
		return
	}
	proven, err := receipt.Verify(s.Receipt, a.keys, a.chain)
	if err != nil {
		a.inconsistent("business record %d (%s): %v", s.Position, s.Key.Tx, err)
		return
	}
	a.report.Receipts++
	if proven.Leaf.Tx != d.leaf.Tx || proven.Leaf.Record != d.leaf.Record {
		a.inconsistent("business record %d (%s): its receipt proves another decision than the chain holds", s.Position, s.Key.Tx)
		return
	}
	a.match(s, d)
}

// match compares a record with the decision that let it in.
func (a *Audit) match(s ledger.Stored, d decision) {
	switch {
	case d.leaf.Verdict != flow.Granted:
		a.inconsistent("business record %d (%s) was %s, not granted", s.Position, s.Key.Tx, d.leaf.Verdict)
	case d.leaf.Flow != s.Key.Flow || d.leaf.Step != s.Step:
		a.inconsistent("business record %d (%s) stands under another flow or step than was decided", s.Position, s.Key.Tx)
	case d.leaf.Record != flow.SumHash(s.Value):
		a.inconsistent("business record %d (%s) holds other content than was decided", s.Position, s.Key.Tx)
	case d.stored:
		a.inconsistent("decision %s let in more than one business record", s.Key.Tx)
	case d.anchor != "" && d.anchor != string(s.TxID):
		a.inconsistent("decision %s is anchored at %s but stands at %s", s.Key.Tx, d.anchor, s.TxID)
	}
	d.stored = true
	a.decisions[s.Key.Tx] = d
}

// Report ends the audit.
func (a *Audit) Report() Report {
	for _, tx := range a.order {
		a.account(tx, a.decisions[tx])
	}
	if a.report.Inconsistencies == nil {
		a.report.Inconsistencies = []string{}
	}
	return a.report
}

// account says how a decision that should have left a record came out.
func (a *Audit) account(tx flow.Hash, d decision) {
	if d.leaf.Verdict != flow.Granted || !d.leaf.Step.Recorded() {
		return
	}
	late := a.now.Sub(time.Unix(d.leaf.Issued, 0)) > Deadline
	switch {
	case d.stored && d.anchor != "":
		a.report.Anchored++
	case d.stored && late:
		a.inconsistent("%s of flow %s is stored but was never anchored (%s)", d.leaf.Step, d.leaf.Flow, tx)
	case d.stored:
		a.report.Unfinished++
	case d.anchor != "":
		a.inconsistent("%s of flow %s is anchored but not on the business chain (%s)", d.leaf.Step, d.leaf.Flow, tx)
	case d.leaf.Expires != 0 && a.now.Unix() >= d.leaf.Expires:
		a.report.Lapsed++
	case late:
		a.inconsistent("%s of flow %s was granted but never stored (%s)", d.leaf.Step, d.leaf.Flow, tx)
	default:
		a.report.Unfinished++
	}
}

func (a *Audit) inconsistent(format string, args ...any) {
	a.report.Inconsistencies = append(a.report.Inconsistencies, fmt.Sprintf(format, args...))
}

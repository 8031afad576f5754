package reconcile

import (
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger"
)

// Kind says what a finding is about.
type Kind string

// The kinds. Those of the first group are on their way to being mended.
const (
	Undecided   Kind = "undecided"    // pushed for too long without a decision; pushed on
	NotStored   Kind = "not_stored"   // granted, and not on the business chain for too long; put again and again
	NotAnchored Kind = "not_anchored" // stored, and the fusion node does not take its anchor; sent again and again

	MissingRecord    Kind = "missing_record"    // done by the database, and the business chain has no such record
	OtherTransaction Kind = "other_transaction" // it stands under another transaction than the database, and the anchor, say
	OtherContent     Kind = "other_content"     // it stands with another content, step or flow than was granted
	UnexpectedRecord Kind = "unexpected_record" // refused or lapsed by the database, and the business chain has it
	UnknownRecord    Kind = "unknown_record"    // a record of this platform that the database knows nothing of
	UnknownDecision  Kind = "unknown_decision"  // a decision to this platform that the database knows nothing of
	UnprovenRecord   Kind = "unproven_record"   // it stands without a valid receipt: the business chain's own check has failed
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{
		Undecided, NotStored, NotAnchored, MissingRecord, OtherTransaction, OtherContent, UnexpectedRecord, UnknownRecord,
		UnknownDecision, UnprovenRecord,
	}
}

// difference is one thing in which database and chain differ.
type difference struct {
	kind             Kind
	expected, actual string // by the database, and by the chain
}

// compare says what differs between what the database holds of a decided record
// and what the business chain has. stored is nil when it has none. What is still
// on its way is no difference.
func compare(kept outbox.Kept, stored *ledger.Stored) (out []difference) {
	if stored == nil {
		if kept.State == outbox.Done && kept.BusinessTx != "" {
			out = append(out, difference{kind: MissingRecord, expected: string(kept.BusinessTx)})
		}
		return out
	}
	if kept.State == outbox.Refused || kept.State == outbox.Lapsed {
		out = append(out, difference{UnexpectedRecord, string(kept.State), string(stored.TxID)})
	}
	if have := flow.SumHash(stored.Value); have != kept.Record {
		out = append(out, difference{OtherContent, kept.Record.String(), have.String()})
	} else if stored.Step != kept.Step || stored.Key.Flow != kept.Flow {
		out = append(out, difference{OtherContent, string(kept.Step) + " " + kept.Flow.String(), string(stored.Step) + " " + stored.Key.Flow.String()})
	}
	if kept.State == outbox.Done && kept.BusinessTx != stored.TxID {
		out = append(out, difference{OtherTransaction, string(kept.BusinessTx), string(stored.TxID)})
	}
	return out
}

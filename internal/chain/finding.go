package chain

import "signalbox.dev/signalbox/flow"

// Unanchored is a granted record that nobody has said the place of in time.
type Unanchored struct {
	Decided
	Reminded int // how often its platform was reminded
}

// FindingKind says what is wrong with what a platform anchored.
type FindingKind string

// The kinds.
const (
	AnchorConflict  FindingKind = "anchor_conflict"  // the record is anchored at another place already
	AnchorUnknown   FindingKind = "anchor_unknown"   // there is no such decision
	AnchorUngranted FindingKind = "anchor_ungranted" // the decision is not a granted record of this platform
)

// AnchorFinding is an inconsistency that only people can sort out: what a platform
// says of its business chain is not what the supervision chain has (write 7).
type AnchorFinding struct {
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

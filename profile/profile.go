// Package profile says what a kind of business looks like (R10.4): how its
// records are read, which fields are masked, and which facts the authority
// derives from them. Package prescription is the first; others are to be data.
//
// Profiles are pure. Reading gives the same record on the platform and at the
// authority. Pseudonyms need a key that only the authority holds, so they are
// made through a function passed in.
package profile

import (
	"fmt"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Pseudonym turns a kind ("subject", "item", "originator", "prescriber",
// "record", "licence") and a normalised id into a keyed pseudonym in lower hex.
type Pseudonym func(kind, id string) string

// Profile is one kind of business.
type Profile interface {
	// Business is the kind's name, such as "prescription".
	Business() string
	// Intake reads a record as an originator sends it, validates it and gives
	// its canonical form: what is masked (R1.1), sealed and registered. The
	// error is a *Refusal when the input was understood and can't be taken,
	// and a *Problem when it is malformed or incomplete.
	Intake(input []byte) (Record, error)
	// Parse reads the canonical form back.
	Parse(canonical []byte) (Record, error)
	// Facts derives what the contract sees of an opened payload of the step.
	Facts(step flow.Step, payload []byte, name Pseudonym) (contract.Facts, error)
}

// Record is a record as every profile shows it.
type Record struct {
	Canonical  []byte // JSON, deterministic, masked where the profile masks
	Number     string // the originator's number for it
	Originator string // the originator's identifier, "system|value" or a plain code
	SubjectID  string // "type:number", normalised
	Title      string // a line for people that names no person: first item and count
	Items      []Item
	Currency   string // ISO 4217
	Producer   string // the producer that the record names, as its source names it; may be empty
}

// Item is one thing to be supplied.
type Item struct {
	Code     string // "system|code", or a plain code
	Name     string
	Quantity int64 // thousandths of the unit
	Unit     string
	Price    int64 // for the whole line, minor units; 0 where the source has none
	Ratio    int64 // reimbursement ratio per mill, 0 to 1000 (R4.3)
}

// Refusal says that an input was understood and is not taken.
type Refusal struct {
	Reason flow.Reason
}

func (r *Refusal) Error() string { return fmt.Sprintf("refused: %s: %s", r.Reason.Code, r.Reason.En) }

// Problem says what is malformed or missing in an input, and where.
type Problem struct {
	Path string // JSON pointer (RFC 6901)
	Zh   string
	En   string
}

func (p *Problem) Error() string {
	if p.Path == "" {
		return p.En
	}
	return p.Path + ": " + p.En
}

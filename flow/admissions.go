package flow

import (
	"errors"
	"fmt"
)

// Status of an admitted party that lets it connect; any other keeps it out.
const AdmissionActive = "active"

// MaxAdmissions bounds a list: it holds the parties that open links, not the
// people behind them.
const MaxAdmissions = maxItems

// Admissions is the authority's list of who may connect to fusion nodes (R7.1).
// A node goes by the newest one that it has seen, and by none that is older.
type Admissions struct {
	_ struct{} `cbor:",toarray"`

	Version  uint8  // 1
	Chain    string // supervision chain id
	Sequence uint64 // rises with every change: the height of the chain that the list was read at
	Issued   int64  // Unix seconds
	Entries  []Admission
}

// Admission is one party of the list.
type Admission struct {
	_ struct{} `cbor:",toarray"`

	ID        string // the identity on the supervision chain, unique in the list
	Role      string // that of its transport certificate
	Status    string // as on the supervision chain; AdmissionActive alone may connect
	NotBefore int64  // Unix seconds; no transport certificate that began earlier is good any more
}

// SignedAdmissions is a list as the authority sends it. List holds the encoded
// Admissions exactly as signed.
type SignedAdmissions struct {
	_ struct{} `cbor:",toarray"`

	List      []byte
	Signature []byte // by the authority's signing key, over SigningInput
}

// SigningInput is what the authority signs.
func (s SignedAdmissions) SigningInput() []byte { return Frame("signalbox/admissions/v1\n", s.List) }

// Open decodes and validates the list. Whether the authority signed it is not
// its matter.
func (s SignedAdmissions) Open() (Admissions, error) {
	var a Admissions
	if err := Unmarshal(s.List, &a); err != nil {
		return Admissions{}, fmt.Errorf("reading the list of admissions: %w", err)
	}
	if err := a.Validate(); err != nil {
		return Admissions{}, fmt.Errorf("list of admissions: %w", err)
	}
	return a, nil
}

// Validate says what is wrong with a, naming the field.
func (a Admissions) Validate() error {
	if a.Version != 1 {
		return fmt.Errorf("version %d: this software reads version 1", a.Version)
	}
	if err := CheckName("chain", a.Chain); err != nil {
		return err
	}
	if len(a.Entries) > MaxAdmissions {
		return fmt.Errorf("entries: %d, over the limit of %d", len(a.Entries), MaxAdmissions)
	}
	for n, e := range a.Entries {
		if err := errors.Join(CheckName("id", e.ID), CheckName("role", e.Role), CheckName("status", e.Status)); err != nil {
			return fmt.Errorf("entry %d: %w", n+1, err)
		}
		if n > 0 && e.ID <= a.Entries[n-1].ID {
			return fmt.Errorf("entry %d: want entries in the order of their ids, each once", n+1)
		}
	}
	return nil
}

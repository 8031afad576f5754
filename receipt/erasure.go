package receipt

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/flow"
)

// Erasure is the authority's statement that a decided submission's payload was
// erased, by which officers' order (R10.1). It is signed by the log's keys, so that a
// payload that is missing without one is a loss. The decision's receipt stays valid.
type Erasure struct {
	Chain  string
	Tx     flow.Hash
	Order  uint64 // number of the officers' order
	At     int64  // when it was ordered, Unix seconds
	Ground string // "retention" or "law"
}

// erasureLine begins the signed text. No checkpoint can begin with it: a log's origin
// has no slash here.
const erasureLine = "signalbox/erasure/v1"

func (e Erasure) text() string {
	return fmt.Sprintf("%s\n%s\n%s\n%d\n%d\n%s\n", erasureLine, e.Chain, e.Tx, e.Order, e.At, e.Ground)
}

// SignErasure gives the statement as a signed note, with a line for each signer.
func SignErasure(e Erasure, signers ...note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: e.text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing the erasure of %s: %w", e.Tx, err)
	}
	return b, nil
}

// VerifyErasure checks a statement against the log's keys, one of each kind of which
// must have signed it, as with checkpoints. It has no size of the log, so that keys of
// any generation count.
func VerifyErasure(signed []byte, keys Keys) (Erasure, error) {
	keys, _, err := keys.attach(carried(signed, keys.Origin()))
	if err != nil {
		return Erasure{}, fmt.Errorf("%w: erasure: %w", ErrReceipt, err)
	}
	var n *note.Note
	err = fmt.Errorf("%w: erasure: %w", ErrReceipt, ErrUnsigned)
	for _, g := range slices.Backward(keys.generations) {
		if n, _, err = g.open(signed); err == nil {
			break
		}
	}
	if err != nil {
		return Erasure{}, err
	}
	e, err := parseErasure(n.Text)
	if err == nil && e.Chain != keys.Origin() {
		err = fmt.Errorf("of another chain than %s", keys.Origin())
	}
	if err != nil {
		return Erasure{}, fmt.Errorf("%w: erasure: %w", ErrReceipt, err)
	}
	return e, nil
}

func parseErasure(text string) (Erasure, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 7 || lines[0] != erasureLine {
		return Erasure{}, errors.New("it is no statement of an erasure")
	}
	e := Erasure{Chain: lines[1], Ground: lines[5]}
	var err error
	if e.Tx, err = flow.ParseHash(lines[2]); err != nil {
		return e, err
	}
	if e.Order, err = strconv.ParseUint(lines[3], 10, 64); err != nil {
		return e, err
	}
	if e.At, err = strconv.ParseInt(lines[4], 10, 64); err != nil {
		return e, err
	}
	if e.text() != text {
		return e, errors.New("it is not in its one form")
	}
	return e, nil
}

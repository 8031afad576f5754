package segment

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Decision is what stands of a decision beside its leaf.
type Decision struct {
	_ struct{} `cbor:",toarray"`

	Index    int64     // of the leaf
	Tx       flow.Hash // of the transaction that was decided
	Height   int64     // of the block that holds the transaction
	Slot     int       // in the block
	First    bool      // false: it came after an earlier leaf for the transaction, whose segment holds that
	Stands   bool      // false: a later leaf took its place when this was archived, and what follows is empty but for Subject
	Subject  string    // subject key, pseudonym
	Reasons  []flow.Reason
	Basis    string
	Flags    []string
	Observed []string
	Order    uint64 // the officer's order that resolved it; 0 for none
	Grant    string
	Anchor   string // the business chain's transaction, as far as it was known; empty for none
}

// Transaction is a transaction that was decided.
type Transaction struct {
	_ struct{} `cbor:",toarray"`

	Index  int64 // of its first leaf
	Tx     flow.Hash
	Erased uint64 // the number of the order that erased it; 0 for none
	Raw    []byte `cbor:"-"` // nil when it was erased
}

// Order is a transaction of another kind, an officer's order or anchors, as signed.
type Order struct {
	_ struct{} `cbor:",toarray"`

	Height int64
	Slot   int
	Raw    []byte `cbor:"-"`
}

// Signed is a signed checkpoint.
type Signed struct {
	_ struct{} `cbor:",toarray"`

	Size int64
	Note []byte
}

// Erasure says that a transaction was taken out of the archive.
type Erasure struct {
	_ struct{} `cbor:",toarray"`

	Tx        flow.Hash
	Order     uint64    // the number of the officers' order
	Statement []byte    // receipt.Erasure, signed by the log's keys
	After     flow.Hash // SHA-256 of the segment's transactions since then
}

// encode writes records with their lengths before them. What raw gives of a record
// follows it in the same way; nil for none.
func encode[T any](all []T, raw func(T) []byte) ([]byte, error) {
	var out []byte
	frame := func(b []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	for _, r := range all {
		b, err := flow.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("encoding records: %w", err)
		}
		frame(b)
		if raw != nil {
			frame(raw(r))
		}
	}
	return out, nil
}

// decode is the inverse; set takes what follows a record.
func decode[T any](data []byte, set func(*T, []byte)) ([]T, error) {
	var all []T
	s := cryptobyte.String(data)
	frame := func() ([]byte, bool) {
		var n uint32
		var b []byte
		ok := s.ReadUint32(&n) && s.ReadBytes(&b, int(n))
		return b, ok
	}
	for !s.Empty() {
		b, ok := frame()
		if !ok {
			return nil, fmt.Errorf("%w: record %d is cut off", ErrDamaged, len(all))
		}
		var r T
		if err := flow.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrDamaged, len(all), err)
		}
		if set != nil {
			if b, ok = frame(); !ok {
				return nil, fmt.Errorf("%w: record %d is cut off", ErrDamaged, len(all))
			}
			set(&r, b)
		}
		all = append(all, r)
	}
	return all, nil
}

// EncodeTransactions gives the file of transactions.
func EncodeTransactions(all []Transaction) ([]byte, error) {
	return encode(all, func(t Transaction) []byte { return t.Raw })
}

// DecodeTransactions reads it.
func DecodeTransactions(data []byte) ([]Transaction, error) {
	return decode(data, func(t *Transaction, raw []byte) {
		if t.Erased == 0 {
			t.Raw = raw
		}
	})
}

// DecodeOrders reads the file of orders.
func DecodeOrders(data []byte) ([]Order, error) {
	return decode(data, func(o *Order, raw []byte) { o.Raw = raw })
}

// DecodeDecisions reads the file of decisions.
func DecodeDecisions(data []byte) ([]Decision, error) { return decode[Decision](data, nil) }

// DecodeCheckpoints reads the file of checkpoints.
func DecodeCheckpoints(data []byte) ([]Signed, error) { return decode[Signed](data, nil) }

// EncodeErased gives the file of erasures, with its own SHA-256.
func EncodeErased(all []Erasure) ([]byte, error) {
	b, err := encode(all, nil)
	return seal(b), err
}

// DecodeErased reads it.
func DecodeErased(data []byte) ([]Erasure, error) {
	b, err := unseal(data)
	if err != nil {
		return nil, err
	}
	return decode[Erasure](b, nil)
}

// bundle gives leaves as c2sp.org/tlog-tiles has them.
func bundle(leaves [][]byte) ([]byte, error) {
	var out []byte
	for _, l := range leaves {
		if len(l) > receipt.MaxLeaf {
			return nil, fmt.Errorf("leaf of %d bytes, at most %d", len(l), receipt.MaxLeaf)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(l)))
		out = append(out, l...)
	}
	return out, nil
}

func unbundle(data []byte) ([][]byte, error) {
	var all [][]byte
	for s := cryptobyte.String(data); !s.Empty(); {
		var l cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&l) {
			return nil, fmt.Errorf("%w: leaf %d of the bundle is cut off", ErrDamaged, len(all))
		}
		all = append(all, slices.Clone([]byte(l)))
	}
	return all, nil
}

package flow

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Hash is a 32-byte digest: a transaction hash, a flow id (R1.6), a commitment.
// Its text form is 64 lower-case hexadecimal digits, without prefix.
type Hash [32]byte

// SumHash is SHA-256 of the parts, one after the other. Transaction hashes and
// record hashes use it in every suite, because every kind of chain can compute it.
func SumHash(parts ...[]byte) Hash {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	var out Hash
	h.Sum(out[:0])
	return out
}

// ParseHash reads the text form. Upper case is refused: one hash has one text.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if err := parseHex(h[:], s); err != nil {
		return Hash{}, fmt.Errorf("parsing hash: %w", err)
	}
	return h, nil
}

// String gives 64 lower-case hexadecimal digits (R2.3).
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero says whether h is all zeroes, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero hash.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*h = Hash{}
		return nil
	}
	return parseHex(h[:], string(b))
}

// ID names one submission: 16 random bytes chosen by the platform. Resending
// keeps the id, so that the supervision chain counts a submission once.
type ID [16]byte

// NewID draws an id from r, which must be a cryptographic source.
func NewID(r io.Reader) (ID, error) {
	var id ID
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, id[:]); err != nil {
		return ID{}, fmt.Errorf("drawing a submission id: %w", err)
	}
	return id, nil
}

// ParseID reads 32 lower-case hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if err := parseHex(id[:], s); err != nil {
		return ID{}, fmt.Errorf("parsing submission id: %w", err)
	}
	return id, nil
}

// String gives 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error { return parseHex(id[:], string(b)) }

func parseHex(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("want %d hexadecimal digits, have %d characters", 2*len(dst), len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("character %d is not a lower-case hexadecimal digit", i+1)
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

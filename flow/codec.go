package flow

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Limits of what Unmarshal takes. A submission is a few kilobytes; a record
// with many items and its sealed copies stays far below MaxMessage.
const (
	// MaxMessage is the largest encoded message, in bytes.
	MaxMessage = 1 << 20
	maxNesting = 8
	maxItems   = 4096
)

var (
	encoder = mustEncoder()
	decoder = mustDecoder()
)

// Marshal encodes v as deterministic CBOR (RFC 8949 §4.2.1). Messages between
// parties and state on the supervision chain use it. Bytes that were signed or
// hashed are kept and checked as received, never encoded again.
func Marshal(v any) ([]byte, error) { return encoder.Marshal(v) }

// Unmarshal is the strict inverse: unknown fields, duplicate keys, indefinite
// lengths, trailing bytes and anything over MaxMessage are errors.
func Unmarshal(data []byte, v any) error {
	if len(data) > MaxMessage {
		return fmt.Errorf("message of %d bytes is over the limit of %d", len(data), MaxMessage)
	}
	return decoder.Unmarshal(data, v)
}

func mustEncoder() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options: fails in the first test or never
	}
	return m
}

func mustDecoder() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxItems,
		MaxMapPairs:       maxItems,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

package chain

import (
	"context"
	"crypto/sha3"
	"encoding/binary"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
)

// sum is a hash of all of the state, a set of keys with values, that is kept up with
// what a block changes and comes out the same for whoever reads the state as a whole:
// the entries' hashes, added up. It is LtHash with 1024 lanes of 16 bits; finding two
// states with one sum is a lattice problem (docs/adr/0037-state-hash.md).
type sum [lanes]uint16

const (
	lanes   = 1024
	sumSize = 2 * lanes // bytes
)

// entryHash is what an entry adds to the sum, written to out.
func entryHash(key string, value []byte, out *[sumSize]byte) {
	in := make([]byte, 0, len(sumLabel)+4+len(key)+len(value))
	in = binary.BigEndian.AppendUint32(append(in, sumLabel...), uint32(len(key)))
	h := sha3.NewSHAKE128()
	h.Write(append(append(in, key...), value...))
	h.Read(out[:])
}

const sumLabel = "signalbox/state/v1\n"

func (s *sum) add(key string, value []byte) {
	var e [sumSize]byte
	entryHash(key, value, &e)
	for i := range s {
		s[i] += binary.LittleEndian.Uint16(e[2*i:])
	}
}

// remove takes an entry out that was added.
func (s *sum) remove(key string, value []byte) {
	var e [sumSize]byte
	entryHash(key, value, &e)
	for i := range s {
		s[i] -= binary.LittleEndian.Uint16(e[2*i:])
	}
}

// encode gives the sum as it is stored.
func (s *sum) encode() []byte {
	out := make([]byte, 0, sumSize)
	for _, lane := range s {
		out = binary.LittleEndian.AppendUint16(out, lane)
	}
	return out
}

// decodeSum reads a stored sum; nothing is that of no entries.
func decodeSum(raw []byte) (*sum, error) {
	s := &sum{}
	if len(raw) == 0 {
		return s, nil
	}
	if len(raw) != sumSize {
		return nil, fmt.Errorf("sum of the state: %d bytes, want %d", len(raw), sumSize)
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return s, nil
}

// digest is what the application hash takes in of a stored sum.
func digest(stored []byte) flow.Hash { return flow.SumHash(stored) }

// sumOf reads all of the state of a store.
func sumOf(ctx context.Context, kv comet.KV) ([]byte, error) {
	s := &sum{}
	err := comet.Scan(kv, []byte(statePrefix), func(key, value []byte) error {
		s.add(string(key), value)
		return ctx.Err()
	})
	return s.encode(), err
}

package embedded

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// What the store holds:
//
//	"g"                  the genesis state as the chain gave it
//	"m"                  meta
//	"k"                  the authority's keys, once they were handed over: a key file
//	"t"                  when the newest record was decided, in Unix seconds (8, BE)
//	"r" flow tx          a record
//	"p" position (8, BE) flow tx of the record at that position
const (
	genesisKey     = "g"
	metaKey        = "m"
	keysKey        = "k"
	sureKey        = "t"
	recordPrefix   = 'r'
	positionPrefix = 'p'
)

// meta is how far the state has come.
type meta struct {
	_ struct{} `cbor:",toarray"`

	Height  int64
	AppHash []byte
	Count   uint64 // records so far, and the last position
}

// entry is a stored record under its key.
type entry struct {
	_ struct{} `cbor:",toarray"`

	Step     flow.Step
	Value    []byte
	Receipt  []byte
	TxHash   flow.Hash // of the business chain's transaction
	Position uint64
	Height   int64
}

// readSure reads when the newest record was decided; 0 while there is none.
func readSure(kv comet.KV) (int64, error) {
	raw, err := kv.Get([]byte(sureKey))
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the newest decision's time: %w", err)
	case raw == nil:
		return 0, nil
	case len(raw) != 8:
		return 0, errStore
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}

func recordKey(k ledger.Key) []byte {
	b := make([]byte, 0, 1+2*len(k.Flow))
	b = append(b, recordPrefix)
	b = append(b, k.Flow[:]...)
	return append(b, k.Tx[:]...)
}

func flowPrefix(id flow.Hash) []byte { return append([]byte{recordPrefix}, id[:]...) }

func positionKey(p uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{positionPrefix}, p)
}

var errStore = errors.New("the chain's stored state can't be read")

func parseKey(b []byte) (ledger.Key, error) {
	var k ledger.Key
	if len(b) != len(k.Flow)+len(k.Tx) {
		return k, errStore
	}
	copy(k.Flow[:], b)
	copy(k.Tx[:], b[len(k.Flow):])
	return k, nil
}

func (e entry) stored(k ledger.Key) ledger.Stored {
	return ledger.Stored{
		Record:   ledger.Record{Key: k, Step: e.Step, Value: e.Value, Receipt: e.Receipt},
		TxID:     ledger.TxID(e.TxHash.String()),
		Position: e.Position,
		Height:   uint64(e.Height),
	}
}

func decodeEntry(raw []byte, k ledger.Key) (ledger.Stored, error) {
	var e entry
	if err := flow.Unmarshal(raw, &e); err != nil {
		return ledger.Stored{}, fmt.Errorf("%w: record of flow %s", errStore, k.Flow)
	}
	return e.stored(k), nil
}

// readRecord reads one record; none is ledger.ErrNotFound.
func readRecord(kv comet.KV, k ledger.Key) (ledger.Stored, error) {
	raw, err := kv.Get(recordKey(k))
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("reading record: %w", err)
	}
	if raw == nil {
		return ledger.Stored{}, ledger.ErrNotFound
	}
	return decodeEntry(raw, k)
}

// readFlow reads a flow's records in the order of their positions.
func readFlow(kv comet.KV, id flow.Hash) ([]ledger.Stored, error) {
	var out []ledger.Stored
	err := comet.Scan(kv, flowPrefix(id), func(key, value []byte) error {
		k, err := parseKey(key[1:])
		if err != nil {
			return err
		}
		s, err := decodeEntry(value, k)
		out = append(out, s)
		return err
	})
	slices.SortFunc(out, func(a, b ledger.Stored) int { return cmp.Compare(a.Position, b.Position) })
	return out, err
}

// readAt reads the record at a position.
func readAt(kv comet.KV, position uint64) (ledger.Stored, error) {
	raw, err := kv.Get(positionKey(position))
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("reading position %d: %w", position, err)
	}
	k, err := parseKey(raw)
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("position %d: %w", position, err)
	}
	return readRecord(kv, k)
}

// readKeys reads the authority's keys as records have handed them on since those
// that the chain began with.
func readKeys(kv comet.KV, began receipt.Keys) (receipt.Keys, error) {
	raw, err := kv.Get([]byte(keysKey))
	if err != nil {
		return receipt.Keys{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	if raw == nil {
		return began, nil
	}
	keys, err := receipt.ParseKeys(string(raw))
	if err != nil {
		return receipt.Keys{}, fmt.Errorf("%w: %w", errStore, err)
	}
	return keys, nil
}

func readMeta(kv comet.KV) (meta, error) {
	var m meta
	raw, err := kv.Get([]byte(metaKey))
	if err != nil {
		return m, fmt.Errorf("reading state: %w", err)
	}
	if raw == nil {
		return m, nil
	}
	if err := flow.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%w: %w", errStore, err)
	}
	return m, nil
}

// changes are writes of one block, by key.
type changes map[string][]byte

// fold gives the app hash after the changes: SHA-256 of the one before, and each
// change in the order of keys, key and value with their lengths. Without changes
// it stays the same.
func (c changes) fold(before []byte) []byte {
	if len(c) == 0 {
		return before
	}
	h := sha256.New()
	h.Write(before)
	for _, k := range c.keys() {
		writeSized(h, []byte(k))
		writeSized(h, c[k])
	}
	return h.Sum(nil)
}

func (c changes) keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func writeSized(h interface{ Write([]byte) (int, error) }, b []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(b)))
	h.Write(size[:])
	h.Write(b)
}

// sameRecord says whether have is what rec asks for. The receipt may be a
// newer proof of the same decision.
func sameRecord(have ledger.Stored, rec ledger.Record) bool {
	return have.Step == rec.Step && bytes.Equal(have.Value, rec.Value)
}

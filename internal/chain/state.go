package chain

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
)

// The layout of the application's database. Keys under "s/" are state that all
// validators agree on; the rest is derived or local.
//
//	s/contract/...           the contract's state
//	s/genesis                Genesis, JSON
//	s/sub/<id>               submitted: what came of a submission
//	s/id/<16 bytes>          uvarint, the leaf of a submission whose decision was archived and forgotten
//	s/tx/<hash>              located: where a transaction stands
//	s/leaf/<index>           the leaf's bytes
//	s/decision/<hash>        decided: reasons and what the leaf leaves out
//	s/subject/<key>/<index>  transaction hash; a subject's decisions in order (R1.4)
//	s/flow/<flow>/<index>    transaction hash; a flow's decisions in order
//	s/anchor/<hash>          noted: the anchor, and the height of the block that brought it
//	s/archived               archived: what the authority has said of its archive
//	h/<stored hash index>    the log's hashes, as x/mod/sumdb/tlog stores them
//	l/open/<index>           transaction hash; granted records that wait for their anchor; local
//	l/resolved/<index>       transaction hash; held submissions that got a decision; local
//	l/erasing                below which height stands a payload that is to be destroyed; local
//	e/<hash>                 signed statement that a transaction's payload was erased; local
//	n/<part>/...             what a part that runs on this node notes for itself; local
//	c/<size>                 signed checkpoint of that size, with its cosignatures; local
//	w/<size>                 how many lines it has; only of those that witnesses cosigned; local
//	v/<size>                 how many lines it has; only of those that members of the committee signed; local
//	m                        meta: height, application hash, log size
const (
	statePrefix    = "s/"
	contractPrefix = "s/contract/"
	hashPrefix     = "h/"
	cpPrefix       = "c/"
	cosignedPrefix = "w/"
	memberedPrefix = "v/"
	openPrefix     = "l/open/"
	resolvedPrefix = "l/resolved/"
	archivedName   = "s/archived"
	erasingName    = "l/erasing"
	notesPrefix    = "n/"
	metaName       = "m"
)

func subKey(id flow.ID) string        { return "s/sub/" + id.String() }
func txKey(h flow.Hash) string        { return "s/tx/" + h.String() }
func idKey(id flow.ID) string         { return "s/id/" + string(id[:]) }
func leafKey(index int64) string      { return "s/leaf/" + ordinal(index) }
func decisionKey(h flow.Hash) string  { return "s/decision/" + h.String() }
func subjectPrefix(k string) string   { return "s/subject/" + k + "/" }
func flowPrefix(id flow.Hash) string  { return "s/flow/" + id.String() + "/" }
func anchorKey(h flow.Hash) string    { return "s/anchor/" + h.String() }
func genesisKey() string              { return "s/genesis" }
func hashKey(index int64) string      { return hashPrefix + ordinal(index) }
func checkpointKey(size int64) string { return cpPrefix + ordinal(size) }
func cosignedKey(size int64) string   { return cosignedPrefix + ordinal(size) }
func memberedKey(size int64) string   { return memberedPrefix + ordinal(size) }
func openKey(index int64) string      { return openPrefix + ordinal(index) }
func resolvedKey(index int64) string  { return resolvedPrefix + ordinal(index) }
func statementKey(h flow.Hash) string { return "e/" + h.String() }
func ordinal(n int64) string          { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }
func ordinalOf(b []byte) int64        { return int64(binary.BigEndian.Uint64(b)) }

// meta is the application's position; it is written with the block it describes.
type meta struct {
	_ struct{} `cbor:",toarray"`

	Height  int64
	AppHash []byte
	Size    int64  // leaves in the log
	State   []byte // the sum of the state, see sum
}

// submitted is what came of a submission: the one transaction that counts.
type submitted struct {
	_ struct{} `cbor:",toarray"`

	Tx     flow.Hash
	Digest flow.Hash // SHA-256 of header, sealed payload and signature
}

// noted is a granted record's anchor.
type noted struct {
	_ struct{} `cbor:",toarray"`

	Anchor   flow.Anchor
	Platform string // which said so
	Height   int64
}

// located says where a transaction stands.
type located struct {
	_ struct{} `cbor:",toarray"`

	Height int64
	Slot   int   // in the block
	Index  int64 // of its leaf
}

// decided is a decision beyond its leaf.
type decided struct {
	_ struct{} `cbor:",toarray"`

	Reasons  []flow.Reason
	Basis    string
	Flags    []string
	Observed []string
	Subject  string
	Order    uint64 // the officer's order that resolved it; 0 for none
	Grant    string // the batch grant used; empty for none
}

// overlay stages one block's changes over the database. It is used by the
// consensus connection alone.
type overlay struct {
	db      comet.KV
	changes map[string][]byte
	undo    []undo // what rollback restores; since the last mark
}

// undo is one key's staged value before it was set.
type undo struct {
	key    string
	value  []byte
	staged bool
}

func newOverlay(db comet.KV) *overlay { return &overlay{db: db, changes: map[string][]byte{}} }

func (o *overlay) get(key string) ([]byte, error) {
	if v, ok := o.changes[key]; ok {
		return v, nil
	}
	v, err := o.db.Get([]byte(key))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", key, err)
	}
	return v, nil
}

// set stages a value; nil takes the key out.
func (o *overlay) set(key string, value []byte) {
	old, staged := o.changes[key]
	o.undo = append(o.undo, undo{key, old, staged})
	o.changes[key] = value
}

// mark begins a transaction whose changes rollback can take back.
func (o *overlay) mark() { o.undo = o.undo[:0] }

func (o *overlay) rollback() {
	for _, u := range slices.Backward(o.undo) {
		if u.staged {
			o.changes[u.key] = u.value
		} else {
			delete(o.changes, u.key)
		}
	}
	o.undo = o.undo[:0]
}

func (o *overlay) load(key string, v any) (bool, error) {
	return load(o.get, key, v)
}

func (o *overlay) store(key string, v any) error {
	b, err := flow.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %q: %w", key, err)
	}
	o.set(key, b)
	return nil
}

// summed gives the sum of the state with the staged changes, from that without them.
// Without changes it is the same: an empty block must not change the application hash.
func (o *overlay) summed(stored []byte) ([]byte, error) {
	var s *sum
	for key, value := range o.changes {
		if !strings.HasPrefix(key, statePrefix) {
			continue
		}
		if s == nil {
			var err error
			if s, err = decodeSum(stored); err != nil {
				return nil, err
			}
		}
		old, err := o.db.Get([]byte(key))
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", key, err)
		}
		if old != nil {
			s.remove(key, old)
		}
		if value != nil {
			s.add(key, value)
		}
	}
	if s == nil {
		return stored, nil
	}
	return s.encode(), nil
}

// contractState is the contract's part of the state.
type contractState struct{ o *overlay }

func (c contractState) Get(key []byte) ([]byte, error) { return c.o.get(contractPrefix + string(key)) }

func (c contractState) Set(key, value []byte) {
	c.o.set(contractPrefix+string(key), slices.Clone(value))
}

// readState is the contract's part of the committed state, for reading.
type readState struct{ db comet.KV }

func (r readState) Get(key []byte) ([]byte, error) {
	return r.db.Get(append([]byte(contractPrefix), key...))
}
func (readState) Set(_, _ []byte) {}

func load(get func(string) ([]byte, error), key string, v any) (bool, error) {
	b, err := get(key)
	if err != nil || b == nil {
		return false, err
	}
	if err := flow.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("reading %q: %w", key, err)
	}
	return true, nil
}

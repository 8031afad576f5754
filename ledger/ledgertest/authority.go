package ledgertest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// The names that the suite's records carry and a chain under test is opened with.
const (
	Chain    = "supervision-test" // the supervision chain, the log's origin
	Network  = "network-test"
	Platform = "platform-1"
	// OtherPlatform is admitted as well.
	OtherPlatform = "platform-2"
)

// Authority is a test authority: a log of decisions and the key that signs its
// checkpoints. Safe for concurrent use.
type Authority struct {
	Origin string // the supervision chain's id
	Keys   string // vkey lines, to be trusted by the chain under test

	mu     sync.Mutex
	signer note.Signer  // guarded by mu
	keys   receipt.Keys // guarded by mu; with hand-overs
	size   int64        // guarded by mu
	hashes []tlog.Hash  // guarded by mu; the log's stored hashes
}

// NewAuthority draws an authority whose log is named origin.
func NewAuthority(tb testing.TB, origin string) *Authority {
	tb.Helper()
	a := &Authority{Origin: origin}
	vkey := a.draw(tb)
	a.Keys = vkey + "\n"
	var err error
	if a.keys, err = receipt.ParseKeys(a.Keys); err != nil {
		tb.Fatal(err)
	}
	return a
}

// draw takes a new key into use and gives its vkey line.
func (a *Authority) draw(tb testing.TB) string {
	tb.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, a.Origin)
	if err != nil {
		tb.Fatal(err)
	}
	if a.signer, err = note.NewSigner(secret); err != nil {
		tb.Fatal(err)
	}
	return vkey
}

// HandOver hands the log's key over to a new one, with which every later checkpoint
// is signed, and gives the statement, which later checkpoints carry, and the old key.
func (a *Authority) HandOver(tb testing.TB) (statement []byte, old note.Signer) {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	old = a.signer
	h := receipt.Handover{Origin: a.Origin, Generation: max(a.keys.Generation(), 1) + 1, Size: a.size, Old: a.keys.Current()}
	h.New = []string{a.draw(tb)}
	statement, err := receipt.SignHandover(h, old, a.signer)
	if err != nil {
		tb.Fatal(err)
	}
	if a.keys, err = a.keys.Follow(statement); err != nil {
		tb.Fatal(err)
	}
	return statement, old
}

// Leaf is a granted decision of the step for value, with random hashes, that
// every chain of the suite accepts. The changes make it another.
func Leaf(step flow.Step, value []byte, changes ...func(*receipt.Leaf)) receipt.Leaf {
	l := receipt.Leaf{
		Suite: "intl", Chain: Chain, Network: Network, Platform: Platform, Business: "prescription",
		Step: step, Verdict: flow.Granted, Issued: time.Now().Unix(),
		Flow: random(), Tx: random(), Commitment: random(), Record: flow.SumHash(value), Facts: random(),
		ContractVersion: 1, Contract: random(),
	}
	rand.Read(l.Submission[:])
	if step == flow.Register {
		l.Flow = l.Tx
	}
	for _, change := range changes {
		change(&l)
	}
	return l
}

// Within puts a decision into a flow.
func Within(id flow.Hash) func(*receipt.Leaf) { return func(l *receipt.Leaf) { l.Flow = id } }

// Record mints a decision on value and its receipt, and gives the record that they permit.
func (a *Authority) Record(tb testing.TB, step flow.Step, value []byte, changes ...func(*receipt.Leaf)) ledger.Record {
	tb.Helper()
	l := Leaf(step, value, changes...)
	return record(l, value, a.Receipt(tb, l))
}

// Records mints n registrations with values of the given size under one
// checkpoint, as a block of the supervision chain does.
func (a *Authority) Records(tb testing.TB, n, size int) []ledger.Record {
	tb.Helper()
	out, indexes, leaves := make([]ledger.Record, n), make([]int64, n), make([][]byte, n)
	for i := range out {
		value := make([]byte, size)
		rand.Read(value)
		l := Leaf(flow.Register, value)
		leaves[i] = encode(tb, l)
		indexes[i] = a.append(tb, leaves[i])
		out[i] = record(l, value, nil)
	}
	checkpoint := a.Checkpoint(tb)
	for i := range out {
		out[i].Receipt = receipt.New(leaves[i], indexes[i], a.inclusion(tb, indexes[i]), checkpoint)
	}
	return out
}

// Receipt appends the leaf to the log and proves it under a new checkpoint.
func (a *Authority) Receipt(tb testing.TB, l receipt.Leaf) []byte {
	tb.Helper()
	return a.Decide(tb, l).Receipt()
}

// Parts are what a receipt is composed of, to be tampered with.
type Parts struct {
	Leaf       []byte
	Index      int64
	Inclusion  tlog.RecordProof
	Checkpoint []byte
}

// Receipt composes the parts.
func (p Parts) Receipt() []byte { return receipt.New(p.Leaf, p.Index, p.Inclusion, p.Checkpoint) }

// Decide appends the leaf to the log and returns the parts of its receipt.
func (a *Authority) Decide(tb testing.TB, l receipt.Leaf) Parts {
	tb.Helper()
	leaf := encode(tb, l)
	p := Parts{Leaf: leaf, Index: a.append(tb, leaf)}
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	if p.Inclusion, err = tlog.ProveRecord(a.size, p.Index, a.reader()); err != nil {
		tb.Fatal(err)
	}
	p.Checkpoint = a.checkpoint(tb, a.Origin)
	return p
}

// Checkpoint signs the log as it is now.
func (a *Authority) Checkpoint(tb testing.TB) []byte {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkpoint(tb, a.Origin)
}

// SignAs signs the log as it is now under another log's name.
func (a *Authority) SignAs(tb testing.TB, origin string) []byte {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkpoint(tb, origin)
}

func (a *Authority) checkpoint(tb testing.TB, origin string) []byte {
	tb.Helper()
	root, err := tlog.TreeHash(a.size, a.reader())
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := receipt.SignCheckpoint(origin, a.size, root, a.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return append(signed, a.keys.Carry()...)
}

// SignedBy is a record whose receipt another key than the authority's has signed,
// and which carries what it is given beside.
func (a *Authority) SignedBy(tb testing.TB, signer note.Signer, carried receipt.Keys) ledger.Record {
	tb.Helper()
	rec := a.Record(tb, flow.Register, value())
	rec.Receipt = Resigned(tb, rec.Receipt, signer, carried)
	return rec
}

// Resigned is a receipt whose checkpoint another key has signed instead, and which
// carries what it is given beside.
func Resigned(tb testing.TB, file []byte, signer note.Signer, carried receipt.Keys) []byte {
	tb.Helper()
	i := bytes.Index(file, []byte("\n\n")) + 2
	h, err := receipt.ReadHead(file[i:])
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := receipt.SignCheckpoint(h.Origin, h.Size, h.Root, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return slices.Concat(file[:i], signed, carried.Carry())
}

func (a *Authority) append(tb testing.TB, leaf []byte) int64 {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	more, err := tlog.StoredHashes(a.size, leaf, a.reader())
	if err != nil {
		tb.Fatal(err)
	}
	a.hashes = append(a.hashes, more...)
	a.size++
	return a.size - 1
}

func (a *Authority) inclusion(tb testing.TB, index int64) tlog.RecordProof {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := tlog.ProveRecord(a.size, index, a.reader())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (a *Authority) reader() tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			if at >= int64(len(a.hashes)) {
				return nil, errors.New("reading beyond the log")
			}
			out[i] = a.hashes[at]
		}
		return out, nil
	}
}

func record(l receipt.Leaf, value, proof []byte) ledger.Record {
	return ledger.Record{Key: ledger.Key{Flow: l.Flow, Tx: l.Tx}, Step: l.Step, Value: value, Receipt: proof}
}

func encode(tb testing.TB, l receipt.Leaf) []byte {
	tb.Helper()
	b, err := l.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func random() (h flow.Hash) {
	rand.Read(h[:])
	return h
}

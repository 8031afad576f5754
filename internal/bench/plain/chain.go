package plain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
)

// What the chain's store holds, as that of ledger/embedded does:
//
//	"m"                  meta
//	"r" flow tx          a record
//	"p" position (8, BE) flow tx of the record at that position
const (
	metaKey        = "m"
	recordPrefix   = "r"
	positionPrefix = "p"
)

// Codes of transaction results.
const (
	codeMalformed = 10
	codeConflict  = 12
)

var (
	errMalformed = errors.New("not a transaction of this chain")
	errConflict  = errors.New("another record stands under this key")
)

// transaction is a put as it stands in a block.
type transaction struct {
	_ struct{} `cbor:",toarray"`

	Version uint8 // 1
	Flow    flow.Hash
	Tx      flow.Hash
	Step    flow.Step
	Value   []byte
}

// meta is how far the state has come.
type meta struct {
	_ struct{} `cbor:",toarray"`

	Height  int64
	AppHash []byte
	Count   uint64
}

// entry is a stored record under its key.
type entry struct {
	_ struct{} `cbor:",toarray"`

	Step     flow.Step
	Value    []byte
	TxHash   flow.Hash
	Position uint64
	Height   int64
}

// chain is a node of the business chain.
type chain struct {
	kv      comet.KV
	node    *comet.Node
	waiters comet.Waiters[flow.Hash, comet.Result]

	mu     sync.Mutex // guards at
	at     meta       // committed
	staged staged     // between Finalize and Commit, which are called in turn
}

type staged struct {
	meta    meta
	changes map[string][]byte
	results map[flow.Hash]comet.Result
}

// openChain makes a chain in a new directory and starts its node.
func openChain(ctx context.Context, dir string) (*chain, error) {
	kv, err := comet.OpenKV(filepath.Join(dir, "state"))
	if err != nil {
		return nil, err
	}
	c := &chain{kv: kv}
	c.node, err = comet.New(comet.Config{Dir: filepath.Join(dir, "node"), ChainID: "plain", App: c, MaxTxBytes: flow.MaxMessage})
	if err == nil {
		err = c.node.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, kv.Close())
	}
	return c, nil
}

func (c *chain) close() error { return errors.Join(c.node.Close(), c.kv.Close()) }

// put stores a record and returns when its block is durable.
func (c *chain) put(ctx context.Context, key ledger.Key, step flow.Step, value []byte) (ledger.TxID, error) {
	tx, err := flow.Marshal(transaction{Version: 1, Flow: key.Flow, Tx: key.Tx, Step: step, Value: value})
	if err != nil {
		return "", fmt.Errorf("encoding record: %w", err)
	}
	w := c.waiters.Register(flow.SumHash(tx))
	defer w.Cancel()
	// Looked at first, as embedded does, so that a record that stands costs no block.
	switch have, err := c.get(key); {
	case err == nil && have.Step == step && bytes.Equal(have.Value, value):
		return ledger.TxID(have.TxHash.String()), nil
	case err == nil:
		return "", errConflict
	case !errors.Is(err, ledger.ErrNotFound):
		return "", err
	}
	r, err := comet.Await(ctx, c.node, tx, w)
	if err != nil {
		return "", err
	}
	if r.Code != 0 {
		return "", errors.New(r.Log)
	}
	return ledger.TxID(r.Data), nil
}

// get reads a record; none is ledger.ErrNotFound.
func (c *chain) get(key ledger.Key) (entry, error) {
	raw, err := c.kv.Get([]byte(recordKey(key)))
	if err != nil {
		return entry{}, fmt.Errorf("reading record: %w", err)
	}
	if raw == nil {
		return entry{}, ledger.ErrNotFound
	}
	var e entry
	if err := flow.Unmarshal(raw, &e); err != nil {
		return entry{}, fmt.Errorf("reading record: %w", err)
	}
	return e, nil
}

func recordKey(k ledger.Key) string { return recordPrefix + string(k.Flow[:]) + string(k.Tx[:]) }

func positionKey(p uint64) string {
	return positionPrefix + string(binary.BigEndian.AppendUint64(nil, p))
}

// decode takes exactly what put encodes, so that a record has one transaction hash.
func decode(raw []byte) (transaction, error) {
	var t transaction
	if err := flow.Unmarshal(raw, &t); err != nil || t.Version != 1 || !t.Step.Known() || len(t.Value) == 0 {
		return t, errMalformed
	}
	if again, err := flow.Marshal(t); err != nil || !bytes.Equal(again, raw) {
		return t, errMalformed
	}
	return t, nil
}

// Last implements comet.Application. The chain always begins anew.
func (c *chain) Last() (comet.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return comet.Position{Height: c.at.Height, AppHash: c.at.AppHash}, nil
}

// Init implements comet.Application.
func (c *chain) Init(g comet.Genesis) ([]byte, error) {
	sum := sha256.Sum256([]byte("signalbox/plain/v1" + g.ChainID))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = meta{AppHash: sum[:]}
	return sum[:], nil
}

// Check implements comet.Application.
func (c *chain) Check(tx []byte) *comet.Refusal {
	t, err := decode(tx)
	if err != nil {
		return &comet.Refusal{Code: codeMalformed, Log: err.Error()}
	}
	if have, err := c.get(ledger.Key{Flow: t.Flow, Tx: t.Tx}); err == nil && (have.Step != t.Step || !bytes.Equal(have.Value, t.Value)) {
		return &comet.Refusal{Code: codeConflict, Log: errConflict.Error()}
	}
	return nil
}

// Finalize implements comet.Application.
func (c *chain) Finalize(b comet.Block) (comet.Outcome, error) {
	c.mu.Lock()
	s := staged{meta: c.at, changes: map[string][]byte{}, results: make(map[flow.Hash]comet.Result, len(b.Txs))}
	c.mu.Unlock()
	s.meta.Height = b.Height
	out := comet.Outcome{Results: make([]comet.Result, len(b.Txs))}
	for i, tx := range b.Txs {
		hash := flow.SumHash(tx)
		r, err := c.execute(&s, hash, tx)
		if err != nil {
			return comet.Outcome{}, err
		}
		out.Results[i], s.results[hash] = r, r
	}
	s.meta.AppHash = fold(s.meta.AppHash, s.changes)
	out.AppHash = s.meta.AppHash
	c.staged = s
	return out, nil
}

func (c *chain) execute(s *staged, hash flow.Hash, tx []byte) (comet.Result, error) {
	t, err := decode(tx)
	if err != nil {
		return comet.Result{Code: codeMalformed, Log: err.Error()}, nil
	}
	key := ledger.Key{Flow: t.Flow, Tx: t.Tx}
	_, taken := s.changes[recordKey(key)]
	if !taken {
		_, err := c.get(key)
		if taken = err == nil; !taken && !errors.Is(err, ledger.ErrNotFound) {
			return comet.Result{}, err
		}
	}
	if taken {
		return comet.Result{Code: codeConflict, Log: errConflict.Error()}, nil
	}
	s.meta.Count++
	raw, err := flow.Marshal(entry{Step: t.Step, Value: t.Value, TxHash: hash, Position: s.meta.Count, Height: s.meta.Height})
	if err != nil {
		return comet.Result{}, fmt.Errorf("encoding record: %w", err)
	}
	s.changes[recordKey(key)] = raw
	s.changes[positionKey(s.meta.Count)] = []byte(recordKey(key)[1:])
	return comet.Result{Data: []byte(hash.String())}, nil
}

// fold gives the application hash after the changes, as ledger/embedded does.
func fold(before []byte, changes map[string][]byte) []byte {
	if len(changes) == 0 {
		return before
	}
	h := sha256.New()
	h.Write(before)
	for _, k := range slices.Sorted(maps.Keys(changes)) {
		for _, part := range [][]byte{[]byte(k), changes[k]} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return h.Sum(nil)
}

// Commit implements comet.Application: one atomic, durable write, then word to
// those who wait.
func (c *chain) Commit() error {
	if err := c.write(c.staged); err != nil {
		return fmt.Errorf("writing block %d: %w", c.staged.meta.Height, err)
	}
	c.mu.Lock()
	c.at = c.staged.meta
	c.mu.Unlock()
	for hash, r := range c.staged.results {
		c.waiters.Deliver(hash, r)
	}
	return nil
}

func (c *chain) write(s staged) error {
	batch := c.kv.NewBatch()
	defer batch.Close()
	m, err := flow.Marshal(s.meta)
	if err != nil {
		return err
	}
	if err := batch.Set([]byte(metaKey), m); err != nil {
		return err
	}
	for k, v := range s.changes {
		if err := batch.Set([]byte(k), v); err != nil {
			return err
		}
	}
	return batch.WriteSync()
}

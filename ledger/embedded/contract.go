package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// Codes of transaction results. They are part of the chain's blocks and never change.
const (
	codeStored    = 0 // Data is the transaction's hash, of the first one when the record stood already
	codeMalformed = 10
	codeRefused   = 11
	codeConflict  = 12
	codeExpired   = 13
)

// contract is the chain's application. Finalize depends on nothing but the
// committed state, the block and the genesis.
type contract struct {
	kv     comet.KV
	now    func() time.Time // for Check alone
	expect Genesis          // zero to take what the chain says

	mu      sync.RWMutex  // guards what follows
	genesis *terms        // nil before Init
	at      meta          // committed
	keys    receipt.Keys  // the authority's, as the committed records have handed them on
	sure    int64         // see ClockFloor; Unix seconds
	changed chan struct{} // closed and replaced when records were committed

	proven proofs
	heads  receipt.Memory
	staged staged // between Finalize and Commit, which are called in turn

	waiters comet.Waiters[flow.Hash, comet.Result]
}

// terms is the genesis, ready for use.
type terms struct {
	Genesis
	raw  []byte
	keys receipt.Keys // that the chain began with
}

type staged struct {
	meta    meta
	keys    receipt.Keys
	sure    int64
	changes changes
	results map[flow.Hash]comet.Result
	stored  []ledger.Stored
}

// newContract continues from the state in kv.
func newContract(kv comet.KV, now func() time.Time, expect Genesis) (*contract, error) {
	c := &contract{kv: kv, now: now, expect: expect, changed: make(chan struct{})}
	var err error
	if c.at, err = readMeta(kv); err != nil {
		return nil, err
	}
	raw, err := kv.Get([]byte(genesisKey))
	if err != nil {
		return nil, fmt.Errorf("reading genesis: %w", err)
	}
	if raw != nil {
		if c.genesis, err = c.agree(raw); err != nil {
			return nil, err
		}
		if c.keys, err = readKeys(kv, c.genesis.keys); err != nil {
			return nil, err
		}
		if c.sure, err = readSure(kv); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// agree reads the chain's genesis and holds it against the expected one.
func (c *contract) agree(raw []byte) (*terms, error) {
	g, err := readGenesis(raw)
	if err != nil {
		return nil, err
	}
	if c.expect.Network != "" && !g.equal(c.expect) {
		return nil, errors.New("the configured genesis is not the one that this chain began with")
	}
	keys, err := receipt.ParseKeys(g.AuthorityKeys)
	if err != nil {
		return nil, err
	}
	return &terms{Genesis: g, raw: raw, keys: keys}, nil
}

// Last implements comet.Application.
func (c *contract) Last() (comet.Position, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return comet.Position{Height: c.at.Height, AppHash: c.at.AppHash}, nil
}

// Init implements comet.Application. The genesis is written with the first block.
func (c *contract) Init(g comet.Genesis) ([]byte, error) {
	t, err := c.agree(g.AppState)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.genesis, c.keys = t, t.keys
	h := sha256.New()
	for _, part := range []string{"signalbox/embedded/v1", g.ChainID, string(t.raw)} {
		writeSized(h, []byte(part))
	}
	c.at = meta{AppHash: h.Sum(nil)}
	return c.at.AppHash, nil
}

// Check implements comet.Application. What this node can't read at the moment
// it lets pass: only a block decides.
func (c *contract) Check(tx []byte) *comet.Refusal {
	var no *comet.Refusal
	errors.As(c.judge(tx), &no)
	return no
}

// judge is the judgement of Finalize by this node's clock and committed state.
// Its error is a *comet.Refusal, or else something of this node that says
// nothing about the transaction.
func (c *contract) judge(tx []byte) error {
	rec, err := decodeRecord(tx)
	if err != nil {
		return &comet.Refusal{Code: codeMalformed, Log: err.Error()}
	}
	have, err := readRecord(c.kv, rec.Key)
	taken := err == nil
	switch {
	case taken && sameRecord(have, rec):
		return nil // a block will say where it stands
	case !taken && !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	c.mu.RLock()
	keys := c.keys
	c.mu.RUnlock()
	if _, no := c.admit(flow.SumHash(tx), rec, keys, c.now()); no != nil {
		return &comet.Refusal{Code: codeOf(no), Log: no.Error()}
	}
	if taken {
		return &comet.Refusal{Code: codeConflict, Log: ledger.ErrConflict.Error()}
	}
	return nil
}

// admit is R1.7: the receipt must be the authority's, by the keys that it has now,
// and for this very write. What it carries of hand-overs is for who stores it to follow.
func (c *contract) admit(tx flow.Hash, rec ledger.Record, keys receipt.Keys, now time.Time) (receipt.Proven, error) {
	c.mu.RLock()
	t := c.genesis // there since Init, without which neither Check nor Finalize is called
	c.mu.RUnlock()
	if n := len(rec.Value); n == 0 || n > t.maxValue() {
		return receipt.Proven{}, fmt.Errorf("value of %d bytes, want 1 to %d", n, t.maxValue())
	}
	p, known := c.proven.get(tx, keys.Reach())
	if !known {
		var err error
		if p, err = c.heads.Verify(rec.Receipt, keys, t.Supervision); err != nil {
			return p, err
		}
		c.proven.put(tx, keys.Reach(), p)
	}
	return p, receipt.Admits(p, receipt.Write{
		Network:   t.Network,
		Platforms: func(name string) bool { return slices.Contains(t.Platforms, name) },
		Flow:      rec.Key.Flow, Tx: rec.Key.Tx, Step: rec.Step, Value: rec.Value, Now: now,
	})
}

// codeOf is the code of a record that is not admitted.
func codeOf(no error) uint32 {
	if errors.Is(no, receipt.ErrExpired) {
		return codeExpired
	}
	return codeRefused
}

// follow takes the hand-overs that an admitted record's receipt carries into the
// chain's state, so that from the next record on the keys of before sign no more
// than they may (R1.7).
func (s *staged) follow(p receipt.Proven) error {
	if len(p.Handovers) == 0 {
		return nil
	}
	keys, err := s.keys.Follow(p.Handovers...)
	if err != nil {
		return fmt.Errorf("following the authority's keys: %w", err)
	}
	s.keys = keys
	s.changes[keysKey] = []byte(keys.String())
	return nil
}

// ClockFloor implements comet.ClockFloor: the authority, whose clock is another's,
// had decided the newest record by then. So a clock that ran ahead can come back
// and no decision that had expired counts anew.
func (c *contract) ClockFloor() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return time.Unix(c.sure, 0).UTC()
}

// passed takes the time at which an admitted record was decided.
func (s *staged) passed(issued int64) {
	if issued > s.sure {
		s.sure = issued
		s.changes[sureKey] = binary.BigEndian.AppendUint64(nil, uint64(issued))
	}
}

// Finalize implements comet.Application.
func (c *contract) Finalize(b comet.Block) (comet.Outcome, error) {
	s := staged{meta: c.at, keys: c.keys, sure: c.sure, changes: changes{}, results: make(map[flow.Hash]comet.Result, len(b.Txs))}
	s.meta.Height = b.Height
	fresh := map[ledger.Key]ledger.Stored{}
	out := comet.Outcome{Results: make([]comet.Result, len(b.Txs))}
	for i, tx := range b.Txs {
		hash := flow.SumHash(tx)
		r, err := c.execute(&s, fresh, hash, tx, b.Time)
		if err != nil {
			return comet.Outcome{}, err
		}
		out.Results[i], s.results[hash] = r, r
	}
	s.meta.AppHash = s.changes.fold(c.at.AppHash)
	out.AppHash = s.meta.AppHash
	c.staged = s
	return out, nil
}

// execute judges one transaction and stages what it stores. fresh are the records of
// this block. Its error is the store's: the transaction's own faults are results.
func (c *contract) execute(s *staged, fresh map[ledger.Key]ledger.Stored, hash flow.Hash, tx []byte, at time.Time) (comet.Result, error) {
	rec, err := decodeRecord(tx)
	if err != nil {
		return comet.Result{Code: codeMalformed, Log: err.Error()}, nil
	}
	have, taken := fresh[rec.Key]
	if !taken {
		have, err = readRecord(c.kv, rec.Key)
		if taken = err == nil; !taken && !errors.Is(err, ledger.ErrNotFound) {
			return comet.Result{}, err
		}
	}
	if taken && sameRecord(have, rec) {
		return comet.Result{Data: []byte(have.TxID)}, nil
	}
	p, no := c.admit(hash, rec, s.keys, at)
	if no != nil {
		return comet.Result{Code: codeOf(no), Log: no.Error()}, nil
	}
	if taken {
		return comet.Result{Code: codeConflict, Log: ledger.ErrConflict.Error()}, nil
	}
	if err := s.follow(p); err != nil {
		return comet.Result{}, err
	}
	s.passed(p.Leaf.Issued)
	s.meta.Count++
	e := entry{Step: rec.Step, Value: rec.Value, Receipt: rec.Receipt, TxHash: hash, Position: s.meta.Count, Height: s.meta.Height}
	raw, err := flow.Marshal(e)
	if err != nil {
		return comet.Result{}, fmt.Errorf("encoding record: %w", err)
	}
	key := recordKey(rec.Key)
	s.changes[string(key)] = raw
	s.changes[string(positionKey(e.Position))] = key[1:]
	fresh[rec.Key] = e.stored(rec.Key)
	s.stored = append(s.stored, fresh[rec.Key])
	return comet.Result{Data: []byte(hash.String())}, nil
}

// Commit implements comet.Application: one atomic, durable write, then word to
// those who wait.
func (c *contract) Commit() error {
	s := c.staged
	if err := fault.Before(fault.Stored); err != nil {
		return err
	}
	if err := c.write(s); err != nil {
		return fmt.Errorf("writing block %d: %w", s.meta.Height, err)
	}
	if err := fault.After(fault.Stored); err != nil {
		return err
	}
	c.mu.Lock()
	c.at, c.keys, c.sure = s.meta, s.keys, s.sure
	if len(s.stored) > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	c.mu.Unlock()
	for hash, r := range s.results {
		c.proven.drop(hash)
		c.waiters.Deliver(hash, r)
	}
	return nil
}

func (c *contract) write(s staged) error {
	batch := c.kv.NewBatch()
	defer batch.Close()
	m, err := flow.Marshal(s.meta)
	if err != nil {
		return err
	}
	if err := batch.Set([]byte(metaKey), m); err != nil {
		return err
	}
	if err := batch.Set([]byte(genesisKey), c.genesis.raw); err != nil {
		return err
	}
	for _, k := range s.changes.keys() {
		if err := batch.Set([]byte(k), s.changes[k]); err != nil {
			return err
		}
	}
	return batch.WriteSync()
}

// position is the last committed one, and a channel that is closed at the next.
func (c *contract) position() (uint64, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at.Count, c.changed
}

func (c *contract) terms() (Genesis, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.genesis == nil {
		return c.expect, false
	}
	return c.genesis.Genesis, true
}

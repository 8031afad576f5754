package chain

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// ErrErased says that a payload was erased by an officers' order. What it wraps in is
// an *ErasedError, which says by which.
var ErrErased = errors.New("erased by an officers' order")

// ErasedError is what reading an erased payload comes to (R10.1).
type ErasedError struct {
	Tx     flow.Hash
	Order  uint64
	At     int64 // Unix seconds
	Ground string
}

// Error says what was erased, by which order.
func (e *ErasedError) Error() string {
	return fmt.Sprintf("the payload of transaction %s was erased by order %d, ground: %s", e.Tx, e.Order, e.Ground)
}

// Unwrap gives ErrErased.
func (e *ErasedError) Unwrap() error { return ErrErased }

// Erasure is a payload that is to be destroyed wherever the authority has it.
type Erasure struct {
	Tx flow.Hash
	contract.Erased
	Statement []byte // signed by the log's keys; nil on a node that has none
}

// decided looks up a decision that an order would erase the payload of.
func (b *block) decided(p contract.Payload) (contract.Decided, bool, error) {
	var at located
	ok, err := b.load(txKey(p.Tx), &at)
	if err != nil {
		return contract.Decided{}, false, err
	}
	if !ok {
		leaf, blocks, ok, err := b.proven(p)
		if err != nil || !ok {
			return contract.Decided{}, false, err
		}
		return contract.Decided{Business: leaf.Business, Issued: leaf.Issued, Held: leaf.Verdict == flow.Held, Index: p.Proof.Index, Height: blocks}, true, nil
	}
	raw, err := b.get(leafKey(at.Index))
	if err != nil {
		return contract.Decided{}, false, err
	}
	leaf, err := receipt.DecodeLeaf(raw)
	if err != nil {
		return contract.Decided{}, false, fmt.Errorf("reading leaf %d: %w", at.Index, err)
	}
	return contract.Decided{
		Business: leaf.Business, Issued: leaf.Issued, Held: leaf.Verdict == flow.Held, Index: at.Index, Height: at.Height,
	}, true, nil
}

// Payload names a decision for an order that erases its payload, with the proof that the
// chain asks for when it has forgotten the decision.
func (c *Chain) Payload(tx flow.Hash) (contract.Payload, error) {
	p := contract.Payload{Tx: tx}
	d, err := c.ByTx(tx)
	if err != nil {
		return p, err
	}
	if known, err := c.db.Has([]byte(txKey(tx))); err != nil || known {
		return p, err
	}
	var at archived
	if _, err := load(c.get, archivedName, &at); err != nil {
		return p, err
	}
	path, err := tlog.ProveRecord(at.Leaves, d.Index, c.hashes())
	if err != nil {
		return p, fmt.Errorf("proving leaf %d: %w", d.Index, err)
	}
	p.Proof = &contract.Inclusion{Leaf: d.LeafBytes, Index: d.Index}
	for _, h := range path {
		p.Proof.Path = append(p.Proof.Path, flow.Hash(h))
	}
	return p, nil
}

// erase notes what an order has erased, for this node's own copies.
func (b *block) erase(all []flow.Hash) error {
	for _, tx := range all {
		e, ok, err := contract.ErasureOf(contractState{b.overlay}, tx)
		if err != nil || !ok {
			return errors.Join(err, fmt.Errorf("erasing %s: the contract has no such order", tx))
		}
		raw, err := b.get(erasingName)
		if err != nil {
			return err
		}
		if raw == nil || ordinalOf(raw) <= e.Height {
			b.set(erasingName, []byte(ordinal(e.Height+1)))
		}
		b.erased = append(b.erased, tx)
	}
	return nil
}

// state signs and keeps the statement of an erasure; a node without the log's keys
// has none to sign with. It is not synced: what a crash loses, stateAll signs again.
func (c *Chain) state(tx flow.Hash) error {
	if len(c.cfg.Signers) == 0 {
		return nil
	}
	e, ok, err := contract.ErasureOf(c.State(), tx)
	if err != nil || !ok {
		return err
	}
	signers, carried, err := c.checkpoints.signersAt(math.MaxInt64)
	if err != nil {
		return err
	}
	signed, err := receipt.SignErasure(receipt.Erasure{
		Chain: c.id, Tx: tx, Order: e.Order, At: e.At, Ground: string(e.Ground),
	}, signers...)
	if err != nil {
		return err
	}
	if err := c.db.Set([]byte(statementKey(tx)), append(signed, carried...)); err != nil {
		return fmt.Errorf("keeping the statement of an erasure: %w", err)
	}
	return nil
}

// stateAll signs the statements that are missing.
func (c *Chain) stateAll() error {
	var missing []flow.Hash
	err := c.Source().Erasures(func(e Erasure) error {
		if e.Statement == nil {
			missing = append(missing, e.Tx)
		}
		return nil
	})
	for _, tx := range missing {
		err = errors.Join(err, c.state(tx))
	}
	return err
}

// erasure is the error for a payload that was erased; nil for others.
func erasure(db comet.KV, tx flow.Hash) error {
	e, ok, err := contract.ErasureOf(readState{db}, tx)
	if err != nil || !ok {
		return err
	}
	return &ErasedError{Tx: tx, Order: e.Order, At: e.At, Ground: string(e.Ground)}
}

// Erasures gives fn all that were ordered, in no order of time.
func (c *Chain) Erasures(fn func(Erasure) error) error { return c.Source().Erasures(fn) }

// Erasures gives fn all that were ordered, in no order of time.
func (s *Source) Erasures(fn func(Erasure) error) error {
	const prefix = contractPrefix + "erasure/"
	return comet.Scan(s.db, []byte(prefix), func(key, value []byte) error {
		var e Erasure
		var err error
		if e.Tx, err = flow.ParseHash(string(key[len(prefix):])); err != nil {
			return fmt.Errorf("reading erasures: %w", err)
		}
		if err := flow.Unmarshal(value, &e.Erased); err != nil {
			return fmt.Errorf("reading the erasure of %s: %w", e.Tx, err)
		}
		if e.Statement, err = s.get(statementKey(e.Tx)); err != nil {
			return err
		}
		return fn(e)
	})
}

// Erasure gives the erasure of a transaction, if one was ordered.
func (s *Source) Erasure(tx flow.Hash) (e Erasure, ok bool, err error) {
	e.Tx = tx
	if e.Erased, ok, err = contract.ErasureOf(readState{s.db}, tx); err != nil || !ok {
		return e, ok, err
	}
	e.Statement, err = s.get(statementKey(tx))
	return e, true, err
}

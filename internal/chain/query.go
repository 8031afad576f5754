package chain

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// ErrNotFound says that the chain has no such decision.
var ErrNotFound = errors.New("no such decision on the supervision chain")

// Decided is one decision as it stands on the chain.
type Decided struct {
	Leaf      receipt.Leaf
	LeafBytes []byte
	Index     int64 // of the leaf
	Height    int64 // of the block
	Slot      int   // in the block
	Reasons   []flow.Reason
	Basis     string   // what granted: "rules", ...
	Flags     []string // rules that flagged it
	Observed  []string // rules in observe mode that would have acted
	Subject   string   // subject key, pseudonym
	Order     uint64   // the officer's order that resolved it; 0 for none
	Grant     string   // the batch grant used; empty for none
	Anchor    string   // business chain's transaction id; empty until anchored
}

// ByTx finds the decision that a transaction is (R1.6).
func (c *Chain) ByTx(tx flow.Hash) (Decided, error) {
	var at located
	ok, err := load(c.get, txKey(tx), &at)
	if err != nil {
		return Decided{}, err
	}
	if !ok {
		return c.older().byTx(tx)
	}
	d := Decided{Index: at.Index, Height: at.Height, Slot: at.Slot}
	if d.LeafBytes, err = c.get(leafKey(at.Index)); err != nil {
		return Decided{}, err
	}
	if d.Leaf, err = receipt.DecodeLeaf(d.LeafBytes); err != nil {
		return Decided{}, fmt.Errorf("reading leaf %d: %w", at.Index, err)
	}
	var more decided
	if _, err := load(c.get, decisionKey(tx), &more); err != nil {
		return Decided{}, err
	}
	d.Reasons, d.Basis, d.Flags, d.Observed, d.Subject = more.Reasons, more.Basis, more.Flags, more.Observed, more.Subject
	d.Order, d.Grant = more.Order, more.Grant
	return d, c.older().anchored(&d)
}

// BySubmission finds the decision on a submission.
func (c *Chain) BySubmission(id flow.ID) (Decided, error) {
	var s submitted
	ok, err := load(c.get, subKey(id), &s)
	if err != nil {
		return Decided{}, err
	}
	if !ok {
		return c.older().bySubmission(id)
	}
	return c.ByTx(s.Tx)
}

// BySubject lists a subject's decisions in order (R1.4); key is the pseudonym.
func (c *Chain) BySubject(key string) ([]Decided, error) {
	have, err := c.list(subjectPrefix(key))
	if err != nil {
		return nil, err
	}
	return c.older().list(have, flow.Hash{}, key)
}

// ByFlow lists a flow's decisions in order (R1.6).
func (c *Chain) ByFlow(id flow.Hash) ([]Decided, error) {
	have, err := c.list(flowPrefix(id))
	if err != nil {
		return nil, err
	}
	return c.older().list(have, id, "")
}

func (c *Chain) list(prefix string) ([]Decided, error) {
	it, err := c.db.Iterator([]byte(prefix), []byte(prefixEnd(prefix)))
	if err != nil {
		return nil, fmt.Errorf("listing decisions: %w", err)
	}
	defer it.Close()
	var out []Decided
	seen := map[flow.Hash]bool{} // a resolved hold stands twice, and is shown as it stands now
	for ; it.Valid(); it.Next() {
		tx := flow.Hash(it.Value())
		if seen[tx] {
			continue
		}
		seen[tx] = true
		d, err := c.ByTx(tx)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, it.Error()
}

// Submission returns a decided submission as it was received, its payload still
// sealed, and the facts, both from the block that holds them, or from the archive
// where that block was pruned.
func (c *Chain) Submission(d Decided) (flow.Submission, contract.Facts, error) {
	raw, err := c.transaction(d)
	if err != nil {
		return flow.Submission{}, contract.Facts{}, err
	}
	return openDecide(raw)
}

func openDecide(raw []byte) (flow.Submission, contract.Facts, error) {
	tx, err := parseTransaction(raw)
	if err != nil {
		return flow.Submission{}, contract.Facts{}, err
	}
	var body Decide
	if err := parseBody(tx, &body); err != nil {
		return flow.Submission{}, contract.Facts{}, err
	}
	var f contract.Facts
	if err := flow.Unmarshal(body.Facts, &f); err != nil {
		return flow.Submission{}, contract.Facts{}, fmt.Errorf("reading facts: %w", err)
	}
	return body.Submission, f, nil
}

// Receipt makes the receipt of a decision, under the first signed checkpoint
// that covers it, or a later one that witnesses have cosigned. Of an archived decision
// it is the archive's.
func (c *Chain) Receipt(d Decided) ([]byte, error) {
	if old, err := c.older().has(d.Index); err != nil {
		return nil, err
	} else if old {
		o, err := c.older().at(d.Index)
		return o.Receipt, err
	}
	cp, size, err := c.checkpoints.best(d.Index)
	if err != nil {
		return nil, fmt.Errorf("receipt of transaction %s: %w", d.Leaf.Tx, err)
	}
	inclusion, err := tlog.ProveRecord(size, d.Index, c.hashes())
	if err != nil {
		return nil, fmt.Errorf("receipt of transaction %s: %w", d.Leaf.Tx, err)
	}
	return receipt.New(d.LeafBytes, d.Index, inclusion, cp), nil
}

// Identity returns an admitted participant; false when there is none of this id.
func (c *Chain) Identity(id string) (contract.Identity, bool, error) {
	return contract.IdentityOf(readState{c.db}, id)
}

// Flow returns where the contract has a flow; false when it has none.
func (c *Chain) Flow(id flow.Hash) (contract.FlowState, bool, error) {
	return contract.FlowOf(readState{c.db}, id)
}

// State is the contract's part of the committed state, for reading.
func (c *Chain) State() contract.State { return readState{c.db} }

// Identities lists admitted participants by id; an empty role is all.
func (c *Chain) Identities(role contract.Role) ([]contract.Identity, error) {
	const prefix = contractPrefix + "identity/"
	var out []contract.Identity
	err := comet.Scan(c.db, []byte(prefix), func(_, value []byte) error {
		var id contract.Identity
		if err := flow.Unmarshal(value, &id); err != nil {
			return fmt.Errorf("reading identities: %w", err)
		}
		if role == "" || id.Role == role {
			out = append(out, id)
		}
		return nil
	})
	return out, err
}

// Leaf is the decision at an index of the log, from 0 to below Size, as it was
// made: a hold stays one there, also when it has been resolved since.
func (c *Chain) Leaf(index int64) (receipt.Leaf, error) {
	raw, err := c.get(leafKey(index))
	if err != nil {
		return receipt.Leaf{}, err
	}
	if raw == nil {
		o, err := c.older().at(index)
		return o.Leaf, err
	}
	leaf, err := receipt.DecodeLeaf(raw)
	if err != nil {
		return receipt.Leaf{}, fmt.Errorf("reading leaf %d: %w", index, err)
	}
	return leaf, nil
}

// Size is the number of decisions in the log.
func (c *Chain) Size() int64 { return c.app.position().Size }

// Height is the last committed block's.
func (c *Chain) Height() int64 { return c.app.position().Height }

func (c *Chain) get(key string) ([]byte, error) { return c.db.Get([]byte(key)) }

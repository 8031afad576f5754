package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// Past is a decision with what it was made of, for trials and explanations (R6.4).
type Past struct {
	Decided
	Header flow.Header
	Facts  contract.Facts
}

// request is what the contract was asked.
func (p Past) request() contract.Request {
	return contract.Request{Header: p.Header, Tx: p.Leaf.Tx, Facts: p.Facts, Now: p.Leaf.Issued}
}

func pastOf(d Decided, raw []byte) (Past, error) {
	sub, facts, err := openDecide(raw)
	if err != nil {
		return Past{}, err
	}
	h, err := sub.Open()
	return Past{Decided: d, Header: h, Facts: facts}, err
}

// Past gives fn the decisions issued from one time to before another, in the
// log's order; a zero time is no bound. It ends with ctx, or when fn fails. Those
// whose payload was erased are passed over: there are no facts of them any more.
func (c *Chain) Past(ctx context.Context, from, to time.Time, fn func(Past) error) error {
	past := pruned{c.Source(), c.cfg.Archive}
	for i := range c.Size() {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := c.byIndex(i)
		if err != nil {
			return err
		}
		at := time.Unix(d.Leaf.Issued, 0)
		if d.Index != i || !from.IsZero() && at.Before(from) || !to.IsZero() && !at.Before(to) {
			continue // outside, or a later decision took its place
		}
		raw, err := past.transaction(d)
		if errors.Is(err, ErrErased) {
			continue
		}
		if err != nil {
			return err
		}
		p, err := pastOf(d, raw)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// byIndex gives the decision that stands on the transaction of a leaf.
func (c *Chain) byIndex(i int64) (Decided, error) {
	leaf, err := c.Leaf(i)
	if err != nil {
		return Decided{}, err
	}
	return c.ByTx(leaf.Tx)
}

// Explain says how the contract comes to a decision, against the state of now
// without the decision's own traces: what has changed since shows as it is.
// ExplainAt is exact.
func (c *Chain) Explain(tx flow.Hash) (contract.Explanation, error) {
	d, err := c.ByTx(tx)
	if err != nil {
		return contract.Explanation{}, err
	}
	sub, facts, err := c.Submission(d)
	if err != nil {
		return contract.Explanation{}, err
	}
	h, err := sub.Open()
	if err != nil {
		return contract.Explanation{}, err
	}
	c.app.mu.Lock()
	rules := c.app.rules
	c.app.mu.Unlock()
	was := contract.Decision{Verdict: d.Leaf.Verdict, Grant: d.Grant}
	return rules.ExplainAgain(c.State(), Past{Decided: d, Header: h, Facts: facts}.request(), was)
}

// errExplained ends a replay that has come to what it looked for.
var errExplained = errors.New("explained")

// ExplainAt replays a stopped chain up to just before a decision and says how
// the contract came to it, from the very state that it had.
func ExplainAt(ctx context.Context, dir string, tx flow.Hash) (contract.Explanation, error) {
	blocks, app, err := again(dir)
	if err != nil {
		return contract.Explanation{}, err
	}
	defer blocks.Close()
	if err := erasedFrom(dir, tx); err != nil {
		return contract.Explanation{}, err
	}
	look := &explaining{application: app, tx: tx}
	_, err = blocks.Replay(ctx, look, func(comet.Stored, []comet.Result) error { return nil })
	switch {
	case look.found:
		return look.explanation, look.err
	case err != nil:
		return contract.Explanation{}, fmt.Errorf("explaining transaction %s: %w", tx, err)
	}
	return contract.Explanation{}, fmt.Errorf("%w: transaction %s", ErrNotFound, tx)
}

// again opens a stopped chain's blocks and a new application to replay them with.
func again(dir string) (*comet.Blocks, *application, error) {
	blocks, err := comet.OpenBlocks(filepath.Join(dir, "node"))
	if err != nil {
		return nil, nil, fmt.Errorf("opening the supervision chain's blocks: %w", err)
	}
	app, err := newApplication(comet.NewMemKV(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, errors.Join(err, blocks.Close())
	}
	return blocks, app, nil
}

// explaining is an application that stops at one transaction.
type explaining struct {
	*application
	tx          flow.Hash
	found       bool
	explanation contract.Explanation
	err         error
}

// Finalize implements comet.Application.
func (e *explaining) Finalize(in comet.Block) (comet.Outcome, error) {
	for i, raw := range in.Txs {
		if TxHash(raw) == e.tx {
			e.found = true
			e.explanation, e.err = e.explain(in, i)
			return comet.Outcome{}, errExplained
		}
	}
	return e.application.Finalize(in)
}

// explain executes what stands before the transaction in its block.
func (e *explaining) explain(in comet.Block, slot int) (contract.Explanation, error) {
	b := e.newBlock(in)
	if err := b.begin(); err != nil {
		return contract.Explanation{}, err
	}
	for i, raw := range in.Txs[:slot] {
		if _, err := b.attempt(i, raw); err != nil {
			return contract.Explanation{}, err
		}
	}
	p, err := pastOf(Decided{Leaf: receipt.Leaf{Tx: e.tx, Issued: b.now}}, in.Txs[slot])
	if err != nil {
		return contract.Explanation{}, fmt.Errorf("transaction %s is no submission's: %w", e.tx, err)
	}
	return b.rules.Explain(contractState{b.overlay}, p.request())
}

// PastOf gives fn the decisions of a stopped chain, in the log's order, by
// replaying it. Facts are complete (contract.Complete) as they were when it was
// decided: whoever had a tag then has it, whatever has become of it since. What
// was held and then resolved comes once, as it was resolved; what was erased since
// does not come.
func PastOf(ctx context.Context, dir string, fn func(Past) error) error {
	blocks, app, err := again(dir)
	if err != nil {
		return err
	}
	defer blocks.Close()
	stored, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	if err != nil {
		return fmt.Errorf("opening the supervision chain's state: %w", err)
	}
	defer stored.Close()
	w := &watching{c: &Chain{db: app.db, app: app}, last: &Chain{db: stored}}
	give := fn
	fn = func(p Past) error {
		if err := erasure(stored, p.Leaf.Tx); errors.Is(err, ErrErased) {
			return nil
		} else if err != nil {
			return err
		}
		return give(p)
	}
	app.watch = w.see
	_, err = blocks.Replay(ctx, app, func(comet.Stored, []comet.Result) error { return w.tell(fn) })
	return err
}

// watching collects what a block decides, with its facts as of that moment.
type watching struct {
	c    *Chain // as replayed so far
	last *Chain // as it was left
	seen []Past // of the block
}

// see is called before each decision, with the state that it has.
func (w *watching) see(s contract.State, r contract.Request) error {
	p := Past{Header: r.Header, Facts: r.Facts}
	p.Leaf.Tx = r.Tx
	w.seen = append(w.seen, p)
	return contract.Complete(s, r.Header, &w.seen[len(w.seen)-1].Facts)
}

// tell passes on what a block has decided for good.
func (w *watching) tell(fn func(Past) error) error {
	seen := w.seen
	w.seen = nil
	for i, p := range seen {
		if slices.ContainsFunc(seen[i+1:], func(later Past) bool { return later.Leaf.Tx == p.Leaf.Tx }) {
			continue
		}
		d, err := w.c.ByTx(p.Leaf.Tx)
		if errors.Is(err, ErrNotFound) {
			continue // refused by the chain: no decision
		}
		if err != nil {
			return err
		}
		if d.Leaf.Verdict == flow.Held { // one that was forgotten was resolved before
			if later, err := w.last.ByTx(p.Leaf.Tx); errors.Is(err, ErrNotFound) || err == nil && later.Index != d.Index {
				continue
			}
		}
		p.Decided = d
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// erasedFrom is the error for a payload that was erased from a stopped chain.
func erasedFrom(dir string, tx flow.Hash) error {
	db, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	if err != nil {
		return fmt.Errorf("opening the supervision chain's state: %w", err)
	}
	defer db.Close()
	return erasure(db, tx)
}

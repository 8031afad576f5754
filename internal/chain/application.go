package chain

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/receipt"
)

// application is the supervision chain as its node sees it. Finalize
// stages, Commit writes everything of the block in one atomic batch.
type application struct {
	db    comet.KV
	log   *slog.Logger
	cache *verified
	clock func() time.Time // for advice alone; what counts is the block's time
	// settled is called with every transaction of a block after the block is durable and its checkpoint signed, or when it left the mempool.
	settled func([]result)
	// resolved is called with held submissions that got a decision, after their
	// block is durable and signed.
	resolved func()
	// handed is called when the log's keys were handed over, after the block is durable.
	handed func()
	// mayHandOver is asked before an order hands the log's keys over; nil for yes.
	mayHandOver func(receipt.Handover) error
	// member signs the log with this node's votes; nil for a node that doesn't.
	member *member
	// lines takes what members have signed to the checkpoint of a size; nil: nobody keeps it.
	lines    func(size int64, lines [][]byte) error
	gathered gathered // used by consensus alone
	// watch sees what is about to be decided, and the state of that moment; nil for nobody.
	watch func(contract.State, contract.Request) error
	// erased is called with a transaction whose payload was erased, after the block of the order is durable.
	erased func(tx flow.Hash) error
	// written is called with the position after a block is durable; nil for nobody.
	written func(meta) error
	// signed is called with the log's new size and root after a block is durable.
	signed func(size int64, root tlog.Hash) error

	mu    sync.Mutex // guards what follows; CheckTx and consensus come on their own goroutines
	at    meta
	trust trust
	rules *contract.Contract
	block *block // between FinalizeBlock and Commit
	next  meta
	root  tlog.Hash
	done  []result
}

// result is what came of one transaction; err is nil, or a *refusal.
type result struct {
	hash  flow.Hash
	err   error
	order contract.OrderOutcome // of an order
}

func newApplication(db comet.KV, log *slog.Logger) (*application, error) {
	a := &application{db: db, log: log, cache: newVerified(), clock: time.Now}
	raw, err := db.Get([]byte(metaName))
	if err != nil || raw == nil {
		return a, err
	}
	if err := flow.Unmarshal(raw, &a.at); err != nil {
		return nil, fmt.Errorf("reading the chain's position: %w", err)
	}
	genesis, err := db.Get([]byte(genesisKey()))
	if err != nil {
		return nil, fmt.Errorf("reading genesis: %w", err)
	}
	return a, a.configure(genesis, readState{db})
}

// configure takes trust and rules from genesis and the contract's state.
func (a *application) configure(genesis []byte, s contract.State) error {
	var g Genesis
	if err := json.Unmarshal(genesis, &g); err != nil {
		return fmt.Errorf("reading genesis: %w", err)
	}
	t, err := newTrust(g)
	if err != nil {
		return err
	}
	rules, err := contract.New(s)
	if err != nil {
		return fmt.Errorf("loading the contract: %w", err)
	}
	a.trust, a.rules = t, rules
	return nil
}

// Last implements comet.Application: what is durable, never more.
func (a *application) Last() (comet.Position, error) {
	at := a.position()
	return comet.Position{Height: at.Height, AppHash: at.AppHash}, nil
}

// Init implements comet.Application. Genesis is written at once, so that
// transactions can be checked before the first block.
func (a *application) Init(g comet.Genesis) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at.AppHash != nil {
		return a.at.AppHash, nil // the process ended before the first block
	}
	genesis, err := parseGenesis(g)
	if err != nil {
		return nil, err
	}
	o := newOverlay(a.db)
	o.set(genesisKey(), g.AppState)
	if err := contract.Init(contractState{o}, genesis.Contract); err != nil {
		return nil, fmt.Errorf("initialising the contract: %w", err)
	}
	if err := a.configure(g.AppState, contractState{o}); err != nil {
		return nil, err
	}
	root, err := o.root(0)
	if err != nil {
		return nil, err
	}
	state, err := o.summed(nil)
	if err != nil {
		return nil, err
	}
	at := meta{State: state, AppHash: appHash(0, root, state)}
	if err := a.write(o, at); err != nil {
		return nil, err
	}
	a.at = at
	return at.AppHash, nil
}

// parseGenesis reads the application state and checks it against the chain.
func parseGenesis(g comet.Genesis) (Genesis, error) {
	var out Genesis
	if err := json.Unmarshal(g.AppState, &out); err != nil {
		return Genesis{}, fmt.Errorf("reading genesis: %w", err)
	}
	if out.Contract.Chain != g.ChainID {
		return Genesis{}, fmt.Errorf("genesis is for chain %s, this is %s", out.Contract.Chain, g.ChainID)
	}
	return out, out.Validate(g.Time)
}

// Check implements comet.Application: nothing enters the mempool that could not
// get a decision now (R7.1).
func (a *application) Check(tx []byte) *comet.Refusal {
	err := a.check(tx)
	var no *refusal
	switch {
	case errors.As(err, &no):
		return &comet.Refusal{Code: no.code, Log: no.Error()}
	case err != nil:
		a.log.Error("checking a transaction", "error", err)
		return &comet.Refusal{Code: codeStorage, Log: "the node's storage failed"}
	}
	return nil
}

func (a *application) check(raw []byte) error {
	tx, err := parseTransaction(raw)
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	a.mu.Lock()
	t := a.trust
	a.mu.Unlock()
	if tx.Kind == KindReady {
		var body Ready
		if err := parseBody(tx, &body); err != nil {
			return refuse(codeMalformed, "%w", err)
		}
		return a.checkReady(t, tx, body)
	}
	if err := t.checkSignature(a.cache, TxHash(raw), tx); err != nil {
		return err
	}
	switch tx.Kind {
	case KindOrder:
		return a.checkOrder(tx)
	case KindDecide:
		return a.checkDecide(tx)
	}
	return nil
}

// checkOrder keeps this node from a hand-over to keys that it doesn't hold; what
// counts of any other order a block says.
func (a *application) checkOrder(tx Transaction) error {
	var body SignedOrder
	var o contract.Order
	if a.mayHandOver == nil || parseBody(tx, &body) != nil || flow.Unmarshal(body.Order, &o) != nil || o.Kind != contract.KeysHandover {
		return nil
	}
	var h contract.Handover
	err := flow.Unmarshal(o.Body, &h)
	if err == nil {
		var said receipt.Handover
		if said, err = receipt.ParseHandover(h.Statement); err == nil {
			err = a.mayHandOver(said)
		}
	}
	if err != nil {
		return refuse(codeOrder, "handing the log's keys over: %w", err)
	}
	return nil
}

func (a *application) checkDecide(tx Transaction) error {
	var body Decide
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	return a.checkSubmission(body.Submission)
}

// checkSubmission says whether a submission could get a decision now.
func (a *application) checkSubmission(sub flow.Submission) error {
	h, err := sub.Open()
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	get := func(key string) ([]byte, error) { return a.db.Get([]byte(key)) }
	if err := known(get, h.ID, submissionDigest(sub)); err != nil {
		return err
	}
	a.mu.Lock()
	t := a.trust
	a.mu.Unlock()
	return t.checkSender(readState{a.db}, a.cache, sub, h)
}

// Finalize implements comet.Application: executes and stages.
func (a *application) Finalize(in comet.Block) (comet.Outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.newBlock(in)
	if len(in.Txs) > 0 { // nothing may happen in a block without transactions
		if err := b.begin(); err != nil {
			return comet.Outcome{}, fmt.Errorf("beginning block %d: %w", in.Height, err)
		}
	}
	results := make([]comet.Result, len(in.Txs))
	a.done = make([]result, len(in.Txs))
	for i, tx := range in.Txs {
		no, err := b.attempt(i, tx)
		if err != nil {
			return comet.Outcome{}, fmt.Errorf("block %d, transaction %d: %w", in.Height, i, err)
		}
		a.done[i] = result{hash: TxHash(tx), order: b.outcome}
		if no != nil {
			results[i] = comet.Result{Code: no.code, Log: no.Error()}
			a.done[i].err = no
		}
	}
	out := comet.Outcome{Results: results}
	if len(in.Txs) > 0 {
		var err error
		if out.Validators, err = b.turn(); err != nil {
			return comet.Outcome{}, fmt.Errorf("ending block %d: %w", in.Height, err)
		}
	}
	root, err := b.root(b.size)
	if err != nil {
		return comet.Outcome{}, err
	}
	state, err := b.summed(a.at.State)
	if err != nil {
		return comet.Outcome{}, fmt.Errorf("ending block %d: %w", in.Height, err)
	}
	a.block, a.root = b, root
	a.next = meta{Height: in.Height, Size: b.size, State: state, AppHash: appHash(b.size, root, state)}
	out.AppHash = a.next.AppHash
	return out, nil
}

// newBlock begins the execution of a block; mu must be held, or nothing else run.
func (a *application) newBlock(in comet.Block) *block {
	return &block{
		overlay: newOverlay(a.db), height: in.Height, now: in.Time.Unix(), size: a.at.Size,
		trust: a.trust, rules: a.rules, cache: a.cache, watch: a.watch,
		voted: voted(in.Voted),
	}
}

// attempt executes a transaction; a refused one leaves no change behind.
func (b *block) attempt(slot int, tx []byte) (*refusal, error) {
	b.mark()
	size, resolved, erased := b.size, b.resolved, b.erased
	b.outcome = contract.OrderOutcome{}
	err := b.execute(slot, tx)
	var no *refusal
	if errors.As(err, &no) {
		b.rollback()
		b.size, b.resolved, b.erased = size, resolved, erased
		return no, nil
	}
	return nil, err
}

// Commit implements comet.Application.
func (a *application) Commit() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := fault.Before(fault.Decision); err != nil {
		return err
	}
	if err := a.write(a.block.overlay, a.next); err != nil {
		return err
	}
	if err := fault.After(fault.Decision); err != nil {
		return err
	}
	grown := a.next.Size > a.at.Size
	a.at, a.rules = a.next, a.block.rules
	resolved, erased, handed := a.block.resolved, a.block.erased, a.block.handed
	a.block = nil
	if handed && a.handed != nil {
		a.handed()
	}
	if a.written != nil {
		if err := a.written(a.at); err != nil {
			return err
		}
	}
	if grown && a.signed != nil {
		if err := a.signed(a.at.Size, a.root); err != nil {
			return err
		}
	}
	for _, tx := range erased {
		if a.erased == nil {
			break
		}
		if err := a.erased(tx); err != nil {
			return err
		}
	}
	a.settle(a.done)
	if a.resolved != nil && resolved > 0 {
		a.resolved()
	}
	return nil
}

func (a *application) settle(done []result) {
	if a.settled != nil {
		a.settled(done)
	}
}

func (a *application) write(o *overlay, m meta) error {
	batch := a.db.NewBatch()
	defer batch.Close()
	for k, v := range o.changes {
		stage := func() error { return batch.Set([]byte(k), v) }
		if v == nil {
			stage = func() error { return batch.Delete([]byte(k)) }
		}
		if err := stage(); err != nil {
			return fmt.Errorf("staging block: %w", err)
		}
	}
	enc, err := flow.Marshal(m)
	if err != nil {
		return err
	}
	if err := batch.Set([]byte(metaName), enc); err != nil {
		return fmt.Errorf("staging block: %w", err)
	}
	if err := batch.WriteSync(); err != nil {
		return fmt.Errorf("writing block %d: %w", m.Height, err)
	}
	return nil
}

// position is where the committed log stands.
func (a *application) position() meta {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// appHash binds the log and all of the state, whose sum is given as it is stored.
func appHash(size int64, root tlog.Hash, state []byte) []byte {
	d := digest(state)
	h := flow.SumHash([]byte("signalbox/app/v2\n"), binary.BigEndian.AppendUint64(nil, uint64(size)), root[:], d[:])
	return h[:]
}

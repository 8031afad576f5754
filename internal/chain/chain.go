package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// Config is what a node of the supervision chain runs with.
type Config struct {
	Dir     string           // the node's own directory: keys, blocks, state
	Genesis Genesis          // used when Dir is new, and compared when it is not
	Begun   time.Time        // genesis time; used when Dir is new
	Signers []note.Signer    // the authority's log keys that the log began with; none on an observer
	Clock   func() time.Time // of proposals, which decisions are dated by; nil: time.Now
	Logger  *slog.Logger     // nil: discard
	Network *Network         // nil: the node is alone
	Archive Archived         // what pruned blocks held; nil: this node can't read it
	// Keep is how many of the newest blocks are never pruned; of the others those are
	// that the authority has archived. 0 keeps all. A block with a payload that was
	// erased by an officers' order goes in any case, once it is archived, with all before it.
	Keep      int64
	Snapshots Snapshots // of the state; the zero value takes none

	// Ring gives the signers of log keys that were handed over to, by their vkey
	// lines; nil: this node holds no others than Signers.
	Ring func(vkeys []string) ([]note.Signer, error)
	// Handed is told the log's keys when Run begins and whenever they were handed
	// over, for what is published of them; nil: nobody. It must not wait for the chain.
	Handed func(receipt.Keys)
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("supervision chain: directory is missing")
	}
	if c.Keep < 0 {
		return errors.New("supervision chain: blocks to keep: not below zero")
	}
	if s := c.Snapshots; s.Every < 0 || s.Every > 0 && s.Take == nil {
		return errors.New("supervision chain: snapshots: blocks between them: not below zero, and somebody must take them")
	}
	for _, s := range c.Signers {
		if s.Name() != c.Genesis.Contract.Chain {
			return fmt.Errorf("supervision chain: log key is named %s, the chain %s", s.Name(), c.Genesis.Contract.Chain)
		}
	}
	if n := c.Network; n != nil && (n.ID == "" || n.Random == nil || n.Key.Public().Use() != envelope.Signing) {
		return errors.New("supervision chain: network: the node's identity, its signing key or randomness is missing")
	}
	return c.Genesis.Validate(c.Begun)
}

// Chain is a node of the supervision chain. Its methods are safe for concurrent use.
type Chain struct {
	node        *comet.Node
	db          comet.KV
	app         *application
	checkpoints checkpoints
	id          string
	cfg         Config

	cosigning sync.Mutex // held while a line is added to a checkpoint

	waiting     comet.Waiters[flow.Hash, result]
	resolutions chan struct{}
	ready       chan struct{} // closed when Run takes transactions
	scrubbing   chan struct{} // see scrub
	copies      chan *Snapshot
	copying     atomic.Bool // a snapshot is being taken
}

// Open prepares a node in its directory; nothing runs before Run.
func Open(cfg Config) (*Chain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	seats, err := founders(cfg.Genesis.Contract)
	if err != nil {
		return nil, fmt.Errorf("supervision chain: %w", err)
	}
	state, err := cfg.Genesis.Encode()
	if err != nil {
		return nil, err
	}
	if err := settle(cfg.Dir); err != nil {
		return nil, err
	}
	db, err := comet.OpenKV(filepath.Join(cfg.Dir, "decisions"))
	if err != nil {
		return nil, fmt.Errorf("opening the supervision chain's state: %w", err)
	}
	app, err := newApplication(db, cfg.Logger)
	if err != nil {
		db.Close()
		return nil, err
	}
	c := &Chain{
		db: db, app: app, cfg: cfg, id: cfg.Genesis.Contract.Chain, ready: make(chan struct{}), resolutions: make(chan struct{}, 1),
		scrubbing: make(chan struct{}, 1),
		copies:    make(chan *Snapshot, 1),
		checkpoints: checkpoints{
			db: db, origin: cfg.Genesis.Contract.Chain, signers: cfg.Signers, ring: cfg.Ring, mu: new(sync.Mutex), known: new(logKeys),
		},
	}
	app.clock = cfg.Clock
	app.written = c.snapshot
	app.signed, app.settled, app.resolved = c.checkpoints.sign, c.settled, c.announce
	app.erased, app.handed = c.state, c.handed
	if len(cfg.Signers) > 0 {
		app.mayHandOver, app.lines = c.checkpoints.mayHandOver, c.signedByMembers
	}
	if app.member, err = newMember(cfg); err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the supervision chain: %w", err)
	}
	c.node, err = comet.New(comet.Config{
		Dir: nodeDir(cfg.Dir), ChainID: c.id, Genesis: state, GenesisTime: cfg.Begun,
		Validators: seats, Network: c.network(cfg.Network), Extensions: cfg.Genesis.MemberSignatures,
		Retain: c.retain,
		App:    app, Logger: cfg.Logger, Now: cfg.Clock, MaxTxBytes: MaxTx,
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the supervision chain: %w", err)
	}
	return c, nil
}

// Run takes part in the chain until ctx ends, then stops the node and closes
// its databases, in that order.
func (c *Chain) Run(ctx context.Context) error {
	defer c.db.Close()
	if err := c.checkpoints.ensure(c.app.position().Size); err != nil {
		return fmt.Errorf("signing the present checkpoint: %w", err)
	}
	if err := c.stateAll(); err != nil {
		return fmt.Errorf("stating what was erased: %w", err)
	}
	c.handed()
	if err := c.node.Start(ctx); err != nil {
		return fmt.Errorf("starting the supervision chain: %w", err)
	}
	close(c.ready)
	beside, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { c.scrubs(beside) })
	work.Go(func() { c.snapshots(beside) })
	if c.cfg.Network != nil {
		work.Go(func() { c.attend(beside) })
		work.Go(func() { c.answer(beside) })
	}
	defer work.Wait()
	defer stop()
	if err := c.node.Run(ctx); err != nil {
		return fmt.Errorf("running the supervision chain: %w", err)
	}
	return nil
}

// handed tells of the log's keys, where they were ever handed over.
func (c *Chain) handed() {
	keys, err := c.LogKeys()
	switch {
	case err != nil:
		c.cfg.Logger.Error("reading the log's keys", "error", err)
	case keys.Known() > 0 && c.cfg.Handed != nil:
		c.cfg.Handed(keys)
	}
}

// LogKeys are the log's keys as the chain knows them, with every hand-over; none
// where genesis named none and they were never handed over.
func (c *Chain) LogKeys() (receipt.Keys, error) { return c.checkpoints.keys() }

func nodeDir(dir string) string { return filepath.Join(dir, "node") }

func (c *Chain) now() time.Time { return c.cfg.Clock() }

// Close releases a node that was opened and is not to run.
func (c *Chain) Close() error { return errors.Join(c.node.Close(), c.db.Close()) }

// Ready is closed when Run takes transactions.
func (c *Chain) Ready() <-chan struct{} { return c.ready }

// ID is the chain's id, the origin of its log.
func (c *Chain) ID() string { return c.id }

// Errors of Submit, Decide and Check.
var (
	// ErrRefused: the chain does not take the transaction or submission.
	ErrRefused = errors.New("refused by the supervision chain")
	// ErrSender: the submission is not from an admitted platform, so it gets no decision (R7.1).
	ErrSender = errors.New("submission is not from an admitted platform")
	// ErrConflict: another submission, or another anchor, stands under the same id.
	ErrConflict = errors.New("conflicts with what stands on the supervision chain")
	// ErrKnown: the submission has its decision already.
	ErrKnown = errors.New("already decided on the supervision chain")
)

// outcome turns a result code into an error of this package; nil for none.
func outcome(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return err
	}
	kind := ErrRefused
	switch no.code {
	case codeSender:
		kind = ErrSender
	case codeConflict:
		kind = ErrConflict
	case codeKnown:
		kind = ErrKnown
	}
	return fmt.Errorf("%w: %w", kind, no)
}

// Submit puts a transaction on the chain and returns when its block is durable
// and signed. When ctx ends first, the outcome is unknown.
func (c *Chain) Submit(ctx context.Context, tx []byte) error {
	_, err := c.submit(ctx, tx)
	return err
}

func (c *Chain) submit(ctx context.Context, tx []byte) (result, error) {
	hash := TxHash(tx)
	wait := c.waiting.Register(hash)
	defer wait.Cancel()
	got, err := comet.Await(ctx, c.node, tx, wait)
	var no *comet.Refusal
	switch {
	case errors.As(err, &no):
		return result{}, outcome(&refusal{no.Code, errors.New(no.Log)})
	case err != nil:
		return result{}, fmt.Errorf("waiting for transaction %s: %w", hash, err)
	}
	return got, outcome(got.err)
}

// Order submits a transaction of KindOrder and gives what the order brought
// about. One that may not be carried out is a *contract.OrderRefused.
func (c *Chain) Order(ctx context.Context, tx []byte) (contract.OrderOutcome, error) {
	got, err := c.submit(ctx, tx)
	return got.order, err
}

// Resolutions gives something when holds may have been resolved since the last
// look. It is a hint that makes looking quick; Resolved is what there is.
func (c *Chain) Resolutions() <-chan struct{} { return c.resolutions }

func (c *Chain) announce() {
	select {
	case c.resolutions <- struct{}{}:
	default: // one waits
	}
}

// Decide submits a transaction of KindDecide for the submission id and gives
// the decision: its own, or the one that the submission got before.
func (c *Chain) Decide(ctx context.Context, id flow.ID, tx []byte) (Decided, error) {
	if err := c.Submit(ctx, tx); err != nil && !errors.Is(err, ErrKnown) {
		return Decided{}, err
	}
	return c.BySubmission(id)
}

// Check says whether a submission could get a decision now: nil, ErrKnown,
// ErrConflict, ErrSender or ErrRefused. A signature found good here is not
// checked again in consensus by this node.
func (c *Chain) Check(sub flow.Submission) error { return outcome(c.app.checkSubmission(sub)) }

func (c *Chain) settled(done []result) {
	for _, r := range done {
		c.waiting.Deliver(r.hash, r)
	}
}

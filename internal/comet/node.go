package comet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"
)

// Errors of a node.
var (
	ErrStopped = errors.New("the chain's node is not running")
	ErrNoBlock = errors.New("no such block")
)

// Node is one node of one chain. All methods are safe for concurrent use.
type Node struct {
	cfg      Config
	app      *abciApp
	stopped  chan struct{} // closed when the node begins to stop
	failed   chan struct{} // closed when it has failed; failure is set before
	failure  error
	failing  sync.Once
	commits  int // of consensus alone
	stopping atomic.Bool
	gone     atomic.Bool // the databases are being closed

	mu      sync.RWMutex // guards what follows; held for reading while the node is used
	state   lifecycle
	inner   *node.Node
	dbs     []KV
	states  KV // one of dbs: of the validators at each height
	lock    *os.File
	closing error

	submits  submits
	dialling sync.WaitGroup // of Network's peers
}

type lifecycle int

const (
	created lifecycle = iota
	running
	closed
)

// New checks the configuration. It touches no file and starts nothing.
func New(c Config) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	n := &Node{
		cfg:     c,
		app:     &abciApp{app: c.App, now: c.Now, admit: c.Network.admits()},
		stopped: make(chan struct{}),
		failed:  make(chan struct{}),
	}
	n.app.keep, n.app.carried = n.retain, n.carried
	return n, nil
}

// Start opens the directory, gives the application the blocks that it has not
// committed yet, and begins to make blocks. ctx bounds the start alone. A
// directory in use is ErrInUse. After an error the node is closed.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != created {
		return errors.New("starting node: it was started before")
	}
	if err := n.start(ctx); err != nil {
		n.close()
		return fmt.Errorf("starting node of chain %s: %w", n.cfg.ChainID, err)
	}
	n.state = running
	return nil
}

func (n *Node) start(ctx context.Context) (err error) {
	if err := makeDirs(n.cfg.Dir, dataDir(n.cfg.Dir)); err != nil {
		return err
	}
	if n.lock, err = lockDir(n.cfg.Dir, false); err != nil {
		return err
	}
	key, err := validator(n.cfg.Dir)
	if err != nil {
		return err
	}
	if err := n.assemble(ctx, key); err != nil {
		return err
	}
	if id := n.inner.GenesisDoc().ChainID; id != n.cfg.ChainID {
		return fmt.Errorf("directory %s holds chain %s", n.cfg.Dir, id)
	}
	if err := n.app.resume(n.inner.BlockStore()); err != nil {
		return err
	}
	if n.cfg.Network != nil {
		if err := n.inner.OnStart(); err != nil {
			return fmt.Errorf("starting consensus and taking connections at %s: %w", n.cfg.Network.Listen, err)
		}
		sw, own := n.inner.Switch(), string(n.inner.NodeInfo().ID())
		for _, p := range n.cfg.Network.Peers {
			n.dialling.Go(func() { n.keepConnected(sw, own, p) })
		}
		return nil
	}
	// Not the node's OnStart, which would listen for peers besides. The switch
	// starts mempool and consensus; close calls the node's OnStop to match both.
	if err := n.inner.Switch().Start(); err != nil {
		return fmt.Errorf("starting consensus: %w", err)
	}
	return nil
}

// assemble makes CometBFT's node, which includes the handshake that replays
// blocks into the application. CometBFT panics where both disagree.
func (n *Node) assemble(ctx context.Context, key *privval.FilePV) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("chain and application state do not fit together: %s", short(p))
		}
	}()
	name, err := nodeKey(n.cfg.Dir)
	if err != nil {
		return err
	}
	settings := n.cfg.settings()
	// Consensus reads it where it calls the application, after each block.
	n.app.rest = &settings.Consensus.TimeoutCommit
	n.inner, err = node.NewNodeWithContext(ctx, settings, key, name,
		proxy.NewConnSyncLocalClientCreator(n.app), n.genesis(key), n.openDB,
		node.DefaultMetricsProvider(cfg.DefaultInstrumentationConfig()),
		logger{to: n.cfg.Logger, stopping: &n.stopping, failed: n.fail})
	return err
}

// genesis is asked for when the directory is new.
func (n *Node) genesis(key *privval.FilePV) node.GenesisDocProvider {
	return func() (*types.GenesisDoc, error) {
		state := n.cfg.Genesis
		if len(state) > 0 {
			var err error
			if state, err = json.Marshal(state); err != nil { // as it will be read back, byte for byte
				return nil, fmt.Errorf("encoding genesis: %w", err)
			}
		}
		at := n.cfg.GenesisTime
		if at.IsZero() {
			at = n.cfg.Now()
		}
		params := types.DefaultConsensusParams()
		params.Block.MaxBytes = n.cfg.MaxBlockBytes
		params.Evidence.MaxAgeNumBlocks, params.Evidence.MaxAgeDuration = evidenceBlocks, evidenceTime
		if n.cfg.Extensions {
			params.ABCI.VoteExtensionsEnableHeight = 1
		}
		params.Evidence.MaxBytes = min(params.Evidence.MaxBytes, n.cfg.MaxBlockBytes)
		return &types.GenesisDoc{
			ChainID:         n.cfg.ChainID,
			GenesisTime:     at.UTC(),
			ConsensusParams: params,
			Validators:      n.validators(key),
			AppState:        state,
		}, nil
	}
}

// validators are those of the genesis.
func (n *Node) validators(own *privval.FilePV) []types.GenesisValidator {
	if len(n.cfg.Validators) == 0 {
		return []types.GenesisValidator{{PubKey: own.Key.PubKey, Power: 1}}
	}
	var all []types.GenesisValidator
	for _, v := range n.cfg.Validators {
		all = append(all, types.GenesisValidator{PubKey: ed25519.PubKey(v.Key), Power: v.Power})
	}
	return all
}

func (n *Node) openDB(c *cfg.DBContext) (KV, error) {
	kv, err := OpenKV(dataDir(n.cfg.Dir) + "/" + c.ID)
	if err != nil {
		return nil, err
	}
	n.dbs = append(n.dbs, kv) // Start holds n.mu
	if c.ID == "state" {      // the blocks' is opened first
		n.states = kv
		if err := goesOn(n.dbs[0], kv); err != nil {
			return nil, err
		}
	}
	return keptOpen{kv, &n.gone}, nil
}

// Run starts the node unless it has been started, waits until ctx ends or the
// node fails, and closes it. It returns nil when ctx ended it, what stopped the
// chain when that failed, and ErrStopped when Close was called from elsewhere.
func (n *Node) Run(ctx context.Context) error {
	n.mu.RLock()
	state := n.state
	n.mu.RUnlock()
	if state == created {
		if err := n.Start(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // ended while it was starting
			}
			return err
		}
	}
	select {
	case <-ctx.Done():
	case <-n.stopped:
	case <-n.failed:
	}
	err := n.Close()
	select {
	case <-n.failed: // however it ended, this is worth knowing
		return errors.Join(fmt.Errorf("chain %s: %w", n.cfg.ChainID, n.failure), err)
	default:
	}
	if ctx.Err() == nil && err == nil {
		return ErrStopped // closed by someone else
	}
	return err
}

// Failed is closed when the chain has stopped by itself, for owners that call Start
// alone; Run says why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// fail is called from CometBFT's goroutines and must not wait for any of them.
func (n *Node) fail(reason error) {
	n.failing.Do(func() {
		if err := n.app.failure(); err != nil {
			reason = err
		}
		n.failure = reason
		close(n.failed)
	})
}

// Close stops the node and releases its directory. What was submitted and not
// yet in a block is forgotten. It may be called more than once; after it the
// application is not called any more.
func (n *Node) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.close()
	return n.closing
}

// close needs n.mu. Order: consensus and mempool, then connections to the
// application, then databases, then the lock.
func (n *Node) close() {
	if n.state == closed {
		return
	}
	n.stopping.Store(true)
	close(n.stopped)
	var errs []error
	if n.inner != nil {
		errs = append(errs, stop(n.inner))
	}
	n.dialling.Wait() // a dial ends with the transport
	n.gone.Store(true)
	for _, kv := range n.dbs {
		errs = append(errs, kv.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	n.state, n.inner, n.dbs, n.lock = closed, nil, nil, nil
	if err := errors.Join(errs...); err != nil {
		n.closing = fmt.Errorf("closing node of chain %s: %w", n.cfg.ChainID, err)
	}
}

func stop(inner *node.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("stopping consensus: %s", short(p))
		}
	}()
	inner.OnStop()
	if err := inner.ProxyApp().Stop(); err != nil {
		return fmt.Errorf("stopping the application's connections: %w", err)
	}
	return nil
}

// Height is the last block's, 0 before the first and when the node is not running.
func (n *Node) Height() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return 0
	}
	return n.inner.BlockStore().Height()
}

// Block reads a stored block. A height that the node does not have is ErrNoBlock.
func (n *Node) Block(height int64) (Stored, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return Stored{}, ErrStopped
	}
	return loadStored(n.inner.BlockStore(), height)
}

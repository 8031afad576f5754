package comet

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/types"
)

// Config describes a node. Dir, ChainID and App are needed; the rest has
// defaults.
type Config struct {
	Dir     string      // the node's own directory; made when it does not exist
	ChainID string      // 1 to 50 characters; fixed when Dir is new
	App     Application // not shared with another node

	// Genesis is the application's genesis state, any JSON. It is used when Dir
	// is new and disregarded later.
	Genesis json.RawMessage
	// GenesisTime is the chain's beginning; the default is Now.
	GenesisTime time.Time

	// Validators vote from the beginning; none is this node alone. Used when Dir is
	// new, where it must be the same on every node.
	Validators []Validator
	Network    *Network // nil: this node has no peers
	// Extensions has votes carry what App, then an Extender, gives to them. Fixed when
	// Dir is new, and the same on every node.
	Extensions bool

	Logger *slog.Logger     // nil discards; CometBFT's warnings and errors go here, without payloads
	Now    func() time.Time // the proposer's clock; nil is time.Now

	// Retain is asked at commits, with the lowest and the highest height whose block is
	// kept: blocks below the height that it gives may go, a step at a time; 0 is none.
	// nil keeps all blocks. It must not wait.
	Retain func(base, height int64) int64

	MaxTxBytes    int   // largest transaction; 0 is 2 MiB
	MaxBlockBytes int64 // largest block, fixed when Dir is new; 0 is 16 MiB
	MaxPending    int   // transactions waiting for a block, beyond which Submit waits; 0 is 20000
}

const (
	defaultMaxTx    = 2 << 20
	defaultMaxBlock = 16 << 20
	defaultPending  = 20_000
	// blockOverhead is left in a block for header, commit and clock.
	blockOverhead = 64 << 10
)

// Validate says what is wrong with c, naming the field.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Dir == "":
		return errors.New("comet config: Dir is empty")
	case c.ChainID == "" || len(c.ChainID) > types.MaxChainIDLen:
		return fmt.Errorf("comet config: ChainID: want 1 to %d characters", types.MaxChainIDLen)
	case c.App == nil:
		return errors.New("comet config: App is missing")
	case c.Extensions && !extends(c.App):
		return errors.New("comet config: Extensions: App is no Extender")
	case len(c.Genesis) > 0 && !json.Valid(c.Genesis):
		return errors.New("comet config: Genesis is not JSON")
	case c.MaxTxBytes < 0 || c.MaxPending < 0:
		return errors.New("comet config: MaxTxBytes and MaxPending can't be negative")
	case c.MaxBlockBytes > types.MaxBlockSizeBytes:
		return fmt.Errorf("comet config: MaxBlockBytes: at most %d", types.MaxBlockSizeBytes)
	case int64(c.MaxTxBytes)+blockOverhead > c.MaxBlockBytes:
		return fmt.Errorf("comet config: a transaction of MaxTxBytes (%d) does not fit into a block of MaxBlockBytes (%d)", c.MaxTxBytes, c.MaxBlockBytes)
	}
	return errors.Join(c.Network.validate(), validateValidators(c.Validators))
}

func extends(a Application) bool {
	_, ok := a.(Extender)
	return ok
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxTxBytes == 0 {
		c.MaxTxBytes = defaultMaxTx
	}
	if c.MaxBlockBytes == 0 {
		c.MaxBlockBytes = defaultMaxBlock
	}
	if c.MaxPending == 0 {
		c.MaxPending = defaultPending
	}
	return c
}

// The node's files below Config.Dir.
func lockFile(dir string) string { return filepath.Join(dir, "lock") }
func dataDir(dir string) string  { return filepath.Join(dir, "data") }
func walFile(dir string) string  { return filepath.Join(dir, "data", "cs.wal", "wal") }
func keyFile(dir string) string  { return filepath.Join(dir, "validator-key.json") }
func voteFile(dir string) string { return filepath.Join(dir, "data", "validator-state.json") }
func peerFile(dir string) string { return filepath.Join(dir, "node-key.json") }

// farAhead is longer than any clock is wrong.
const farAhead = 100 * 365 * 24 * time.Hour

// settings are CometBFT's own: blocks as soon as there is something in them, no
// RPC, no index; and no peers, unless Network has some.
func (c Config) settings() *cfg.Config {
	s := cfg.DefaultConfig().SetRoot(c.Dir)
	s.Moniker = "signalbox"
	s.PrivValidatorKey, s.PrivValidatorState, s.NodeKey = keyFile(c.Dir), voteFile(c.Dir), peerFile(c.Dir)
	s.DBPath = dataDir(c.Dir)

	s.RPC.ListenAddress = ""
	s.P2P.ListenAddress = "tcp://127.0.0.1:0" // named in the node's info only: nothing listens, see Node.start
	s.P2P.PexReactor = false
	s.P2P.MaxNumInboundPeers, s.P2P.MaxNumOutboundPeers = 0, 0
	s.P2P.AddrBook = filepath.Join(c.Dir, "data", "addresses.json")

	s.Consensus.WalPath = walFile(c.Dir)
	s.Consensus.TimeoutCommit = 0 // a block sets what comes after it, see pace
	s.Consensus.SkipTimeoutCommit = false
	s.Consensus.CreateEmptyBlocks = false
	// The block's own time is in clock.go, where a clock that was set back is
	// borne. CometBFT would make no block until the old time comes again.
	s.Consensus.BlockTimeTolerance = farAhead

	s.Mempool.Recheck = false // Finalize judges again anyway
	s.Mempool.Size = c.MaxPending
	s.Mempool.CacheSize = 2 * c.MaxPending
	s.Mempool.MaxTxBytes = c.MaxTxBytes
	s.Mempool.MaxTxsBytes = max(256<<20, 4*c.MaxBlockBytes)

	s.TxIndex.Indexer = "null"
	s.Storage.DiscardABCIResponses = true
	if c.Network != nil {
		c.Network.join(s)
	}
	return s
}

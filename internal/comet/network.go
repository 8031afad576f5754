package comet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	wire "github.com/cometbft/cometbft/proto/tendermint/mempool"
	"github.com/cometbft/cometbft/types"
)

// Network makes a node one of several. Connections between nodes are CometBFT's
// own: encrypted, and each side proves the key that its id is the hash of.
type Network struct {
	Listen string // host:port to take connections at
	Peers  []Peer // nodes to keep connected to

	// Admit says whether a node may be connected; it is asked with the node's id
	// (40 hexadecimal digits) at every connection, in either direction. An error is
	// why not. It must not wait for the chain.
	Admit func(id string) error
}

// Peer is another node.
type Peer struct {
	ID   string // 40 hexadecimal digits
	Addr string // host:port
}

// Validator is a key that votes, and with which weight.
type Validator struct {
	Key   []byte // Ed25519, 32 bytes
	Power int64  // 0 takes the vote away
}

// Keys are the public halves of a node's own.
type Keys struct {
	ID        string // names the node to its peers
	Validator []byte // Ed25519, 32 bytes; votes are signed with it
}

// MakeKeys draws a new node's keys, or reads those of one that has them, so that
// they can be certified and stand in a genesis before the node first runs.
func MakeKeys(dir string) (Keys, error) {
	if err := makeDirs(dir, dataDir(dir)); err != nil {
		return Keys{}, fmt.Errorf("making a node's keys: %w", err)
	}
	key, err := validator(dir)
	if err != nil {
		return Keys{}, fmt.Errorf("making a node's keys: %w", err)
	}
	name, err := nodeKey(dir)
	if err != nil {
		return Keys{}, fmt.Errorf("making a node's keys: %w", err)
	}
	return Keys{ID: string(name.ID()), Validator: key.Key.PubKey.Bytes()}, nil
}

// AddressSize is how many bytes name a validator in a block: the first of its
// key's SHA-256.
const AddressSize = 20

// Voted says of a validator whether it signed the block before.
type Voted struct {
	Address []byte // AddressSize bytes
	Power   int64
	Signed  bool
}

// admits is who decides about connections; nil for nobody.
func (n *Network) admits() func(string) error {
	if n == nil {
		return nil
	}
	return n.Admit
}

func (n *Network) validate() error {
	if n == nil {
		return nil
	}
	if _, _, err := net.SplitHostPort(n.Listen); err != nil {
		return fmt.Errorf("comet config: Network.Listen: %w", err)
	}
	if n.Admit == nil {
		return errors.New("comet config: Network.Admit is missing: say which nodes may connect")
	}
	for _, p := range n.Peers {
		if err := CheckID(p.ID); err != nil {
			return fmt.Errorf("comet config: Network.Peers: %w", err)
		}
		if _, _, err := net.SplitHostPort(p.Addr); err != nil {
			return fmt.Errorf("comet config: Network.Peers: %w", err)
		}
	}
	return nil
}

// CheckID says what is wrong with a node's id to others.
func CheckID(id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != p2p.IDByteLength {
		return fmt.Errorf("%.60q is no node id: want %d hexadecimal digits", id, 2*p2p.IDByteLength)
	}
	return nil
}

func validateValidators(all []Validator) error {
	for _, v := range all {
		if len(v.Key) != ed25519.PubKeySize || v.Power < 1 {
			return fmt.Errorf("comet config: Validators: want keys of %d bytes with a power of 1 or more", ed25519.PubKeySize)
		}
	}
	return nil
}

// Gossip and timeouts of a chain with several validators. A round that meets a
// dead proposer costs proposeTimeout before the next one proposes.
const (
	gossipSleep     = 2 * time.Millisecond
	flushThrottle   = time.Millisecond
	proposeTimeout  = 400 * time.Millisecond
	voteTimeout     = 100 * time.Millisecond
	timeoutDelta    = 100 * time.Millisecond // longer by this in every further round
	handshakeWait   = 5 * time.Second
	redial          = time.Second // between two attempts to connect to a node
	patience        = 3 * redial  // of the node whose turn to dial it is not
	maxInboundPeers = 128
)

// join sets what nodes of several validators have beyond one alone.
func (n *Network) join(s *cfg.Config) {
	s.FilterPeers = true
	s.P2P.ListenAddress = "tcp://" + n.Listen
	s.P2P.MaxNumInboundPeers, s.P2P.MaxNumOutboundPeers = maxInboundPeers, len(n.Peers)
	s.P2P.AddrBookStrict, s.P2P.AllowDuplicateIP = false, true
	s.P2P.FlushThrottleTimeout = flushThrottle
	s.P2P.HandshakeTimeout, s.P2P.DialTimeout = handshakeWait, handshakeWait
	s.Consensus.PeerGossipSleepDuration = gossipSleep
	s.Consensus.TimeoutPropose, s.Consensus.TimeoutProposeDelta = proposeTimeout, timeoutDelta
	s.Consensus.TimeoutPrevote, s.Consensus.TimeoutPrevoteDelta = voteTimeout, timeoutDelta
	s.Consensus.TimeoutPrecommit, s.Consensus.TimeoutPrecommitDelta = voteTimeout, timeoutDelta
}

// keepConnected dials a peer whenever there is no connection to it, until the node
// stops. CometBFT's own way of doing so waits for five seconds and longer. When
// two nodes dial each other at once both connections may be turned away as the
// second one, so the node with the smaller id dials first.
func (n *Node) keepConnected(sw p2p.Switcher, own string, to Peer) {
	every := redial
	if own > to.ID {
		every = patience
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		if !(first && own > to.ID) && !sw.Peers().Has(p2p.ID(to.ID)) && n.cfg.Network.Admit(to.ID) == nil {
			if err := dial(sw, to); err != nil {
				n.cfg.Logger.Debug("connecting to another node", "node", to.ID, "error", err)
			}
		}
		select {
		case <-n.stopped:
			return
		case <-tick.C:
		}
	}
}

func dial(sw p2p.Switcher, to Peer) error {
	addr, err := p2p.NewNetAddressString(to.ID + "@" + to.Addr) // resolves the name anew
	if err != nil {
		return err
	}
	return sw.DialPeerWithAddress(addr)
}

// filterByID is the path under which CometBFT asks whether a node may connect.
const filterByID = "/p2p/filter/id/"

// codeNotAdmitted turns a node away.
const codeNotAdmitted = 1

// Query answers nothing but CometBFT's question who may connect (R7.1).
func (a *abciApp) Query(_ context.Context, r *abci.RequestQuery) (*abci.ResponseQuery, error) {
	id, ok := strings.CutPrefix(r.Path, filterByID)
	if !ok {
		return &abci.ResponseQuery{}, nil // the address alone says nothing
	}
	if a.admit == nil {
		return &abci.ResponseQuery{Code: codeNotAdmitted, Log: "this node has no peers"}, nil
	}
	if err := a.admit(id); err != nil {
		return &abci.ResponseQuery{Code: codeNotAdmitted, Log: err.Error()}, nil
	}
	return &abci.ResponseQuery{}, nil
}

// spread sends a transaction that was submitted before to every node once more.
// A node that is still catching up with the chain drops what it is sent, and
// CometBFT sends nothing twice: without this, a transaction that nobody but its
// node knows waits until another comes, since no empty blocks are made. n.mu is
// held.
func (n *Node) spread(tx []byte) {
	if n.cfg.Network == nil {
		return
	}
	message := p2p.Envelope{ChannelID: mempool.MempoolChannel, Message: &wire.Txs{Txs: [][]byte{tx}}}
	for _, p := range n.inner.Switch().Peers().Copy() {
		p.TrySend(message) // a queue that is full will be tried again
	}
}

// Connected lists the ids of the nodes that are connected now.
func (n *Node) Connected() []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return nil
	}
	var ids []string
	for _, p := range n.inner.Switch().Peers().Copy() {
		ids = append(ids, string(p.ID()))
	}
	return ids
}

// Disconnect ends the connection to a node, if there is one. What keeps it from
// coming back is Network.Admit.
func (n *Node) Disconnect(id string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return
	}
	sw := n.inner.Switch()
	if p := sw.Peers().Get(p2p.ID(id)); p != nil {
		sw.StopPeerGracefully(p)
	}
}

// updates are validators as CometBFT takes them.
func updates(all []Validator) []abci.ValidatorUpdate {
	var out []abci.ValidatorUpdate
	for _, v := range all {
		out = append(out, abci.UpdateValidator(v.Key, v.Power, ed25519.KeyType))
	}
	return out
}

// votes are what a commit says of the validators of the block before.
func votes(c abci.CommitInfo) []Voted {
	out := make([]Voted, len(c.Votes))
	for i, v := range c.Votes {
		out[i] = Voted{Address: v.Validator.Address, Power: v.Validator.Power, Signed: int32(v.BlockIdFlag) != int32(types.BlockIDFlagAbsent)}
	}
	return out
}

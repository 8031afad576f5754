package party

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/config"
)

// GenesisFile is what a supervision chain begins with: genesis.json in the
// authority's folder, copied to every site. Nothing in it is secret.
const GenesisFile = "genesis.json"

// maxGenesis bounds a genesis file, in bytes.
const maxGenesis = 16 << 20

// Genesis is genesis.json.
type Genesis struct {
	Begun time.Time     `json:"begun"`
	Chain chain.Genesis `json:"genesis"`
	Peers []Place       `json:"peers,omitempty"` // of a chain of several nodes: where the first ones are
}

// Place is where a node is reached.
type Place struct {
	ID      string `json:"id"`
	Network string `json:"network"`
	Address string `json:"address"`
}

// Fingerprint names what the chain begins with, not where its nodes are: they
// can move. Sites and authority compare it by another way than files.
func (g Genesis) Fingerprint() (flow.Hash, error) {
	state, err := g.Chain.Encode()
	if err != nil {
		return flow.Hash{}, err
	}
	return flow.SumHash(flow.Frame("signalbox/genesis/v1\n", []byte(g.Begun.UTC().Format(time.RFC3339)), state)), nil
}

// Encode gives the file.
func (g Genesis) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding genesis: %w", err)
	}
	return append(data, '\n'), nil
}

// ReadGenesis reads a genesis file and checks that it holds together.
func ReadGenesis(file string) (Genesis, error) {
	var g Genesis
	data, err := os.ReadFile(file)
	if err != nil {
		return g, fmt.Errorf("reading genesis: %w", err)
	}
	if err := decodeStrictly(data, maxGenesis, &g); err != nil {
		return g, fmt.Errorf("reading %s: %w", file, err)
	}
	if err := g.Chain.Validate(g.Begun); err != nil {
		return g, fmt.Errorf("reading %s: %w", file, err)
	}
	return g, nil
}

// Holds checks what genesis says of a node, where it names it: that the key of
// its identity and the node's own keys are these.
func (g Genesis) Holds(own OwnSite) error {
	for _, n := range g.Chain.Contract.Nodes {
		if n.ID == own.ID && (n.Network != own.Network || string(n.Vote) != string(own.Vote)) {
			return fmt.Errorf("genesis has other keys for node %s: its node.json was taken from another folder", own.ID)
		}
	}
	for _, i := range g.Chain.Contract.Identities {
		if i.ID == own.ID && i.Key != own.Request.Signing.ID() {
			return fmt.Errorf("genesis has another signing key for %s %s", i.Role, own.ID)
		}
	}
	return nil
}

// Join is the network of a node: at listen, and with the peers, or where there
// are none with those of genesis.
func (g Genesis) Join(own OwnSite, listen string, peers []Peer) (*chain.Network, error) {
	suite := g.Chain.Contract.Suite
	if s := own.Key.Public().Suite(); s != suite {
		return nil, fmt.Errorf("the chain's suite is %s, the keys of node %s are of %s: make them anew with --suite %s", suite, own.ID, s, suite)
	}
	if len(g.Chain.Contract.Nodes) == 0 {
		return nil, errors.New("this chain began with one validator alone and has no other nodes: genesis names none")
	}
	if err := g.Holds(own); err != nil {
		return nil, err
	}
	n := &chain.Network{ID: own.ID, Key: own.Key, Random: rand.Reader, Listen: listen}
	for _, p := range peers {
		n.Peers = append(n.Peers, comet.Peer{ID: p.Network, Addr: p.Address})
	}
	if len(peers) == 0 {
		for _, p := range g.Peers {
			if p.Network != own.Network {
				n.Peers = append(n.Peers, comet.Peer{ID: p.Network, Addr: p.Address})
			}
		}
	}
	return n, nil
}

// Chain is the section `chain` of the authority.
type Chain struct {
	Listen string `yaml:"listen" form:"host:port" doc:"Where other nodes of the supervision chain reach this one." zh:"监管链其他节点访问本节点的地址。"`
	Peers  []Peer `yaml:"peers" doc:"Nodes to keep connected to. None: those that genesis names, where it says." zh:"保持连接的节点。不填则为创世文件中列出的节点。"`
}

// Peer is another node of the supervision chain.
type Peer struct {
	Network string `yaml:"network" required:"true" doc:"The node's id to other nodes, 40 hexadecimal digits, as its node.json has it." zh:"该节点的网络标识（40 位十六进制），见其 node.json。"`
	Address string `yaml:"address" required:"true" form:"host:port" doc:"Where it is reached." zh:"该节点的访问地址。"`
}

// CheckPeers says which peer is unfit, under key.
func CheckPeers(key string, peers []Peer) error {
	for i, p := range peers {
		if err := comet.CheckID(p.Network); err != nil {
			return config.Bad(fmt.Sprintf("%s[%d].network", key, i), "%v", err)
		}
		for j, q := range peers[:i] {
			if q.Network == p.Network {
				return config.Bad(fmt.Sprintf("%s[%d].network", key, i), "is that of %s[%d] already", key, j)
			}
		}
	}
	return nil
}

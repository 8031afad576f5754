package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/ledger/remote"
)

// Role is what the folder's card says.
const Role = "ledger"

const genesisFile = "genesis.json"

// ChainDir is the folder of the business chain's node.
func ChainDir(dir party.Dir) string { return dir.Path("chain") }

func keyFile(dir party.Dir) string { return dir.Path("keys", "ledger.pem") }

// Found makes the business chain's folder: its key, whose pin it gives, and its
// genesis. From the authority it takes no more than public keys (R7.2).
func Found(dir party.Dir, network string, authority party.Trust, platforms []Platform, passphrase []byte) (flow.Hash, error) {
	g := embedded.Genesis{Network: network, Supervision: authority.Chain, AuthorityKeys: authority.Log}
	for _, p := range platforms {
		g.Platforms = append(g.Platforms, p.ID)
	}
	if err := g.Validate(); err != nil {
		return flow.Hash{}, err
	}
	data, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return flow.Hash{}, fmt.Errorf("composing genesis: %w", err)
	}
	k, err := party.MakeTransport(keyFile(dir), passphrase)
	if err != nil {
		return flow.Hash{}, err
	}
	pin, err := remote.Pin(k.Public())
	return pin, errors.Join(err, dir.Write(append(data, '\n'), genesisFile), dir.WriteCard(party.Card{ID: network, Role: Role, Suite: authority.Suite}))
}

// ReadGenesis reads what the chain began with.
func ReadGenesis(dir party.Dir) (embedded.Genesis, error) {
	data, err := dir.Read(genesisFile)
	if err != nil {
		return embedded.Genesis{}, err
	}
	var g embedded.Genesis
	if err := json.Unmarshal(data, &g); err != nil {
		return embedded.Genesis{}, fmt.Errorf("reading %s: %w", dir.Path(genesisFile), err)
	}
	return g, g.Validate()
}

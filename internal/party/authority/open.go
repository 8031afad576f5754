package authority

import (
	"cmp"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/envelope"
	role "signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
)

// Open reads the authority's folder and wires it as a process of its own. The
// CA's key is not among what it reads.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	keys, identity, err := open(dir, c.PassphraseFile, clock)
	if err != nil {
		return nil, err
	}
	b, err := readGenesis(dir)
	if err != nil {
		return nil, err
	}
	network, err := joinNodes(c, dir, b)
	if err != nil {
		return nil, err
	}
	register, err := openRegister(c.Licences, c.TrialLicences)
	if err != nil {
		return nil, err
	}
	business, err := prescription.New(prescription.Config{})
	if err != nil {
		return nil, err
	}
	witnesses, err := c.witnesses()
	if err != nil {
		return nil, err
	}
	var p *Party // set before any link is made
	nodes, err := reach(c.Nodes, identity, log, func(node link.Peer) error { return p.admitsNode(node) })
	if err != nil {
		return nil, err
	}
	p, err = New(Parts{
		Dir: dir, Keys: keys, Genesis: b.Chain, Begun: b.Begun, Network: network, SubjectKey: role.SubjectKeyMode(c.SubjectKey),
		Register: register, Profiles: []profile.Profile{business}, Nodes: nodes.Directory, Links: nodes.Layers(), Archive: c.Archive, Snapshots: c.Snapshots,
		Witnesses: witnesses, Public: c.Public,
		Clock: clock, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	return &party.Process{
		Role: "authority", Layers: p.Layers(),
		Unready:   func() string { return cmp.Or(nodes.Unready(), party.AloneAmong(p.Chain, network)) },
		Sources:   []ops.Source{Figures(p.Chain, ownNode(network)), ops.Links(nodes.Up()), Feeding(p.Feeder)},
		Listening: p.Listening,
		Close:     func() error { return nil }, // the chain closes itself when it has run
	}, nil
}

// joinNodes makes the authority's node one of several, where genesis names some.
func joinNodes(c *Config, dir party.Dir, g party.Genesis) (*chain.Network, error) {
	several := len(g.Chain.Contract.Nodes) > 0
	switch {
	case !several && c.Chain.Listen == "":
		return nil, nil
	case !several:
		return nil, config.Bad("chain.listen", "this chain began with one validator alone: signalbox init authority with --chain-listen begins one of several")
	case c.Chain.Listen == "":
		return nil, config.Bad("chain.listen", "is empty, and genesis names %d nodes: say where they reach this one", len(g.Chain.Contract.Nodes))
	}
	passphrase, err := party.Passphrase(c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	own, err := NodeDir(dir).OpenSite(ChainDir(dir), passphrase)
	if err != nil {
		return nil, err
	}
	return g.Join(own, c.Chain.Listen, c.Chain.Peers)
}

// ownNode is the identity of the authority's node among others.
func ownNode(n *chain.Network) string {
	if n == nil {
		return ""
	}
	return n.ID
}

// open reads keys, and the certificate for links.
func open(dir party.Dir, passphraseFile string, clock func() time.Time) (*Keys, link.Identity, error) {
	card, err := dir.ReadCard(link.RoleAuthority)
	if err != nil {
		return nil, link.Identity{}, err
	}
	passphrase, err := party.Passphrase(passphraseFile)
	if err != nil {
		return nil, link.Identity{}, err
	}
	suite, err := envelope.ByName(card.Suite)
	if err != nil {
		return nil, link.Identity{}, err
	}
	keys := NewKeys(suite, card.ID)
	if err := party.LoadKeys(passphrase, keys.Slots(dir)); err != nil {
		return nil, link.Identity{}, err
	}
	if err := keys.LoadSecrets(dir); err != nil {
		return nil, link.Identity{}, err
	}
	trust, err := ReadTrust(dir)
	if err != nil {
		return nil, link.Identity{}, err
	}
	der, err := dir.Read(linkFile)
	if err != nil {
		return nil, link.Identity{}, err
	}
	key, err := party.LoadTransport(dir.TransportFile(), passphrase)
	if err != nil {
		return nil, link.Identity{}, err
	}
	return keys, link.Identity{CA: trust.CA, Certificate: der, Key: key.Signer(), Clock: clock}, nil
}

// reach makes the links to the fusion nodes.
func reach(nodes []Node, own link.Identity, log *slog.Logger, admit func(link.Peer) error) (party.Nodes, error) {
	var all []fusion.RemoteConfig
	for _, n := range nodes {
		all = append(all, fusion.RemoteConfig{
			Name: n.Name, Addr: n.Address, Routes: party.Routes(n.Routes), Identity: own, Side: link.RoleAuthority,
			Admit: admit, Logger: log.With("part", "link"),
		})
	}
	return party.Reach(all...)
}

// admitsNode says whether a fusion node is one that the chain holds as active,
// and its certificate not older than the one that it was admitted with (R7.1).
func (p *Party) admitsNode(node link.Peer) error {
	return role.CheckNode(p.Chain, node, p.parts.Clock())
}

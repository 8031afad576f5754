package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

// ceremony is how a supervision chain of several nodes begins (R8.1).
type ceremony struct {
	ChainListen  string   `name:"chain-listen" help:"Where other nodes of the supervision chain reach the authority's own. With it, the chain is one of several nodes." placeholder:"HOST:PORT"`
	ChainAddress string   `name:"chain-address" help:"Where others reach it, if that is another than --chain-listen." placeholder:"HOST:PORT"`
	ChainNode    string   `name:"chain-node" help:"The identity of the authority's own node." default:"authority-node" placeholder:"ID"`
	Validator    []string `help:"A site's public file, node.json, as signalbox init node made it; may be repeated." type:"existingfile" placeholder:"FILE"`
	Fingerprint  []string `help:"The nodes' fingerprints, as the sites told them by another way; when given, each file must be among them." placeholder:"HEX"`
	Seats        int      `help:"How many nodes sit at a time. Default: all of the beginning." placeholder:"N"`
	Epoch        int64    `help:"Blocks with transactions between two rotations; 0: seats don't rotate." default:"0" placeholder:"N"`
	Window       int      `help:"Blocks over which absences are counted; 0: nobody loses a seat by absence." default:"100" placeholder:"N"`
	Missed       int      `help:"More absences than this in the window cost a seat." default:"50" placeholder:"N"`
}

const ceremonyHelp = "Over several sites: each site makes its node (signalbox init node) and sends node.json; the authority begins with all of them, " +
	"and each site gets a copy of genesis.json.\n\n" +
	"Example:\n  signalbox init authority --dir authority --network rx-network-1 --officer officer-1/request.pem \\\n" +
	"    --chain-listen 10.1.0.4:7100 --validator site-2/node.json --validator site-3/node.json --validator site-4/node.json"

// nodes reads the sites' files; nil where the chain has one validator.
func (c *ceremony) nodes() (*authority.Ceremony, error) {
	if c.ChainListen == "" {
		if len(c.Validator) > 0 {
			return nil, fmt.Errorf("--validator: the authority's own node needs --chain-listen too")
		}
		return nil, nil
	}
	out := &authority.Ceremony{
		ID: c.ChainNode, Address: cmp.Or(c.ChainAddress, c.ChainListen),
		Terms: committee.Terms{Seats: cmp.Or(c.Seats, 1+len(c.Validator)), Epoch: c.Epoch, Window: c.Window, Missed: c.Missed},
	}
	if c.Window == 0 {
		out.Terms.Missed = 0
	}
	if err := party.CheckReachable(out.Address); err != nil {
		return nil, fmt.Errorf("--chain-listen or --chain-address: %w", err)
	}
	for _, file := range c.Validator {
		s, _, err := party.ReadSite(file)
		if err != nil {
			return nil, err
		}
		if err := announced(c.Fingerprint, file, s.Fingerprint().String()); err != nil {
			return nil, err
		}
		if s.ID == c.ChainNode || slices.ContainsFunc(out.Sites, func(o party.Site) bool { return o.ID == s.ID }) {
			return nil, fmt.Errorf("%s: a second node %s", file, s.ID)
		}
		out.Sites = append(out.Sites, s)
	}
	if err := out.Terms.Validate(); err != nil {
		return nil, fmt.Errorf("committee: %w", err)
	}
	return out, nil
}

// announced wants a fingerprint to be among those told, where any were.
func announced(told []string, file, is string) error {
	if len(told) > 0 && !slices.Contains(told, is) {
		return fmt.Errorf("%s: its fingerprint is %s, which is none of those given: it is not the file that the applicant made", file, is)
	}
	return nil
}

// begun says what the chain begins with.
func (c *ceremony) begun(d party.Dir, f authority.Founding, m *made) error {
	if f.Nodes == nil {
		return nil
	}
	g, err := party.ReadGenesis(d.Path(party.GenesisFile))
	if err != nil {
		return err
	}
	hash, err := g.Fingerprint()
	if err != nil {
		return err
	}
	own, _, err := party.ReadSite(authority.NodeDir(d).Path(party.SiteFile))
	if err != nil {
		return err
	}
	m.Genesis, m.GenesisHash = filepath.Join(string(d), party.GenesisFile), hash.String()
	for _, s := range append([]party.Site{own}, f.Nodes.Sites...) {
		m.Nodes = append(m.Nodes, place{s.ID, s.Address, s.Fingerprint().String()})
	}
	return nil
}

package main

import (
	"fmt"
	"path/filepath"

	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/node"
)

type initNodeCommand struct {
	applicant
	Listen  string `help:"Where other nodes reach the node." required:"" placeholder:"HOST:PORT"`
	Address string `help:"Where others reach it, if that is another than --listen." placeholder:"HOST:PORT"`
	Ops     string `help:"Address for operators' tools." placeholder:"HOST:PORT"`
}

// Help implements kong's HelpProvider.
func (initNodeCommand) Help() string {
	return "Makes the node's signing key, the keys with which it votes and meets other nodes, and node.json: their public parts, bound together " +
		"by a signature. Send node.json alone. Into the folder goes a copy of the authority's genesis.json; then signalbox node run.\n\n" +
		"Examples:\n  signalbox init node site-2 --dir site-2 --listen 10.2.0.4:7100\n" +
		"  signalbox init node site-3 --dir site-3 --listen 0.0.0.0:7100 --address site-3.example:7100"
}

// Run makes the node's folder.
func (c *initNodeCommand) Run(a *app) error {
	conf := node.Default()
	conf.Listen = c.Listen
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	address := c.Address
	if address == "" {
		address = c.Listen
	}
	m := made{Role: "node", ID: c.ID, Node: filepath.Join(c.Dir, party.SiteFile)}
	m.next = []string{a.say.of(
		"Send node.json to the authority, and tell it the node's fingerprint by another way.\n"+
			"Put a copy of the authority's genesis.json into the folder, and its fingerprint into node.yaml (genesis_fingerprint).",
		"请将 node.json 交给监管机关，并通过其他途径告知节点指纹。\n"+
			"请将监管机关 genesis.json 的副本放入该目录，并将其指纹填入 node.yaml 的 genesis_fingerprint。")}
	err := c.found(func(d party.Dir, passphrase []byte) error {
		s, err := d.MakeSite(c.ID, c.Suite, node.ChainDir(d), address, passphrase)
		if err != nil {
			return fmt.Errorf("making node %s: %w", c.ID, err)
		}
		r, err := s.Check()
		if err != nil {
			return err
		}
		m.RequestHash, m.NodeHash, m.Network = r.Hash.String(), s.Fingerprint().String(), s.Network
		m.Configuration, err = configured(a, d, "node", conf)
		return err
	})
	if err != nil {
		return err
	}
	return c.report(a, m)
}

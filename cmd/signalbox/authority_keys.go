package main

import (
	"encoding/json"
	"fmt"

	"signalbox.dev/signalbox/contract"
)

// keysCommand is the keys that the log is signed with.
type keysCommand struct {
	Show   keysShowCommand   `cmd:"" help:"Show the log's keys and how they were handed over."`
	Rotate keysRotateCommand `cmd:"" help:"Draw new log keys and hand over to them."`
}

type keysShowCommand struct {
	control
	File bool `help:"Print the key file for verifiers (signalbox verify --keys) and nothing else."`
}

// Help implements kong's HelpProvider.
func (keysShowCommand) Help() string {
	return "The key file holds the newest keys and every hand-over: receipts of any generation verify by it.\n\n" +
		"Examples:\n  signalbox authority keys show --data authority\n  signalbox authority keys show --file --data authority > authority.pub"
}

// Run prints the keys.
func (c *keysShowCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.Keys(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	switch {
	case c.JSON:
		return json.NewEncoder(a.stdout).Encode(v)
	case c.File:
		_, err := fmt.Fprint(a.stdout, v.File)
		return err
	}
	t := newTable(a.stdout)
	t.row(a.say.of("GENERATION", "代次"), a.say.of("SIGNS FROM DECISION", "自第几条决定起签名"), a.say.of("KEYS", "密钥"))
	if len(v.Handovers) == 0 {
		for _, k := range v.Keys {
			t.row(v.Generation, 1, k)
		}
	}
	for _, h := range v.Handovers {
		for _, k := range h.New {
			t.row(h.Generation, h.Size+1, k)
		}
	}
	return t.end()
}

type keysRotateCommand struct {
	warrant
	After int64 `help:"After how many further decisions the new keys take over. The order must be carried out before." default:"100"`
}

// Help implements kong's HelpProvider.
func (keysRotateCommand) Help() string {
	return "The running authority draws the new keys into its folder. Old and new keys sign a statement that one gives way to the other; the order carries it, " +
		"and from then on every receipt does, so that platforms, business chains and verifiers who trust the old keys follow. What the old keys sign beyond the " +
		"hand-over is valid nowhere. authority.pub is replaced by one with the new keys and the statement.\n\n" +
		"Let the policy ask for two officers: signalbox authority policy keys.handover …\n\n" +
		"Examples:\n  signalbox authority keys rotate --reason \"yearly\" --data authority --keys officer-1\n" +
		"  signalbox authority keys rotate --after 5000 --reason \"yearly\" --data authority --keys officer-1 --to-file handover.order"
}

// Run gives the order.
func (c *keysRotateCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	p, err := cl.ProposeKeys(a.ctx, max(c.After, 0))
	if err != nil {
		return a.plain(err)
	}
	if !c.JSON {
		if _, err := fmt.Fprintf(a.stdout, a.say.of(
			"generation %d signs from decision %d on:\n", "第 %d 代密钥自第 %d 条决定起签名：\n"), p.Generation, p.Size+1); err != nil {
			return err
		}
		for _, k := range p.New {
			if _, err := fmt.Fprintf(a.stdout, "  %s\n", k); err != nil {
				return err
			}
		}
	}
	return c.carry(a, contract.KeysHandover, contract.Handover{Statement: p.Statement})
}

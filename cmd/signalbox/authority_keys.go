package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/receipt"
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

type committeePolicyCommand struct {
	control
	Need int `help:"How many of the members must have signed; 0: more than two thirds of them." default:"0"`
}

// Help implements kong's HelpProvider.
func (committeePolicyCommand) Help() string {
	return "The policy names the log's keys and every candidate for a seat, each by both of its keys. Give it to verifiers by a way that you trust, and print it " +
		"anew when nodes come or go: members who come later are in no policy that was printed before.\n\n" +
		"Examples:\n  signalbox authority committee policy --data authority > committee.policy\n" +
		"  signalbox verify --policy committee.policy receipt.tlog-proof"
}

// printedPolicy is what --json prints.
type printedPolicy struct {
	Needs  string `json:"needs"`
	Policy string `json:"policy"`
}

// Run prints the policy.
func (c *committeePolicyCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	nodes, err := cl.Nodes(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	keys, err := cl.Keys(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	nodes = slices.DeleteFunc(nodes, func(n oversight.NodeView) bool { return len(n.Keys) == 0 })
	if len(nodes) == 0 {
		return errors.New(a.say.of("this chain has one validator, for good: it has no committee", "本监管链只有一个验证节点，没有委员会"))
	}
	if c.Need == 0 {
		c.Need = len(nodes)*2/3 + 1
	}
	p, err := receipt.ParsePolicy(memberPolicy(keys, nodes, c.Need))
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(printedPolicy{p.Needs(), p.String()})
	}
	_, err = fmt.Fprint(a.stdout, p)
	return err
}

// memberPolicy is a policy's text (receipt.ParsePolicy).
func memberPolicy(keys oversight.KeysView, nodes []oversight.NodeView, need int) string {
	var b strings.Builder
	for line := range strings.Lines(keys.File) {
		if strings.HasPrefix(line, "handover ") {
			b.WriteString(line)
		} else {
			b.WriteString("log " + line)
		}
	}
	group := fmt.Sprintf("group committee %d", need)
	for _, n := range nodes {
		parts := ""
		for i, k := range n.Keys {
			name := fmt.Sprintf("%s-%d", n.ID, i+1)
			fmt.Fprintf(&b, "member %s %s\n", name, k)
			parts += " " + name
		}
		fmt.Fprintf(&b, "group %s all%s\n", n.ID, parts)
		group += " " + n.ID
	}
	return b.String() + group + "\nquorum committee\n"
}

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
)

// nodesCommand is what officers do about the chain's nodes (R7.1, R8.1).
type nodesCommand struct {
	List   nodeListCommand   `cmd:"" help:"Show the chain's nodes."`
	Admit  nodeAdmitCommand  `cmd:"" help:"Certify a node and make it a candidate, or an observer."`
	Weigh  nodeWeighCommand  `cmd:"" help:"Give a node another weight."`
	Remove nodeRemoveCommand `cmd:"" help:"Take a node out: from its seat, and from those who may connect."`
}

type nodeListCommand struct{ control }

// Help implements kong's HelpProvider.
func (nodeListCommand) Help() string {
	return "Connected is said of the authority's own node.\n\nExamples:\n  signalbox authority node list\n  signalbox authority node list --json"
}

// Run prints the nodes.
func (c *nodeListCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	all, err := cl.Nodes(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("ID", "标识"), a.say.of("STATUS", "状态"), a.say.of("SEAT", "席位"), a.say.of("SINCE BLOCK", "起始高度"),
		a.say.of("WEIGHT", "权重"), a.say.of("CONNECTED", "已连接"), a.say.of("READY", "就绪时间"), a.say.of("NETWORK ID", "网络标识"))
	for _, n := range all {
		status := string(n.Status)
		if n.Expired {
			status += a.say.of(", expired", "，已过期")
		}
		t.row(n.ID, status, a.seat(n), n.Since, n.Weight, a.yes(n.Connected), clock(n.Ready), n.Network)
	}
	return t.end()
}

func (a *app) yes(is bool) string {
	if is {
		return a.say.of("yes", "是")
	}
	return a.say.of("no", "否")
}

func (a *app) seat(n oversight.NodeView) string {
	switch {
	case n.Weight == 0:
		return a.say.of("observes", "观察")
	case n.Seated:
		return a.say.of("sits", "在席")
	default:
		return a.say.of("waits", "候补")
	}
}

type nodeAdmitCommand struct {
	warrant
	File        string `arg:"" name:"node.json" type:"existingfile" help:"The node's public file, as signalbox init node made it."`
	Weight      int64  `help:"Of its vote; 0: an observer, which never sits." default:"1"`
	Fingerprint string `help:"The node's fingerprint, as its operator told it by another way; when given, the file must have it." placeholder:"HEX"`
	Days        int    `help:"How many days the certificate is valid." default:"730"`
}

// Help implements kong's HelpProvider.
func (nodeAdmitCommand) Help() string {
	return "Run it where the authority runs: it needs the CA's key, the officers' socket and an officer's key. It checks that the file's keys are " +
		"bound together by the node's identity, certifies that, and gives two orders: identity.admit (identity.renew for one that is known) and node.admit. " +
		"The site needs a copy of genesis.json and nothing else.\n\n" +
		"Examples:\n  signalbox authority node admit site-5/node.json --data authority --keys officer-1 --fingerprint 9b1c… --reason \"fifth site\"\n" +
		"  signalbox authority node admit audit/node.json --weight 0 --data authority --keys officer-1 --reason \"auditors\""
}

// admittedNode is what node admit did.
type admittedNode struct {
	ID          string `json:"id"`
	Fingerprint string `json:"fingerprint"`
	Weight      int64  `json:"weight"`
	Identity    uint64 `json:"identity_order"`
	Node        uint64 `json:"node_order"`
}

// Run admits a node.
func (c *nodeAdmitCommand) Run(a *app) error {
	s, r, err := party.ReadSite(c.File)
	if err != nil {
		return err
	}
	if err := s.Seat(c.Weight).Validate(); err != nil {
		return err
	}
	out := admittedNode{ID: s.ID, Fingerprint: s.Fingerprint().String(), Weight: c.Weight}
	if c.Fingerprint != "" {
		if err := announced([]string{c.Fingerprint}, c.File, out.Fingerprint); err != nil {
			return err
		}
	}
	all, err := c.certify([]envelope.Request{r}, c.Days, time.Now())
	if err != nil {
		return err
	}
	if err := c.admit(a, &all[0], nil); err != nil {
		return fmt.Errorf("%s: %w", s.ID, err)
	}
	seated, err := c.give(a, order{contract.NodeAdmit, s.Seat(c.Weight)})
	if err != nil {
		return fmt.Errorf("%s: %w", s.ID, err)
	}
	out.Identity, out.Node = all[0].Order, seated.Number
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(out)
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of(
		"✓ node %s is admitted with weight %d: orders %d and %d\n  its fingerprint: %s\n",
		"✓ 节点 %s 已准入，权重 %d：第 %d、%d 号指令\n  节点指纹：%s\n"), out.ID, out.Weight, out.Identity, out.Node, out.Fingerprint)
	return err
}

// known finds a node of the chain.
func (c control) known(a *app, id string) (oversight.NodeView, error) {
	cl := c.client()
	defer cl.Close()
	all, err := cl.Nodes(a.ctx)
	if err != nil {
		return oversight.NodeView{}, a.plain(err)
	}
	i := slices.IndexFunc(all, func(n oversight.NodeView) bool { return n.ID == id })
	if i < 0 {
		return oversight.NodeView{}, fmt.Errorf(a.say.of("the chain has no node %s", "监管链没有节点 %s"), id)
	}
	return all[i], nil
}

type nodeWeighCommand struct {
	warrant
	ID     string `arg:"" help:"The node's identity."`
	Weight int64  `arg:"" help:"Of its vote; 0: it observes and never sits."`
}

// Help implements kong's HelpProvider.
func (nodeWeighCommand) Help() string {
	return "Example:\n  signalbox authority node weigh site-2 2 --reason \"the site with two power lines\""
}

// Run gives the order.
func (c *nodeWeighCommand) Run(a *app) error {
	n, err := c.known(a, c.ID)
	if err != nil {
		return err
	}
	return c.carry(a, contract.NodeAdmit, contract.NodeSeat{ID: n.ID, Vote: n.Vote, Network: n.Network, Weight: c.Weight})
}

type nodeRemoveCommand struct {
	warrant
	ID string `arg:"" help:"The node's identity."`
}

// Help implements kong's HelpProvider.
func (nodeRemoveCommand) Help() string {
	return "The identity stays; revoke it (authority identity revoke) when its keys are lost.\n\n" +
		"Example:\n  signalbox authority node remove site-4 --reason \"site closed\""
}

// Run gives the order.
func (c *nodeRemoveCommand) Run(a *app) error {
	return c.carry(a, contract.NodeRemove, contract.NodeRef{ID: c.ID})
}

// committeeCommand is who validates the chain (R8.1).
type committeeCommand struct {
	Show committeeShowCommand `cmd:"" help:"Show the terms, and where the epoch stands."`
	Set  committeeSetCommand  `cmd:"" help:"Change the terms."`

	Policy committeePolicyCommand `cmd:"" help:"Print a verifier's policy that asks for signatures of members."`
}

type committeeShowCommand struct{ control }

// Help implements kong's HelpProvider.
func (committeeShowCommand) Help() string {
	return "Examples:\n  signalbox authority committee show\n  signalbox authority committee show --json"
}

// Run prints the committee.
func (c *committeeShowCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.Committee(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	t := newTable(a.stdout)
	row := func(en, zh string, value any) { t.row(a.say.of(en, zh), value) }
	row("seats", "席位数", v.Terms.Seats)
	row("seats taken", "在席节点数", v.Seated)
	row("candidates, members among them", "候选节点数（含在席）", v.Candidates)
	row("blocks of an epoch", "每轮区块数", v.Terms.Epoch)
	row("blocks of this epoch", "本轮已出区块", v.Blocks)
	row("rotations", "已轮换次数", v.Epoch)
	row("absences are counted over", "缺席统计窗口", v.Terms.Window)
	row("absences that a seat bears", "允许缺席次数", v.Terms.Missed)
	return t.end()
}

type committeeSetCommand struct {
	warrant
	Seats  *int   `help:"How many nodes sit." placeholder:"N"`
	Epoch  *int64 `help:"Blocks with transactions between two rotations; 0: seats don't rotate." placeholder:"N"`
	Window *int   `help:"Blocks over which absences are counted; 0: nobody loses a seat by absence." placeholder:"N"`
	Missed *int   `help:"More absences than this in the window cost a seat." placeholder:"N"`
}

// Help implements kong's HelpProvider.
func (committeeSetCommand) Help() string {
	return "What is not named stays as it is. With more seats, candidates who wait take them; with fewer, those leave who have sat longest. " +
		"Takes effect two blocks later.\n\n" +
		"Examples:\n  signalbox authority committee set --seats 4 --reason \"four sites\"\n" +
		"  signalbox authority committee set --epoch 1000 --window 200 --missed 100 --reason \"rotation\""
}

// Run gives the order.
func (c *committeeSetCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	v, err := cl.Committee(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	terms := c.terms(v.Terms)
	if err := terms.Validate(); err != nil {
		return err
	}
	return c.carry(a, contract.CommitteeSet, terms)
}

// terms are those of now with what was named.
func (c *committeeSetCommand) terms(t committee.Terms) committee.Terms {
	if c.Seats != nil {
		t.Seats = *c.Seats
	}
	if c.Epoch != nil {
		t.Epoch = *c.Epoch
	}
	if c.Window != nil {
		t.Window = *c.Window
	}
	if c.Missed != nil {
		t.Missed = *c.Missed
	}
	return t
}

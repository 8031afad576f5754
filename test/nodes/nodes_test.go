package nodes

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/receipt"
)

// R7.1, R8.1: four validators from the ceremony on, each a process. One killed,
// decisions go on; two killed, there is none; back again, nothing is lost.
// Strangers are turned away, a newcomer that is admitted follows the chain, and
// its revocation ends its connections, as the end of its certificate does.
func TestNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts seven processes")
	}
	c := convene(t, 4, nil)
	c.start(c.nodes...)
	c.status() // once it answers
	steady := c.decisions(5)
	c.kills(steady)
	c.strangers()
	c.newcomer()
	c.expired()
	c.terms()
	c.agree(c.nodes...)
	if last := c.status().LastOrder; last != c.given {
		t.Errorf("the chain has %d orders, %d were carried out", last, c.given)
	}
	c.replay(c.nodes...)
}

func (c *council) kills(steady time.Duration) {
	c.Helper()
	site3, site4 := c.nodes[2], c.nodes[3]
	site4.kill()
	c.Logf("longest wait of 5 orders with four nodes: %v; of 8 after one was killed: %v", steady, c.decisions(8))
	site3.kill()
	_, err := c.decide(4 * time.Second)
	if !errors.Is(err, context.DeadlineExceeded) {
		c.Fatalf("with two of four killed: %v, want no decision", err)
	}
	waiting := c.given + 1
	if last := c.status().LastOrder; last != c.given {
		c.Fatalf("with two of four killed order %d stands, want none after %d", last, c.given)
	}
	c.start(site3)
	took := c.until("the order that waited is carried out", func() bool { return c.status().LastOrder == waiting })
	c.given = waiting
	c.start(site4)
	c.decisions(3)
	c.agree(c.nodes...)
	c.Logf("the order that waited was carried out %v after one of the killed was started", took)
}

// strangers are a node that nobody admitted, and one of another authority's CA
// whose operator has named our nodes.
func (c *council) strangers() {
	c.Helper()
	none := c.found("stranger")
	c.copyGenesis(none, "authority")
	foreign := c.found("foreign")
	c.run("init", "authority", "--dir", c.in("elsewhere"), "--network", "rx-network-1", "--officer", c.in("officer", "request.pem"),
		"--node", "node-1=127.0.0.1:1=rx-platform-1/prescription", "--chain-listen", freeAddress(c.T), "--validator", c.in("foreign", "node.json"))
	c.copyGenesis(foreign, "elsewhere")
	var peers strings.Builder
	for _, n := range decoded[[]oversight.NodeView](c.T, c.office("node", "list", "--json")) {
		at := slices.IndexFunc(c.nodes, func(p *process) bool { return p.id == n.ID || n.ID == "authority-node" && p.id == "authority" })
		peers.WriteString("\n  - network: \"" + n.Network + "\"\n    address: \"" + c.nodes[at].addr + "\"")
	}
	foreign.configure("peers: []", "peers:"+peers.String())
	c.start(none, foreign)
	for _, p := range []*process{none, foreign} {
		c.until(p.id+" runs", func() bool { return p.peers() >= 0 })
	}
	for range 6 { // it dials again and again
		time.Sleep(300 * time.Millisecond)
		c.decisions(1)
		for _, p := range []*process{none, foreign} {
			// It may take itself for connected until the other end has looked who it is.
			if p.height() > 0 || p.peers() > 0 && c.stays(p) {
				c.Fatalf("%s is connected to %v nodes and knows block %v", p.id, p.peers(), p.height())
			}
		}
		for _, p := range c.nodes {
			if p.peers() > 3 {
				c.Fatalf("%s has %v peers, want its three", p.id, p.peers())
			}
		}
	}
	if out, err := c.try("authority", "node", "admit", c.in("authority", "node", "request.pem"), "--data", c.in("authority"), "--keys", c.in("officer"), "--reason", "x"); err == nil {
		c.Errorf("what is no node file is admitted:\n%s", out)
	}
	foreign.kill()
	none.kill()
}

// stays says whether a node has peers for longer than a handshake.
func (c *council) stays(p *process) bool {
	for range 10 {
		time.Sleep(100 * time.Millisecond)
		if p.peers() <= 0 {
			return false
		}
	}
	return true
}

// newcomer is admitted as an observer, follows the chain, and is cut off when its
// identity is revoked.
func (c *council) newcomer() {
	c.Helper()
	p := c.found("observer")
	c.copyGenesis(p, "authority")
	c.start(p)
	c.order("node", "admit", c.in("observer", "node.json"), "--weight", "0", "--json")
	c.until("the observer follows the chain", func() bool { return p.height() == c.nodes[0].height() })
	if p.figure("chain_seated") != 0 || p.figure("chain_members") != 4 {
		c.Errorf("an observer sits, or the members are not four")
	}
	c.order("identity", "revoke", "observer")
	took := c.until("the revoked node is dropped", func() bool { return p.peers() == 0 })
	c.decisions(2)
	time.Sleep(2 * time.Second) // it dials again
	if p.peers() != 0 || p.height() >= c.nodes[0].height() {
		c.Errorf("a revoked node has %v peers and is at block %v of %v", p.peers(), p.height(), c.nodes[0].height())
	}
	c.Logf("the last connection of a revoked node ended %v after the order was carried out", took)
	p.kill()
}

// expired is a node whose certificate runs out while it is connected, and which is
// not connected again before it has another.
func (c *council) expired() {
	c.Helper()
	p := c.found("brief")
	c.copyGenesis(p, "authority")
	c.start(p)
	c.order("node", "admit", c.in("brief", "node.json"), "--weight", "0", "--json")
	c.until("the node follows the chain", func() bool { return p.height() == c.nodes[0].height() })
	until := c.renew("brief", 4*time.Second)
	c.until("the node whose certificate has expired is dropped", func() bool { return p.peers() == 0 })
	took := time.Since(until)
	if took < -time.Second {
		c.Errorf("it was dropped %v before its certificate ended", -took)
	}
	c.Logf("the last connection of a node ended %v after its certificate", took)
	p.kill()
	c.start(p)
	c.decisions(2)
	c.until("the node runs", func() bool { return p.peers() >= 0 })
	time.Sleep(2 * time.Second) // it dials
	c.decisions(1)
	if p.peers() != 0 || p.height() >= c.nodes[0].height() {
		c.Errorf("a node with an expired certificate has %v peers and is at block %v of %v", p.peers(), p.height(), c.nodes[0].height())
	}
	c.renew("brief", 24*time.Hour)
	c.until("the node follows again with another certificate", func() bool { return p.height() == c.nodes[0].height() })
	p.kill()
}

// renew gives a node another certificate, which is valid for so long.
func (c *council) renew(id string, valid time.Duration) (until time.Time) {
	c.Helper()
	_, request, err := party.ReadSite(c.in(id, "node.json"))
	must(c.T, err)
	passphrase, err := party.Passphrase(c.in("authority", party.PassphraseFile))
	must(c.T, err)
	ca, err := authority.LoadCA(party.Dir(c.in("authority")), passphrase)
	must(c.T, err)
	now := time.Now()
	given, err := authority.Certify(ca, request, now.Add(-time.Minute), now.Add(valid))
	must(c.T, err)
	cl := c.client()
	defer cl.Close()
	identity, err := cl.Certified(c.Context(), given.Signing)
	must(c.T, err)
	_, err = cl.Order(c.Context(), c.composed(c.given+1, contract.IdentityRenew, identity))
	must(c.T, err)
	c.given++
	return time.Unix(identity.NotAfter, 0)
}

// terms are changed by officers, and shown in both languages.
func (c *council) terms() {
	c.Helper()
	c.order("node", "weigh", "site-2", "1")
	c.order("committee", "set", "--seats", "3", "--epoch", "1000")
	c.decisions(3)
	v := decoded[oversight.CommitteeView](c.T, c.office("committee", "show", "--json"))
	if v.Seated != 3 || v.Terms.Seats != 3 || v.Terms.Epoch != 1000 || v.Terms.Window != 100 || v.Candidates != 4 {
		c.Errorf("after the order the committee is %+v", v)
	}
	if p, err := receipt.ParsePolicy(string(c.office("committee", "policy"))); err != nil || !strings.HasPrefix(p.Needs(), "3 of (2 of (") {
		c.Errorf("the policy for verifiers: %v, it needs %s", err, p.Needs())
	}
	if out := string(c.run("--lang", "zh", "authority", "committee", "show", "--data", c.in("authority"))); !strings.Contains(out, "席位数") {
		c.Errorf("in Chinese:\n%s", out)
	}
	for lang, want := range map[string]string{"en": "waits", "zh": "候补"} {
		if out := string(c.run("--lang", lang, "authority", "node", "list", "--data", c.in("authority"))); !strings.Contains(out, want) {
			c.Errorf("nobody waits for a seat:\n%s", out)
		}
	}
	if out, err := c.try("authority", "committee", "set", "--seats", "0", "--data", c.in("authority"), "--keys", c.in("officer"), "--reason", "x"); err == nil {
		c.Errorf("no seats at all are set:\n%s", out)
	}
}

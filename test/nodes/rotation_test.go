package nodes

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/snapshot"
)

var rounds = flag.Int("rounds", 2, "how many nodes TestRotation kills, one after another")

// R8.1: three of five seats rotate while nodes without a seat are killed (SIGKILL) and
// come back, and a sixth joins from a snapshot, takes its turn and leaves. No decision
// fails, and every folder replays to the same application hashes. `make rotation` has
// more rounds.
func TestRotation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes")
	}
	c := convene(t, 5, nil, "--seats", "3", "--epoch", "3")
	for _, p := range c.nodes {
		p.configure("\n  every: 0\n", "\n  every: 8\n")
	}
	c.start(c.nodes...)
	c.status() // once it answers
	c.decisions(3)
	sixth := c.joined()
	for round := range *rounds {
		gone := c.waits()
		gone.kill()
		before := c.epoch()
		for c.epoch() < before+2 {
			c.decisions(1)
			if slices.Contains(c.seated(), gone.id) {
				t.Fatalf("round %d: %s was killed and has a seat", round, gone.id)
			}
		}
		c.start(gone)
		c.decisions(1)
	}
	c.turn(sixth)
	c.agree(c.nodes...)
	t.Logf("epoch %d at block %v, after %d kills", c.epoch(), c.nodes[0].height(), *rounds)
	c.replay(c.nodes...)
	if out, err := c.try("fsck", "--authority", c.in("authority")); err != nil || !strings.Contains(string(out), "snapshots:") {
		t.Errorf("checking the authority's chain and snapshots: %v\n%s", err, out)
	}
	c.damaged()
}

// joined is a node that is admitted and goes on from site-2's snapshot, with the
// fingerprint that the authority's operator reads out.
func (c *council) joined() *process {
	c.Helper()
	p := c.found("site-6")
	c.copyGenesis(p, "authority")
	c.order("node", "admit", c.in("site-6", "node.json"), "--weight", "1", "--json")
	var told snapshot.Manifest
	c.until("two nodes have a snapshot of one block", func() bool {
		theirs := c.snapshots("site-2")
		for height, m := range c.snapshots("authority") {
			if o, ok := theirs[height]; ok && height > told.Height {
				told = m
				if o.Fingerprint != m.Fingerprint {
					c.Fatalf("block %d has the fingerprint %s on one node, %s on another", height, o.Fingerprint, m.Fingerprint)
				}
			}
		}
		c.decisions(1)
		return told.Height > 0
	})
	restore := func(fingerprint string) ([]byte, error) {
		return c.try("node", "restore", "--config", c.in("site-6", "node.yaml"), "--from", c.in("site-2", "snapshots"),
			"--height", fmt.Sprint(told.Height), "--fingerprint", fingerprint)
	}
	if out, err := restore(hex.EncodeToString(make([]byte, 32))); err == nil || !strings.Contains(string(out), "another fingerprint") {
		c.Errorf("restoring with another fingerprint: %v\n%s", err, out)
	}
	if out, err := restore(told.Fingerprint); err != nil {
		c.Fatalf("restoring: %v\n%s", err, out)
	}
	c.start(p)
	c.until("the node that joined follows", func() bool { return p.height() == c.nodes[0].height() })
	if out, err := restore(told.Fingerprint); err == nil {
		c.Errorf("a running node is restored:\n%s", out)
	}
	return p
}

// snapshots are a node's, by height.
func (c *council) snapshots(id string) map[int64]snapshot.Manifest {
	c.Helper()
	all := map[int64]snapshot.Manifest{}
	out, err := c.try("snapshot", "list", "--from", c.in(id, "snapshots"), "--json")
	if err != nil {
		return all // one is being taken away
	}
	for line := range strings.Lines(string(out)) {
		m := decoded[snapshot.Manifest](c.T, []byte(line))
		all[m.Height] = m
	}
	return all
}

func (c *council) epoch() uint64 {
	c.Helper()
	return decoded[oversight.CommitteeView](c.T, c.office("committee", "show", "--json")).Epoch
}

func (c *council) listed() []oversight.NodeView {
	c.Helper()
	return decoded[[]oversight.NodeView](c.T, c.office("node", "list", "--json"))
}

func (c *council) seated() (ids []string) {
	c.Helper()
	for _, n := range c.listed() {
		if n.Seated {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// waits finds a site of the first five without a seat, and without a vote any more.
func (c *council) waits() (found *process) {
	c.Helper()
	c.until("a node waits", func() bool {
		c.decisions(1)
		for _, n := range c.listed() {
			i := slices.IndexFunc(c.nodes, func(p *process) bool { return p.id == n.ID })
			if i >= 0 && !n.Seated && n.Connected && float64(n.Since) < c.nodes[0].height()-3 {
				found = c.nodes[i]
			}
		}
		return found != nil
	})
	return found
}

// turn waits for a node's seat, and until it has given it up, and removes it.
func (c *council) turn(p *process) {
	c.Helper()
	for _, want := range []bool{true, false} {
		c.until(fmt.Sprintf("%s sits: %v", p.id, want), func() bool {
			c.decisions(1)
			return slices.Contains(c.seated(), p.id) == want
		})
	}
	c.agree(append(slices.Clone(c.nodes), p)...)
	_, err := c.client().Order(c.Context(), c.composed(c.given+1, contract.NodeRemove, contract.NodeRef{ID: p.id}))
	must(c.T, err)
	c.given++
	c.decisions(2)
}

// damaged snapshots are found by both commands that look.
func (c *council) damaged() {
	c.Helper()
	for id, args := range map[string][]string{
		"authority": {"fsck", "--authority", c.in("authority")},
		"site-2":    {"snapshot", "verify", "--from", c.in("site-2", "snapshots")},
	} {
		heights := c.snapshots(id)
		for height := range heights {
			file := c.in(id, "snapshots", fmt.Sprintf("%020d", height), "chunk-000000")
			data, err := os.ReadFile(file)
			must(c.T, err)
			data[len(data)/2] ^= 1
			must(c.T, os.WriteFile(file, data, 0o600))
			break
		}
		if out, err := c.try(args...); err == nil || !strings.Contains(string(out), "chunk-000000: is not what the manifest says") {
			c.Errorf("%v with a damaged chunk: %v\n%s", args, err, out)
		}
	}
}

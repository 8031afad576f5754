package comet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// longest is what a test waits for nodes to find each other, on a busy machine.
const longest = 2 * time.Minute

// member is one node of several on loopback.
type member struct {
	dir  string
	addr string
	keys Keys

	node *Node
	app  *register
	shut func()
}

// council is several nodes that may connect to each other, or not.
type council struct {
	members []*member
	seats   int // how many of them validate from the beginning

	marks  []string  // what their votes carry; none: nothing
	marked []*marked // of each member that was started with a mark

	mu     sync.Mutex
	barred map[string]bool // guarded by mu; ids that nobody connects to
}

// convene makes the keys of n nodes, of which the first seats validate, and starts them.
func convene(t testing.TB, n, seats int) *council {
	t.Helper()
	c := &council{seats: seats, barred: map[string]bool{}}
	c.begin(t, n)
	return c
}

// begin makes n nodes and starts them.
func (c *council) begin(t testing.TB, n int) {
	t.Helper()
	for range n {
		m := &member{dir: t.TempDir(), addr: freeAddr(t)}
		var err error
		if m.keys, err = MakeKeys(filepath.Join(m.dir, "node")); err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		c.start(t, m)
	}
}

// freeAddr is an address on loopback to listen at later. It is none that
// connections go out from: those have 127.0.0.1, and might be given its port
// meanwhile.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254)))
	if err != nil {
		t.Skipf("this machine has one loopback address: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (c *council) start(t testing.TB, m *member) {
	t.Helper()
	var validators []Validator
	for _, o := range c.members[:c.seats] {
		validators = append(validators, Validator{Key: o.keys.Validator, Power: 1})
	}
	var peers []Peer
	for _, o := range c.members {
		if o != m {
			peers = append(peers, Peer{ID: o.keys.ID, Addr: o.addr})
		}
	}
	m.node, m.app, m.shut = open(t, m.dir, func(cfg *Config) {
		cfg.Validators = validators
		cfg.GenesisTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		cfg.Network = &Network{Listen: m.addr, Peers: peers, Admit: c.admit}
		if i := slices.Index(c.members, m); i < len(c.marks) {
			app := &marked{register: cfg.App.(*register), own: c.marks[i], liar: "a lie", told: map[string]int{}}
			c.marked = append(c.marked, app)
			cfg.App, cfg.Extensions = app, true
		}
	})
}

func (c *council) admit(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.barred[id] {
		return errors.New("its certificate is revoked")
	}
	return nil
}

func (c *council) bar(id string, barred bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.barred[id] = barred
}

// put has a transaction take effect by way of one member.
func (m *member) put(t testing.TB, tx string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), longest)
	defer stop()
	if code, err := m.app.put(ctx, m.node, tx); err != nil || code != 0 {
		t.Fatalf("putting %q: code %d, %v", tx, code, err)
	}
}

// agree waits until all of these have come to the same height and hash.
func agree(t testing.TB, all ...*member) {
	t.Helper()
	deadline := time.Now().Add(longest)
	for {
		first := all[0].app.position()
		same := !slices.ContainsFunc(all, func(m *member) bool {
			at := m.app.position()
			return at.Height != first.Height || !bytes.Equal(at.AppHash, first.AppHash)
		})
		if same {
			return
		}
		if time.Now().After(deadline) {
			for i, m := range all {
				t.Errorf("node %d at height %d, hash %x", i, m.app.position().Height, m.app.position().AppHash)
			}
			t.FailNow()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// connected waits until m is connected to just so many others.
func (m *member) connected(t testing.TB, n int) {
	t.Helper()
	deadline := time.Now().Add(longest)
	for len(m.node.Connected()) != n {
		if time.Now().After(deadline) {
			t.Fatalf("connected to %d nodes, want %d", len(m.node.Connected()), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Four validators decide together; with one of them down they go on, with two
// down nothing is decided, and back again they agree (R8.1).
func TestValidators(t *testing.T) {
	c := convene(t, 4, 4)
	all := c.members
	for i, m := range all {
		m.put(t, fmt.Sprintf("from %d", i))
	}
	agree(t, all...)

	all[3].shut()
	all[0].put(t, "without one")
	all[2].shut()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	if _, err := all[0].app.put(ctx, all[0].node, "without two"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two of four decided: %v", err)
	}
	c.start(t, all[2])
	all[2].put(t, "three again")
	c.start(t, all[3])
	all[3].put(t, "all again")
	agree(t, all...)
	for i, m := range all {
		for _, tx := range []string{"without one", "without two", "three again"} {
			if m.app.has(t, tx) == 0 {
				t.Errorf("node %d has lost %q", i, tx)
			}
		}
	}
}

// An application gives seats to nodes and takes them away; everyone follows, and
// the chain can be replayed from its first block with every change in it (R8.1).
func TestSeats(t *testing.T) {
	c := convene(t, 4, 3)
	all := c.members
	newcomer := all[3]
	all[0].put(t, fmt.Sprintf("seat %x 1", newcomer.keys.Validator))
	all[0].put(t, "filler")
	// With four seats three votes are needed: the newcomer's counts.
	all[1].shut()
	all[0].put(t, "with the newcomer")
	c.start(t, all[1])
	all[1].put(t, fmt.Sprintf("seat %x 0", all[2].keys.Validator))
	all[1].put(t, "more filler")
	all[2].shut() // has no seat any more
	all[0].put(t, "without the one who left")
	c.start(t, all[2])
	all[2].put(t, "as an observer")
	agree(t, all...)

	for i, m := range all {
		m.shut()
		b, err := OpenBlocks(filepath.Join(m.dir, "node"))
		if err != nil {
			t.Fatal(err)
		}
		done, err := b.Replay(t.Context(), newRegister(t, NewMemKV()), func(Stored, []Result) error { return nil })
		if err != nil {
			t.Errorf("replaying node %d: %v", i, err)
		}
		if at := m.app.position(); done.Blocks != at.Height || !bytes.Equal(done.AppHash, at.AppHash) {
			t.Errorf("replaying node %d: block %d, %x; want %d, %x", i, done.Blocks, done.AppHash, at.Height, at.AppHash)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A node that may not connect is turned away, and one that may no longer is cut
// off from what it was connected to (R7.1).
func TestAdmission(t *testing.T) {
	c := convene(t, 4, 4)
	all := c.members
	for _, m := range all {
		m.connected(t, 3)
	}
	out := all[3].keys.ID
	c.bar(out, true)
	for _, m := range all[:3] {
		m.node.Disconnect(out)
	}
	all[3].connected(t, 0)
	all[0].put(t, "among three")
	if all[3].app.has(t, "among three") != 0 {
		t.Error("a node that was cut off has the new block")
	}
	time.Sleep(3 * redial) // it dials again and again
	all[3].connected(t, 0)
	c.bar(out, false)
	all[3].connected(t, 3)
	agree(t, all...)
}

func TestNetworkConfig(t *testing.T) {
	admit := func(string) error { return nil }
	id := strings.Repeat("ab", 20)
	for want, n := range map[string]*Network{
		"Network.Listen": {Listen: "nowhere", Admit: admit},
		"Network.Admit":  {Listen: "127.0.0.1:0"},
		"no node id":     {Listen: "127.0.0.1:0", Admit: admit, Peers: []Peer{{ID: "abc", Addr: "127.0.0.1:1"}}},
		"Network.Peers":  {Listen: "127.0.0.1:0", Admit: admit, Peers: []Peer{{ID: id, Addr: "nowhere"}}},
	} {
		c := Config{Dir: t.TempDir(), ChainID: "test", App: newRegister(t, NewMemKV()), Network: n}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want something about %s", err, want)
		}
	}
	for _, v := range []Validator{{Key: make([]byte, 31), Power: 1}, {Key: make([]byte, 32)}} {
		c := Config{Dir: t.TempDir(), ChainID: "test", App: newRegister(t, NewMemKV()), Validators: []Validator{v}}
		if err := c.Validate(); err == nil {
			t.Errorf("validator %v is taken", v)
		}
	}
}

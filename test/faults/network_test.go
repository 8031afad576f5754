package faults

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// network gives each party a network namespace of its own, with the test's
// between them all as a router.
type network struct {
	*testing.T
	index map[string]int // by role
}

// newNetwork makes the namespaces, or skips the test where that is not permitted.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{T: t, index: map[string]int{}}
	must(t, os.MkdirAll("/run/netns", 0o755))
	must(t, syscall.Mount("tmpfs", "/run/netns", "tmpfs", 0, "")) // so that no name is left behind
	commands := []string{"link set lo up"}
	for i, role := range roles() {
		n.index[role] = i + 1
		ns := n.namespace(role)
		commands = append(commands,
			"netns add "+ns,
			fmt.Sprintf("link add v%d type veth peer name eth0 netns %s", i+1, ns),
			fmt.Sprintf("addr add 10.77.%d.1/30 dev v%d", i+1, i+1),
			fmt.Sprintf("link set v%d up", i+1),
			fmt.Sprintf("-n %s addr add %s/30 dev eth0", ns, n.address(role)),
			fmt.Sprintf("-n %s link set eth0 up", ns),
			fmt.Sprintf("-n %s link set lo up", ns),
			fmt.Sprintf("-n %s route add default via 10.77.%d.1", ns, i+1),
		)
	}
	for _, c := range commands {
		if out, err := n.ip(c); err != nil {
			t.Skipf("making network namespaces: ip %s: %v: %s", c, err, out)
		}
	}
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	return n
}

func (n *network) ip(args string) ([]byte, error) {
	return exec.Command("ip", strings.Fields(args)...).CombinedOutput()
}

func (n *network) namespace(role string) string { return "signalbox-" + role }

func (n *network) address(role string) string { return fmt.Sprintf("10.77.%d.2", n.index[role]) }

// cut drops everything that one party sends to another, without a word to either.
func (n *network) cut(from, to string) { n.rule("add", from, to) }

func (n *network) heal(from, to string) { n.rule("del", from, to) }

func (n *network) rule(what, from, to string) {
	n.Helper()
	out, err := n.ip(fmt.Sprintf("rule %s from %s to %s blackhole", what, n.address(from), n.address(to)))
	if err != nil {
		n.Fatalf("ip rule %s: %v: %s", what, err, out)
	}
}

// dial connects from within a party's namespace.
func (n *network) dial(role string) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		done := make(chan result, 1)
		go func() {
			// A socket belongs to the namespace of the thread that makes it. The
			// thread ends with the goroutine: nobody else may have it.
			runtime.LockOSThread()
			ns, err := os.Open(filepath.Join("/run/netns", n.namespace(role)))
			if err != nil {
				done <- result{err: err}
				return
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				done <- result{err: err}
				return
			}
			conn, err := net.Dial(network, addr)
			done <- result{conn, err}
		}()
		r := <-done
		return r.conn, r.err
	}
}

// cluster founds and starts the parties in the namespaces.
func (n *network) cluster() *cluster {
	n.Helper()
	bin, err := build()
	must(n.T, err)
	dir, err := os.MkdirTemp("", "sbf")
	must(n.T, err)
	n.Cleanup(func() { os.RemoveAll(dir) })
	at := places{
		node: n.address(fusionNode) + ":4222", chain: n.address(business) + ":7400", api: "127.0.0.1:8080", ops: map[string]string{},
	}
	for i, role := range roles() {
		at.ops[role] = fmt.Sprintf("127.0.0.1:%d", 9101+i)
	}
	must(n.T, os.Mkdir(filepath.Join(dir, "parties"), 0o700))
	must(n.T, found(filepath.Join(dir, "parties"), at))
	c := assemble(n.T, bin, dir, at)
	for role, p := range c.role {
		p.ns = n.namespace(role)
	}
	c.client.Transport = &http.Transport{DialContext: n.dial(platform_)}
	c.start()
	c.warm()
	return c
}

// The network between two parties is cut, in both directions or in one, without
// an error to either side; then it heals, and everything goes on by itself.
func TestNetworkCuts(t *testing.T) {
	needFull(t)
	if !unshared(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWNET) {
		return
	}
	n := newNetwork(t)
	c := n.cluster()
	table := newTable(t)
	for _, pair := range [][2]string{{platform_, fusionNode}, {authority, fusionNode}, {platform_, business}} {
		a, b := pair[0], pair[1]
		for _, k := range []struct {
			name string
			cuts [][2]string
			last time.Duration
		}{
			{fmt.Sprintf("between %s and %s", a, b), [][2]string{{a, b}, {b, a}}, 5 * time.Second},
			{fmt.Sprintf("between %s and %s", a, b), [][2]string{{a, b}, {b, a}}, 45 * time.Second},
			{fmt.Sprintf("from %s to %s", a, b), [][2]string{{a, b}}, 5 * time.Second},
			{fmt.Sprintf("from %s to %s", b, a), [][2]string{{b, a}}, 5 * time.Second},
		} {
			r := row{fault: fmt.Sprintf("network cut %s for %s", k.name, k.last), injected: 1}
			go c.register(t.Context(), perCase, perCase)
			time.Sleep(300 * time.Millisecond)
			for _, cut := range k.cuts {
				n.cut(cut[0], cut[1])
			}
			time.Sleep(k.last)
			r.inFlight = c.inFlight(perCase)
			for _, cut := range k.cuts {
				n.heal(cut[0], cut[1])
			}
			at := time.Now()
			r.took = c.settle(perCase, 120*time.Second).Sub(at)
			table.add(r)
		}
	}
	c.finish(table)
}

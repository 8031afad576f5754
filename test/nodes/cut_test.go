package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside says that the test runs in namespaces of its own.
const inside = "SIGNALBOX_NODES_INSIDE"

// wiring is a switch in the test's own network namespace; every node has a
// namespace and a cable of its own.
type wiring struct{}

func ip(t *testing.T, text string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(text)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", text, err, out)
	}
}

// wire makes the switch.
func wire(t *testing.T) *wiring {
	t.Helper()
	for _, text := range []string{"link add hub type bridge", "addr add 10.77.0.254/24 dev hub", "link set hub up"} {
		if out, err := exec.Command("ip", strings.Fields(text)...).CombinedOutput(); err != nil {
			t.Skipf("making a network: ip %s: %v: %s", text, err, out)
		}
	}
	return &wiring{}
}

// plug gives a node that has started its cable and address.
func (*wiring) plug(t *testing.T, p *process) {
	t.Helper()
	pid := p.cmd.Process.Pid
	ip(t, fmt.Sprintf("link add port%d type veth peer name eth0 netns %d", p.place, pid))
	ip(t, fmt.Sprintf("link set port%d master hub up", p.place))
	for _, text := range []string{fmt.Sprintf("addr add 10.77.0.%d/24 dev eth0", p.place), "link set eth0 up", "link set lo up"} {
		args := append([]string{"-t", fmt.Sprint(pid), "-n", "ip"}, strings.Fields(text)...)
		if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
			t.Fatalf("nsenter %v: %v: %s", args, err, out)
		}
	}
}

// cut takes nodes' cables out; heal puts them back.
func (p *process) cut()  { ip(p.c.T, fmt.Sprintf("link set port%d down", p.place)) }
func (p *process) heal() { ip(p.c.T, fmt.Sprintf("link set port%d up", p.place)) }

// unshared runs the calling test again in a network namespace, and says whether it
// is the one inside, which goes on.
func unshared(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s, for network namespaces", tool)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-binary", *built)
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, t.Output()), &out
	err := cmd.Run()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("needs network namespaces: %v", err)
	case err != nil:
		t.Errorf("in its own namespace: %v\n%s", err, &out)
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skip("skipped in its own namespace, see above")
	}
	return false
}

// R8.1: a minority that is cut off decides nothing; the majority goes on when it
// has the authority; after healing all agree.
func TestCut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes")
	}
	if !unshared(t) {
		return
	}
	c := convene(t, 4, wire(t))
	c.start(c.nodes...)
	c.status() // once it answers
	own, site4 := c.nodes[0], c.nodes[3]
	c.decisions(3)
	c.agree(c.nodes...)

	behind := site4.height()
	site4.cut()
	t.Logf("longest wait of 8 orders after one of four was cut off: %v", c.decisions(8))
	site4.heal()
	took := c.until("the node that was cut off has caught up", func() bool { return site4.height() == own.height() })
	if own.height() <= behind {
		t.Errorf("the majority stands at block %v", own.height())
	}
	t.Logf("it had caught up %v after healing", took)

	before := c.status()
	own.cut()
	if _, err := c.decide(5 * time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the minority decided: %v", err)
	}
	if now := c.status(); now.LastOrder != before.LastOrder || now.Height > before.Height+1 {
		t.Fatalf("the minority went from block %d to %d, from order %d to %d", before.Height, now.Height, before.LastOrder, now.LastOrder)
	}
	own.heal()
	waiting := c.given + 1
	took = c.until("the order that waited is carried out", func() bool { return c.status().LastOrder == waiting })
	c.given = waiting
	t.Logf("the order that waited was carried out %v after healing", took)
	c.decisions(3)
	c.agree(c.nodes...)
	c.replay(c.nodes...)
}

package nodes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/receipt"
)

const patience = 3 * time.Minute

var built = flag.String("binary", "", "the program to run; built when empty")

func TestMain(m *testing.M) {
	flag.Parse()
	if *built != "" || testing.Short() {
		os.Exit(m.Run())
	}
	os.Exit(withBuilt(m))
}

// withBuilt runs the tests with a program built for them.
func withBuilt(m *testing.M) int {
	dir, err := os.MkdirTemp("", "signalbox-nodes")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*built = filepath.Join(dir, "signalbox")
	if out, err := exec.Command("go", "build", "-o", *built, "../../cmd/signalbox").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// council is an authority and its sites, each a process.
type council struct {
	*testing.T
	dir      string
	nodes    []*process // the authority's first
	officer  envelope.PrivateKey
	given    uint64
	wiring   *wiring // nil: all on loopback
	bin      string
	identity string
}

// process is one node: the authority's, or a site's.
type process struct {
	c         *council
	id        string
	addr, ops string
	place     int // from 1
	cmd       *exec.Cmd
	log       *bytes.Buffer
	exited    chan struct{}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// convene holds the ceremony for so many nodes, with more of its options, and starts none.
func convene(t *testing.T, count int, w *wiring, options ...string) *council {
	t.Helper()
	c := &council{T: t, dir: t.TempDir(), bin: *built, wiring: w, identity: "rx-officer-1"}
	c.run("init", "officer", c.identity, "--dir", c.in("officer"))
	args := []string{
		"init", "authority", "--dir", c.in("authority"), "--network", "rx-network-1", "--officer", c.in("officer", "request.pem"),
		"--node", "node-1=127.0.0.1:1=rx-platform-1/prescription",
	}
	c.nodes = []*process{c.place("authority")}
	for i := 2; i <= count; i++ {
		p := c.found(fmt.Sprintf("site-%d", i))
		c.nodes = append(c.nodes, p)
		args = append(args, "--validator", c.in(p.id, "node.json"))
	}
	own := c.nodes[0]
	c.run(append(append(args, options...), "--chain-listen", own.listen(), "--chain-address", own.addr, "--ops", own.ops)...)
	for _, p := range c.nodes[1:] {
		c.copyGenesis(p, "authority")
	}
	d := party.Dir(c.in("officer"))
	passphrase, err := party.Passphrase(d.Path(party.PassphraseFile))
	must(t, err)
	must(t, party.LoadKeys(passphrase, []party.Slot{{Key: &c.officer, Use: envelope.Signing, File: d.SigningFile()}}))
	return c
}

func (c *council) in(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// run runs a command to its end.
func (c *council) run(args ...string) []byte {
	c.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.Fatalf("signalbox %v: %v\n%s", args, err, out)
	}
	return out
}

func (c *council) try(args ...string) ([]byte, error) {
	return exec.CommandContext(c.Context(), c.bin, append([]string{"--lang", "en"}, args...)...).CombinedOutput()
}

// office runs an officer's command.
func (c *council) office(args ...string) []byte {
	c.Helper()
	return c.run(append(append([]string{"authority"}, args...), "--data", c.in("authority"))...)
}

func (c *council) order(args ...string) {
	c.Helper()
	c.office(append(args, "--keys", c.in("officer"), "--reason", "test")...)
	c.given = c.status().LastOrder
}

// place gives a node an address that nobody else has, and one for its figures.
func (c *council) place(id string) *process {
	c.Helper()
	p := &process{c: c, id: id, place: len(c.nodes) + 1}
	if c.wiring != nil {
		p.addr, p.ops = fmt.Sprintf("10.77.0.%d:7100", p.place), fmt.Sprintf("10.77.0.%d:7200", p.place)
		return p
	}
	p.addr, p.ops = freeAddress(c.T), freeAddress(c.T)
	return p
}

// listen is what the node binds to: in a namespace of its own, before it has the address.
func (p *process) listen() string {
	if p.c.wiring != nil {
		return "0.0.0.0:7100"
	}
	return p.addr
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// found makes a site's folder.
func (c *council) found(id string) *process {
	c.Helper()
	p := c.place(id)
	c.run("init", "node", id, "--dir", c.in(id), "--listen", p.listen(), "--address", p.addr, "--ops", p.ops)
	return p
}

// configure changes a node's configuration.
func (p *process) configure(old, new string) {
	p.c.Helper()
	file := p.c.in(p.id, "node.yaml")
	if p.id == "authority" {
		file = p.c.in(p.id, "authority.yaml")
	}
	text, err := os.ReadFile(file)
	must(p.c.T, err)
	if !strings.Contains(string(text), old) {
		p.c.Fatalf("%s has no %q", file, old)
	}
	must(p.c.T, os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
}

func (c *council) copyGenesis(p *process, authority string) {
	c.Helper()
	data, err := os.ReadFile(c.in(authority, party.GenesisFile))
	must(c.T, err)
	must(c.T, os.WriteFile(c.in(p.id, party.GenesisFile), data, 0o600))
}

// start starts nodes; none of them waits for another.
func (c *council) start(all ...*process) {
	c.Helper()
	for _, p := range all {
		role, file := "node", c.in(p.id, "node.yaml")
		if p.id == "authority" {
			role, file = "authority", c.in(p.id, "authority.yaml")
		}
		p.cmd, p.log, p.exited = exec.Command(c.bin, role, "run", "--config", file), &bytes.Buffer{}, make(chan struct{})
		p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if c.wiring != nil {
			p.cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNET
		}
		must(c.T, p.cmd.Start())
		go func(cmd *exec.Cmd, exited chan struct{}) { cmd.Wait(); close(exited) }(p.cmd, p.exited)
		c.Cleanup(p.kill)
		if c.wiring != nil {
			c.wiring.plug(c.T, p)
		}
	}
}

// kill ends a node as a power cut does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

// stop ends a node as its operator does, and wants a clean end.
func (p *process) stop() {
	p.c.Helper()
	must(p.c.T, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.c.Fatalf("%s does not stop", p.id)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.c.Errorf("%s ended with %d:\n%s", p.id, code, p.log)
	}
}

// figure reads one of a node's; -1 while it has none.
func (p *process) figure(name string) float64 {
	r, err := (&http.Client{Timeout: 2 * time.Second}).Get("http://" + p.ops + "/metrics")
	if err != nil {
		return -1
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return -1
	}
	found := regexp.MustCompile(`(?m)^signalbox_` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		return -1
	}
	f, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return -1
	}
	return f
}

func (p *process) height() float64 { return p.figure("chain_height") }
func (p *process) peers() float64  { return p.figure("chain_peers") }

// until waits for something.
func (c *council) until(what string, holds func() bool) time.Duration {
	c.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > patience {
			for _, p := range c.nodes {
				if p.log != nil {
					c.Logf("%s:\n%.4000s", p.id, p.log)
				}
			}
			c.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

func (c *council) client() *oversight.Client {
	return oversight.NewClient(oversight.Socket(c.in("authority")))
}

func (c *council) status() oversight.Status {
	c.Helper()
	cl := c.client()
	defer cl.Close()
	var s oversight.Status
	c.until("the authority answers", func() (ok bool) {
		var err error
		s, err = cl.Status(c.Context())
		return err == nil
	})
	return s
}

// decide has the chain carry out the next order within a time: the light load.
func (c *council) decide(within time.Duration) (time.Duration, error) {
	c.Helper()
	ctx, stop := context.WithTimeout(c.Context(), within)
	defer stop()
	begun := time.Now()
	signed := c.signed(c.given + 1)
	cl := c.client()
	defer cl.Close()
	_, err := cl.Order(ctx, signed)
	if err == nil {
		c.given++
	}
	return time.Since(begun), err
}

// must wants so many decisions, and gives the longest wait.
func (c *council) decisions(count int) (longest time.Duration) {
	c.Helper()
	for range count {
		took, err := c.decide(patience)
		must(c.T, err)
		longest = max(longest, took)
	}
	return longest
}

func (c *council) signed(number uint64) chain.SignedOrder {
	c.Helper()
	return c.composed(number, contract.StandingSet, contract.StandingChange{Institution: "rx-pharmacy-1", Standing: "deny"})
}

// composed is an order as the officer's tool would sign it.
func (c *council) composed(number uint64, kind contract.Kind, what any) chain.SignedOrder {
	c.Helper()
	body, err := flow.Marshal(what)
	must(c.T, err)
	now := time.Now()
	o, err := flow.Marshal(contract.Order{
		Number: number, Kind: kind, Officer: c.identity, Reason: "test",
		Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Body: body,
	})
	must(c.T, err)
	sig, err := envelope.GM().Sign(rand.Reader, c.officer, chain.OrderInput("rx-supervision", o))
	must(c.T, err)
	return chain.SignedOrder{Order: o, Signature: sig}
}

// agree waits until all are at the authority's height.
func (c *council) agree(all ...*process) {
	c.Helper()
	c.until("all nodes are at one height", func() bool {
		at := c.nodes[0].height()
		for _, p := range all {
			if at < 0 || p.height() != at {
				return false
			}
		}
		return true
	})
}

// replay stops the nodes, and re-executes every one's chain from its first block:
// each application hash in it must be what execution gives, and all must be the
// same chain.
func (c *council) replay(all ...*process) {
	c.Helper()
	text, err := os.ReadFile(c.in("authority", "authority.pub"))
	must(c.T, err)
	keys, err := receipt.ParseKeys(string(text))
	must(c.T, err)
	blocks := map[int64]bool{}
	for _, p := range all {
		p.stop()
		got, err := chain.Replay(c.Context(), c.in(p.id, "chain"), keys, func(chain.Decided) error { return nil })
		if err != nil || len(got.Problems) > 0 {
			c.Errorf("replaying %s: %v %v", p.id, err, got.Problems)
		}
		blocks[got.Blocks] = true
	}
	if len(blocks) != 1 {
		c.Errorf("nodes stopped at different blocks: %v", blocks)
	}
}

// decoded reads JSON.
func decoded[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

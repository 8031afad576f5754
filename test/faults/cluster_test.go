package faults

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Roles of the parties.
const (
	authority  = "authority"
	fusionNode = "fusion"
	platform_  = "platform"
	business   = "ledger"
)

func roles() []string { return []string{authority, fusionNode, platform_, business} }

// cluster is the parties as processes, and where they keep what they have.
type cluster struct {
	*testing.T
	dir     string
	control *controller
	all     []*process // in order of start
	role    map[string]*process
	url     string // of the platform's API
	client  http.Client

	data     string // of the all-in-one
	chainDir string // supervision chain
	business string // business chain
	keys     string // the authority's published log keys

	next int               // number of the next record
	want map[string]string // number: ref of every record that was taken in
	mu   sync.Mutex        // guards next and want
}

// build makes the binary once for all tests.
var build = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return filepath.Abs(*binary)
	}
	dir, err := os.MkdirTemp("", "signalbox-faults-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "signalbox")
	cmd := exec.Command("go", "build", "-tags", "faults", "-o", file, "signalbox.dev/signalbox/cmd/signalbox")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building signalbox: %w\n%s", err, out)
	}
	return file, nil
})

// newCluster starts the parties.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := prepareCluster(t)
	c.start()
	return c
}

// prepareCluster makes the parties and does not start them.
func prepareCluster(t *testing.T) *cluster {
	t.Helper()
	bin, err := build()
	must(t, err)
	dir, err := os.MkdirTemp("", "sbf") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{T: t, dir: dir, control: newController(t, dir), want: map[string]string{}, role: map[string]*process{}}
	c.client.Timeout = 10 * time.Second
	c.data = filepath.Join(dir, "data")
	c.chainDir, c.business, c.keys = filepath.Join(c.data, "authority", "chain"), filepath.Join(c.data, "business", "chain"), filepath.Join(c.data, "authority.pub")
	addr := free(t)
	c.url = "http://" + addr
	p := &process{
		name: "all", bin: bin, args: []string{"up", "--data", c.data, "--listen", addr, "--log-level", "warn"},
		env: []string{"SIGNALBOX_FAULTS=" + c.control.listen(t, "all")}, log: filepath.Join(dir, "all.log"),
	}
	c.all = []*process{p}
	for _, r := range roles() {
		c.role[r] = p
	}
	t.Cleanup(c.end)
	return c
}

// folders are the parties' data folders.
func (c *cluster) folders() map[string]string { return map[string]string{"all": c.data} }

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// start starts every process and waits until the platform is ready.
func (c *cluster) start() {
	c.Helper()
	for _, p := range c.all {
		p.start(c.T)
	}
	c.ready(90 * time.Second)
}

func (c *cluster) ready(within time.Duration) {
	c.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r, err := c.client.Get(c.url + "/readyz")
		if err != nil {
			continue
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return
		}
	}
	c.Fatalf("not ready within %s\n%s", within, c.tails())
}

// stop ends every process, the last one first, as an operator would.
func (c *cluster) stop() {
	c.Helper()
	c.control.quiet()
	for i := len(c.all) - 1; i >= 0; i-- {
		if err := c.all[i].stop(30 * time.Second); err != nil {
			c.Errorf("stopping: %v\n%s", err, c.all[i].tail())
		}
	}
}

// end is for the test's end, whatever came before.
func (c *cluster) end() {
	c.control.quiet()
	for i := len(c.all) - 1; i >= 0; i-- {
		c.all[i].end()
	}
}

func (c *cluster) tails() (s string) {
	for _, p := range c.all {
		s += "== " + p.name + "\n" + p.tail() + "\n"
	}
	return s
}

// restarts is how often processes were started, in all.
func (c *cluster) restarts() (n int) {
	for _, p := range c.all {
		starts, _ := p.life()
		n += starts - 1
	}
	return n
}

// fsck runs the command on the stopped parties.
func (c *cluster) fsck(ctx context.Context) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.all[0].bin, "fsck", "--json", "--data", c.data)
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("fsck: %w", err)
	}
	return out, nil
}

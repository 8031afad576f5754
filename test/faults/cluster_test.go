package faults

import (
	"fmt"
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

// roles are all of them, in order of start.
func roles() []string { return []string{authority, fusionNode, business, platform_} }

// cluster is the parties as processes, and where they keep what they have.
type cluster struct {
	*testing.T
	dir     string
	control *controller
	all     []*process // in order of start
	role    map[string]*process
	url     string // of the platform's API
	client  http.Client

	places

	next int               // number of the next record
	want map[string]string // number: ref of every record that was taken in
	mu   sync.Mutex        // guards next and want
}

// scratch are folders that all tests share.
var scratch []string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range scratch {
		os.RemoveAll(dir)
	}
	os.Exit(code)
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
	scratch = append(scratch, dir)
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
	c.warm()
	return c
}

// warm plays a flow to its end, so that whoever takes part is enrolled.
func (c *cluster) warm() {
	c.Helper()
	c.register(c.Context(), 1, 1)
	c.settle(1, 90*time.Second)
}

// prepareCluster founds the parties and admits them; nothing runs afterwards. The
// first cluster's founding serves the others too, on the same addresses: they are
// not there at the same time.
func prepareCluster(t *testing.T) *cluster {
	t.Helper()
	bin, err := build()
	must(t, err)
	dir, err := os.MkdirTemp("", "sbf") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	f, err := founded()
	must(t, err)
	must(t, copyFolder(f.dir, filepath.Join(dir, "parties")))
	return assemble(t, bin, dir, f.places)
}

// copyFolder copies a folder with its permissions.
func copyFolder(from, to string) error {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w: %s", from, err, out)
	}
	return nil
}

// assemble makes a cluster of founded parties in dir.
func assemble(t *testing.T, bin, dir string, at places) *cluster {
	t.Helper()
	c := &cluster{T: t, dir: dir, places: at, control: newController(dir), want: map[string]string{}, role: map[string]*process{}}
	c.client.Timeout = 10 * time.Second
	c.url = "http://" + at.api
	for _, r := range roles() {
		p := &process{
			name: r, bin: bin, log: filepath.Join(dir, r+".log"),
			args: []string{r, "run", "--config", filepath.Join(c.folder(r), r+".yaml")},
			env:  []string{"SIGNALBOX_FAULTS=" + c.control.listen(t, r)},
		}
		c.all, c.role[r] = append(c.all, p), p
	}
	t.Cleanup(c.end)
	return c
}

// folder is a party's.
func (c *cluster) folder(role string) string { return filepath.Join(c.dir, "parties", role) }

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

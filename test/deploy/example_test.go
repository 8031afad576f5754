// Package deploy runs what deploy/ holds.
package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const patience = 5 * time.Minute

// example is a run of deploy/example in a folder and on ports of its own.
type example struct {
	dir   string // absolute, of the parties
	env   []string
	ports int // first of twenty
}

func newExample(t *testing.T) example {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "setsid"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the example's scripts need %s", tool)
		}
	}
	program := filepath.Join(t.TempDir(), "signalbox")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/signalbox")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	e := example{dir: filepath.Join(t.TempDir(), "parties"), ports: freePorts(t, 20)}
	e.env = append(os.Environ(), "SIGNALBOX="+program, "EXAMPLE="+e.dir, "PORTS="+strconv.Itoa(e.ports), "PARTIES=loopback", "SUITE=gm")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := e.run(ctx, "down.sh"); err != nil {
			t.Errorf("down.sh: %v\n%s", err, out)
		}
	})
	return e
}

// freePorts finds n ports in a row on loopback that nobody listens on now.
func freePorts(t *testing.T, n int) int {
	t.Helper()
search:
	for first := 20_000; first < 32_000; first += n {
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				continue search
			}
			l.Close()
		}
		return first
	}
	t.Skip("no free ports in a row")
	return 0
}

func (e example) run(ctx context.Context, script string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, filepath.Join("..", "..", "deploy", "example", script), args...)
	c.Env = e.env
	// To files, not pipes: the parties that up.sh starts outlive it.
	var out bytes.Buffer
	f, err := os.CreateTemp("", "example")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	c.Stdout, c.Stderr = f, f
	err = c.Run()
	if _, seekErr := f.Seek(0, 0); seekErr == nil {
		_, _ = out.ReadFrom(f)
	}
	return out.String(), err
}

func (e example) must(t *testing.T, script string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := e.run(ctx, script, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// R7.2, R7.3, R1.3: authority, two fusion nodes, two platforms and their business
// chains run as processes of their own, each with its own folder and keys; flows
// of both platforms come to their end, every decision with a receipt that the
// authority's keys verify; and all of it again after everything was stopped.
func TestExample(t *testing.T) {
	if testing.Short() {
		t.Skip("starts seven processes")
	}
	e := newExample(t)
	for round := range 2 {
		out := e.must(t, "up.sh")
		if got := strings.Count(out, "is delivered, 6 receipts hold"); got != 4 {
			t.Fatalf("round %d: %d flows were delivered, want 4:\n%s", round, got, out)
		}
		e.apart(t)
		if round == 0 {
			e.figures(t)
		}
		if out := e.must(t, "down.sh"); strings.Count(out, "stopped ") != len(parties()) || strings.Contains(out, "killing") {
			t.Errorf("round %d: want seven parties stopped by themselves:\n%s", round, out)
		}
	}
	e.private(t)
	e.must(t, "down.sh", "--purge")
	if _, err := os.Stat(e.dir); !os.IsNotExist(err) {
		t.Errorf("after the purge: %v", err)
	}
}

// private checks that nobody but the owner reads anything.
func (e example) private(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && d.Type()&fs.ModeSymlink == 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// figures checks that each role shows operators what it does.
func (e example) figures(t *testing.T) {
	t.Helper()
	for offset, line := range map[int]string{
		0:  "signalbox_decisions_total{verdict=\"granted\"} ", // authority
		6:  "signalbox_fusion_backlog{",                       // node-north
		9:  "signalbox_link_up{peer=\"business chain\"} 1\n",  // platform-north
		16: "signalbox_ledger_records 10\n",                   // ledger-north: two flows of five records
	} {
		w, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", e.ports+offset))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(w.Body)
		w.Body.Close()
		if err != nil || !strings.Contains(string(body), line) {
			t.Errorf("no %q among the figures (%v)", line, err)
		}
	}
}

// apart checks that no process has a file of another party open (R7.2, R7.3).
func (e example) apart(t *testing.T) {
	t.Helper()
	own := 0
	for _, name := range parties() {
		pid, err := os.ReadFile(filepath.Join(e.dir, "run", name+".pid"))
		if err != nil {
			t.Fatal(err)
		}
		fds, err := filepath.Glob(filepath.Join("/proc", strings.TrimSpace(string(pid)), "fd", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			file, err := os.Readlink(fd)
			if err != nil || !strings.HasPrefix(file, e.dir+"/") || file == filepath.Join(e.dir, "run", name+".log") {
				continue // closed since, or no party's
			}
			if !strings.HasPrefix(file, filepath.Join(e.dir, name)+"/") {
				t.Errorf("%s has %s open", name, file)
			}
			own++
		}
	}
	if own == 0 {
		t.Error("no process has any file open: this looks at the wrong ones")
	}
}

func parties() []string {
	return []string{"authority", "node-north", "node-south", "ledger-north", "ledger-south", "platform-north", "platform-south"}
}

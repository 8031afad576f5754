package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/platform"
)

// upProcess is `signalbox up` as a process.
type upProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	out  *bytes.Buffer
}

func startUp(t *testing.T, dir string) *upProcess {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	u := &upProcess{t: t, addr: l.Addr().String(), out: &bytes.Buffer{}}
	l.Close()
	u.cmd = program(context.Background(), "up", "--data", dir, "--listen", u.addr, "--log-level", "error")
	u.cmd.Stdout, u.cmd.Stderr = u.out, u.out
	must(t, u.cmd.Start())
	t.Cleanup(func() { u.cmd.Process.Kill(); u.cmd.Wait() })
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r, err := http.Get("http://" + u.addr + "/readyz")
		if err != nil {
			continue
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return u
		}
	}
	t.Fatalf("signalbox up is not ready:\n%s", u.out)
	return nil
}

// post registers a record without waiting; an error is for a process that died.
func (u *upProcess) post(data []byte) error {
	r, err := http.Post("http://"+u.addr+"/api/v1/records", "application/json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusAccepted && r.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(r.Body)
		u.t.Errorf("posting a record: %s\n%s", r.Status, body)
	}
	return nil
}

func (u *upProcess) flows() (out []platform.FlowView) {
	u.t.Helper()
	r, err := http.Get("http://" + u.addr + "/api/v1/flows?limit=500")
	must(u.t, err)
	defer r.Body.Close()
	var page struct {
		Flows []platform.FlowView `json:"flows"`
	}
	must(u.t, json.NewDecoder(r.Body).Decode(&page))
	return page.Flows
}

// await waits until so many steps are done, of 6 a flow.
func (u *upProcess) await(steps int) {
	u.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		done := 0
		for _, f := range u.flows() {
			for _, s := range f.Steps {
				if s.State.Final() {
					done++
				}
			}
		}
		if done >= steps {
			return
		}
	}
	u.t.Fatalf("%d steps were not done in time\n%s", steps, u.out)
}

// kill -9 in the middle of flows, three times over: after the last restart all of
// them finish, none twice, and both chains hold (the order of writes; R1.7).
func TestKill9(t *testing.T) {
	set, err := inputs(nil)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	for _, steps := range []int{3, len(set), 4 * len(set)} {
		u := startUp(t, dir)
		var wg sync.WaitGroup
		for _, in := range set {
			wg.Go(func() { _ = u.post(in.data) }) // many die with the process
		}
		u.await(steps)
		must(t, u.cmd.Process.Signal(syscall.SIGKILL))
		u.cmd.Wait()
		wg.Wait()
	}
	u := startUp(t, dir)
	for _, in := range set { // what never got in comes again; what did is the same record
		must(t, u.post(in.data))
	}
	finish(t, u, len(set))
	must(t, u.cmd.Process.Signal(os.Interrupt))
	if err := u.cmd.Wait(); err != nil {
		t.Errorf("ending: %v\n%s", err, u.out)
	}
	checkAfterKill(t, dir, len(set))
}

func finish(t *testing.T, u *upProcess, want int) {
	t.Helper()
	var states map[string]int
	for deadline := time.Now().Add(120 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		states = map[string]int{}
		anchored := true
		for _, f := range u.flows() {
			states[string(f.State)]++
			anchored = anchored && allAnchored(f)
		}
		if states["delivered"] == want && len(states) == 1 && anchored {
			return
		}
	}
	t.Fatalf("flows stand at %v, want %d delivered\n%s", states, want, u.out)
}

// checkAfterKill wants every flow once on both chains.
func checkAfterKill(t *testing.T, dir string, flows int) {
	t.Helper()
	code, stdout, stderr := call(t, "fsck", "--json", "--data", dir)
	var found struct {
		Records         int      `json:"records"`
		Unfinished      int      `json:"unfinished"`
		Inconsistencies []string `json:"inconsistencies"`
	}
	must(t, json.Unmarshal([]byte(stdout), &found))
	if code != exitOK || len(found.Inconsistencies) != 0 || found.Unfinished != 0 {
		t.Errorf("fsck: exit %d\n%s\n%s", code, stdout, stderr)
	}
	if want := 5 * flows; found.Records != want {
		t.Errorf("%d business records, want %d: each of %d flows once", found.Records, want, flows)
	}
}

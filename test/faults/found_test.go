package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Names of the parties.
const (
	platformID = "rx-platform-1"
	nodeID     = "node-1"
	networkID  = "rx-network-1"
)

// places are where parties listen.
type places struct {
	node, chain, api string
	ops              map[string]string // by role
}

// loopback gives places that nobody listens on.
func loopback() (places, error) {
	var all []string
	for range 3 + len(roles()) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return places{}, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	at := places{node: all[0], chain: all[1], api: all[2], ops: map[string]string{}}
	for i, r := range roles() {
		at.ops[r] = all[3+i]
	}
	return at, nil
}

// founding is the parties' folders as they stand when everybody is admitted and
// nobody runs.
type founding struct {
	dir    string
	places places
}

// founded is one founding on loopback for all tests.
var founded = sync.OnceValues(func() (founding, error) {
	at, err := loopback()
	if err != nil {
		return founding{}, err
	}
	dir, err := os.MkdirTemp("", "sbf")
	if err != nil {
		return founding{}, err
	}
	scratch = append(scratch, dir)
	return founding{dir: dir, places: at}, found(dir, at)
})

// found makes everybody's folder in dir, and has them admitted.
func found(dir string, at places) error {
	bin, err := build()
	if err != nil {
		return err
	}
	f := founder{bin: bin, dir: dir}
	node := func(whom string) string { return nodeID + "=" + at.node + "=" + whom }
	ops := func(role string) string { return at.ops[role] }
	f.init("officer", "officer-1", "--dir", f.path("officer"))
	f.init("authority", "--dir", f.path(authority), "--network", networkID, "--officer", f.path("officer", "request.pem"), "--trial",
		"--node", node(platformID+"/prescription"), "--ops", ops(authority))
	f.init("fusion", nodeID, "--dir", f.path(fusionNode), "--listen", at.node, "--route", platformID+"/prescription", "--ops", ops(fusionNode))
	platform := f.init("platform", platformID, "--dir", f.path(platform_), "--network", networkID, "--trial",
		"--node", node("prescription"), "--ledger", at.chain, "--api", at.api, "--ops", ops(platform_))
	chain := f.init("ledger", "--dir", f.path(business), "--network", networkID, "--authority", f.path(authority, "authority.json"),
		"--platform", platformID+"="+platform.Pin, "--listen", at.chain, "--ops", ops(business))
	f.edit(f.path(platform_, "platform.yaml"), `pin: ""`, `pin: "`+chain.Pin+`"`)
	for _, r := range roles() {
		f.edit(f.path(r, r+".yaml"), "level: info", "level: warn")
	}
	f.admit(map[string][]string{
		fusionNode: {f.path(fusionNode, "request.pem")},
		platform_:  append([]string{f.path(platform_, "request.pem")}, platform.TrialRequests...),
	})
	return f.err
}

// founder runs the commands that found parties; the first error stops them.
type founder struct {
	bin, dir string
	err      error
}

func (f *founder) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

func (f *founder) run(args ...string) []byte {
	if f.err != nil {
		return nil
	}
	var stderr bytes.Buffer
	cmd := exec.Command(f.bin, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.err = fmt.Errorf("signalbox %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}

// made is what an init prints, as far as it is needed.
type made struct {
	Pin           string   `json:"pin"`
	TrialRequests []string `json:"trial_requests"`
}

func (f *founder) init(args ...string) (m made) {
	out := f.run(append(append([]string{"init"}, args...), "--json")...)
	if f.err == nil {
		f.err = json.Unmarshal(out, &m)
	}
	return m
}

// edit replaces a text of a file, which must be there.
func (f *founder) edit(file, old, text string) {
	if f.err != nil {
		return
	}
	b, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(b), old) {
		err = fmt.Errorf("%s has no %q:\n%s", file, old, b)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(b), old, text, 1)), 0o600)
	}
	f.err = err
}

// admit runs the authority while it admits each role's requests.
func (f *founder) admit(requests map[string][]string) {
	if f.err != nil {
		return
	}
	var log bytes.Buffer
	cmd := exec.Command(f.bin, authority, "run", "--config", f.path(authority, "authority.yaml"))
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if f.err = cmd.Start(); f.err != nil {
		return
	}
	defer func() {
		f.err = errors.Join(f.err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
		if f.err != nil {
			f.err = fmt.Errorf("%w\n%s", f.err, log.String())
		}
	}()
	for role, files := range requests {
		args := append([]string{authority, "admit"}, files...)
		args = append(args, "--data", f.path(authority), "--keys", f.path("officer"), "--reason", "for the fault matrix",
			"--out", f.path(role, "admission.json"))
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			f.run(args...)
			if f.err == nil || time.Now().After(deadline) {
				break
			}
			f.err = nil // the officers' socket is not there yet
		}
	}
}

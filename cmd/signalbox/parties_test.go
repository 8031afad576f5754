package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/system"
)

// apart is a network whose parties run apart: one authority, two fusion nodes, two
// platforms on trial with a business chain each, seven processes in all.
type apart struct {
	*testing.T
	dir   string
	at    map[string]string // address by what listens there
	parts map[string]*part
}

// part is one process and how it is started.
type part struct {
	args []string
	cmd  *exec.Cmd
	out  *bytes.Buffer
}

// freeAddress is a loopback address that nobody listened on just now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// inited runs an init command and gives what it says.
func inited(t testing.TB, args ...string) made {
	t.Helper()
	code, stdout, stderr := call(t, append(append([]string{"init"}, args...), "--json")...)
	var m made
	if code != exitOK || json.Unmarshal([]byte(stdout), &m) != nil {
		t.Fatalf("init %v: exit %d\n%s\n%s", args, code, stdout, stderr)
	}
	return m
}

// newApart founds everybody and starts nobody.
func newApart(t *testing.T, suite string) *apart {
	t.Helper()
	x := &apart{T: t, dir: t.TempDir(), at: map[string]string{}, parts: map[string]*part{}}
	for _, what := range []string{"node-1", "node-2", "l1", "l2", "p1", "p2"} {
		x.at[what] = freeAddress(t)
	}
	inited(t, "officer", "officer-1", "--dir", x.in("officer"), "--suite", suite)
	nodes := []string{}
	for _, i := range []string{"1", "2"} {
		nodes = append(nodes, "--node", "node-"+i+"="+x.at["node-"+i]+"=platform-"+i+"/prescription")
	}
	x.prepare("authority", "authority", append([]string{
		"--suite", suite, "--network", "net-1", "--network", "net-2", "--officer", x.in("officer", "request.pem"), "--trial",
	}, nodes...)...)
	for _, i := range []string{"1", "2"} {
		x.prepare("fusion", "node-"+i, "node-"+i, "--suite", suite, "--listen", x.at["node-"+i], "--route", "platform-"+i+"/prescription")
		p := x.prepare("platform", "p"+i, "platform-"+i, "--suite", suite, "--network", "net-"+i, "--trial", "--api", x.at["p"+i],
			"--node", "node-"+i+"="+x.at["node-"+i]+"=prescription", "--ledger", x.at["l"+i])
		l := x.prepare("ledger", "l"+i, "--network", "net-"+i, "--authority", x.in("authority", "authority.json"),
			"--platform", "platform-"+i+"="+p.Pin, "--listen", x.at["l"+i])
		x.edit(x.in("p"+i, "platform.yaml"), `pin: ""`, `pin: "`+l.Pin+`"`)
	}
	return x
}

func (x *apart) in(parts ...string) string {
	return filepath.Join(append([]string{x.dir}, parts...)...)
}

// prepare makes a party's folder, with a free address for operators.
func (x *apart) prepare(role, name string, args ...string) made {
	x.Helper()
	x.at[name+"/ops"] = freeAddress(x)
	x.parts[name] = &part{args: []string{role, "run", "--config", x.in(name, role+".yaml")}}
	return inited(x, append([]string{role, "--dir", x.in(name), "--ops", x.at[name+"/ops"]}, args...)...)
}

func (x *apart) edit(file, old, with string) {
	x.Helper()
	data, err := os.ReadFile(file)
	must(x, err)
	if !bytes.Contains(data, []byte(old)) {
		x.Fatalf("%s has no %s", file, old)
	}
	must(x, os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(with), 1), 0o600))
}

func (x *apart) start(name string) {
	x.Helper()
	p := x.parts[name]
	p.cmd, p.out = program(context.Background(), p.args...), &bytes.Buffer{}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	must(x, p.cmd.Start())
	cmd := p.cmd
	x.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// ready waits until the party says that it does its work.
func (x *apart) ready(name string) {
	x.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r, err := http.Get("http://" + x.at[name+"/ops"] + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
	}
	x.Fatalf("%s is not ready:\n%s", name, x.parts[name].out)
}

// admit has requests admitted and puts the admission file into the folder.
func (x *apart) admit(name string, requests ...string) {
	x.Helper()
	code, stdout, stderr := call(x, append([]string{
		"authority", "admit", "--json", "--data", x.in("authority"), "--keys", x.in("officer"), "--reason", "contract", "--out", x.in(name, "admission.json"),
	}, requests...)...)
	if code != exitOK {
		x.Fatalf("admitting %s: exit %d\n%s%s", name, code, stdout, stderr)
	}
}

// begin starts the authority, has everybody admitted, and starts the others.
func (x *apart) begin() {
	x.Helper()
	x.start("authority")
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if code, _, _ := call(x, "authority", "status", "--data", x.in("authority")); code == exitOK {
			break
		} else if time.Now().After(deadline) {
			x.Fatalf("the authority does not run:\n%s", x.parts["authority"].out)
		}
	}
	for _, i := range []string{"1", "2"} {
		x.admit("node-"+i, x.in("node-"+i, "request.pem"))
		people, err := filepath.Glob(x.in("p"+i, "trial", "*", "request.pem"))
		must(x, err)
		x.admit("p"+i, append(people, x.in("p"+i, "request.pem"))...)
		for _, name := range []string{"node-" + i, "l" + i, "p" + i} {
			x.start(name)
		}
	}
	for name := range x.parts {
		x.ready(name)
	}
}

// api is the API of a platform.
func (x *apart) api(platform string) *upProcess {
	return &upProcess{t: x.T, addr: x.at[platform], out: x.parts[platform].out}
}

// end stops everybody with SIGTERM, platforms first; each ends by itself.
func (x *apart) end() {
	x.Helper()
	for _, name := range []string{"p1", "p2", "authority", "node-1", "node-2", "l1", "l2"} {
		p := x.parts[name]
		must(x, p.cmd.Process.Signal(syscall.SIGTERM))
		if err := p.cmd.Wait(); err != nil {
			x.Errorf("%s ended with %v:\n%s", name, err, p.out)
		}
	}
}

// Seven processes from init to delivered flows, each of them killed and started
// again once on the way; nothing is lost and nothing doubled (R1.3, R7.2, R7.3).
func TestPartiesApart(t *testing.T) {
	set, err := inputs(nil)
	must(t, err)
	x := newApart(t, "gm")
	x.begin()
	half := len(set) / 2
	post := func(from, to int) {
		for i := from; i < to; i++ {
			must(t, x.api("p1").post(set[i].data))
			must(t, x.api("p2").post(set[half+i].data))
		}
	}
	post(0, 2)
	finish(t, x.api("p1"), 2)
	finish(t, x.api("p2"), 2)

	done := 2
	for _, name := range []string{"authority", "node-1", "node-2", "l1", "l2", "p1", "p2"} {
		post(done, done+1)
		done++
		must(t, x.parts[name].cmd.Process.Kill())
		x.parts[name].cmd.Wait()
		x.start(name)
		x.ready(name)
	}
	finish(t, x.api("p1"), done)
	finish(t, x.api("p2"), done)
	x.end()
	code, stdout, stderr := call(t, "fsck", "--json", "--authority", x.in("authority"), "--ledger", x.in("l1"), "--ledger", x.in("l2"))
	var found system.Checked
	must(t, json.Unmarshal([]byte(stdout), &found))
	if code != exitOK || len(found.Inconsistencies) != 0 || found.Unfinished != 0 || found.Records != 2*5*done {
		t.Errorf("fsck: exit %d, want %d records\n%s\n%s", code, 2*5*done, stdout, stderr)
	}
}

// R7.1: a certificate alone gives nothing. Whoever the CA certified and no officer
// admitted is turned away by fusion nodes; the same certificate is good once the
// order stands on the chain.
func TestCertificateAloneGivesNothing(t *testing.T) {
	x := newApart(t, "gm")
	x.begin()
	passphrase, err := party.Passphrase(x.in("authority", "passphrase"))
	must(t, err)
	ca, err := authority.LoadCA(party.Dir(x.in("authority")), passphrase)
	must(t, err)
	key, err := envelope.NewTransportKey(rand.Reader)
	must(t, err)
	now := time.Now()
	der, err := ca.IssueTransport(rand.Reader, envelope.Subject{ID: "platform-9", Role: link.RolePlatform}, key.Public(), nil, now.Add(-time.Minute), now.AddDate(1, 0, 0))
	must(t, err)
	if word, err := x.greeting(link.Identity{CA: ca.Certificate(), Certificate: der, Key: key.Signer()}); err == nil {
		t.Errorf("a node greets one whom nobody admitted: %q", word)
	}
	// The control: the same way, with an identity that was admitted.
	secret, err := party.Passphrase(x.in("p1", "passphrase"))
	must(t, err)
	own, err := party.LoadTransport(party.Dir(x.in("p1")).TransportFile(), secret)
	must(t, err)
	admission, err := party.ReadAdmission(x.in("p1", "admission.json"))
	must(t, err)
	i := slices.IndexFunc(admission.Parties, func(c party.Certified) bool { return c.ID == "platform-1" })
	if _, err := x.greeting(link.Identity{CA: ca.Certificate(), Certificate: admission.Parties[i].Transport, Key: own.Signer()}); err != nil {
		t.Errorf("a node turns an admitted platform away: %v", err)
	}
}

// greeting is the first word that node-1 says on a link.
func (x *apart) greeting(own link.Identity) (string, error) {
	conn, err := tls.Dial("tcp", x.at["node-1"], own.Client(nil))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	word := make([]byte, 4)
	_, err = conn.Read(word)
	return string(word), err
}

// What is wrong with a party's folder or configuration is said before anything
// runs: where it is and what to do.
func TestPartyMistakes(t *testing.T) {
	x := newApart(t, "gm")
	other := newApart(t, "gm")
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	fusion := func(more string) string {
		return write("fusion.yaml", fmt.Sprintf("directory: %s\nlisten: 127.0.0.1:0\nroutes: [{platform: a, business: b}]\n%s", x.in("node-1"), more))
	}
	loose := x.in("node-2", "passphrase")
	must(t, os.Chmod(loose, 0o644))
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no file", []string{"platform", "run", "--config", "/none/platform.yaml"}, "no such file"},
		{"unknown key", []string{"fusion", "run", "--config", fusion("liste: a")}, "fusion.yaml:4:1: liste: unknown key"},
		{"another role", []string{"fusion", "run", "--config", fusion(fmt.Sprintf("directory: %s", x.in("p1")))}, "given twice"},
		{"no pin", []string{"platform", "run", "--config", write("platform.yaml", "network: n\nnodes: [{name: a, address: 'h:1', businesses: [b]}]\nledger: {address: 'h:1', pin: aa}")}, "ledger.pin:"},
		{"not admitted yet", []string{"fusion", "run", "--config", x.in("node-1", "fusion.yaml")}, "admission.json"},
		{"loose passphrase", []string{"fusion", "run", "--config", x.in("node-2", "fusion.yaml")}, "chmod 600"},
		{"no nodes", []string{"authority", "run", "--config", write("authority.yaml", "directory: .")}, "nodes: none"},
		{"foreign folder", []string{"ledger", "run", "--config", write("ledger.yaml", fmt.Sprintf("directory: %s\nlisten: 127.0.0.1:0\nplatforms: [{id: p, pin: %s}]", x.in("p1"), strings.Repeat("a", 64)))}, "folder of a platform"},
		{"init over a folder", []string{"init", "officer", "o", "--dir", x.in("officer")}, "nothing is overwritten"},
		{"request that is none", []string{"authority", "admit", x.in("p1", "card.json"), "--data", x.in("authority"), "--keys", x.in("officer"), "--reason", "r", "--out", x.in("a.json")}, "certificate request is not valid"},
		{"another request", []string{"authority", "admit", x.in("p1", "request.pem"), "--fingerprint", strings.Repeat("0", 64), "--data", x.in("authority"), "--keys", x.in("officer"), "--reason", "r", "--out", x.in("a.json")}, "none of those given"},
		{"authority away", []string{"authority", "admit", x.in("p1", "request.pem"), "--data", x.in("authority"), "--keys", x.in("officer"), "--reason", "r", "--out", x.in("a.json")}, "not running"},
		{"ledger alone", []string{"fsck", "--data", x.dir, "--ledger", x.in("l1")}, "--authority"},
		{"another suite's pin", []string{"init", "ledger", "--dir", x.in("l9"), "--network", "n", "--authority", other.in("authority", "authority.json"), "--platform", "p=abc", "--listen", "127.0.0.1:1"}, "no pin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, stdout, stderr := call(t, tc.args...)
			if code != exitFailed || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit %d, %q; want %q\n%s", code, stderr, tc.want, stdout)
			}
		})
	}
	if _, err := os.Stat(x.in("a.json")); err == nil {
		t.Error("a refused admission left an admission file")
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/internal/witness/witnesstest"
	"signalbox.dev/signalbox/receipt"
)

// newWitness makes a witness's folder by the command, and gives its configuration and a client.
func newWitness(t *testing.T, l *witnesstest.Log) (conf string, c *witness.Client) {
	t.Helper()
	dir, keys, addr := filepath.Join(t.TempDir(), "witness"), filepath.Join(t.TempDir(), "log.pub"), freeAddress(t)
	must(t, os.WriteFile(keys, []byte("# the log\n"+l.VKey+"\n"), 0o600))
	code, stdout, stderr := call(t, "init", "witness", "witness.example/1", "--dir", dir, "--listen", addr, "--log", keys, "--ops", "127.0.0.1:0", "--json")
	var m made
	if code != exitOK || json.Unmarshal([]byte(stdout), &m) != nil {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	key, err := receipt.ParseCosigner(m.Key)
	must(t, err)
	c, err = witness.NewClient("http://"+addr, key, witness.NewHTTP(10*time.Second))
	must(t, err)
	info, err := os.Stat(filepath.Join(dir, "keys", "witness.pem"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key file's mode is %s", info.Mode())
	}
	return m.Configuration, c
}

// startWitness runs one as a process until kill is called.
func startWitness(t *testing.T, conf string, c *witness.Client) (kill func()) {
	t.Helper()
	cmd := program(context.Background(), "witness", "run", "--config", conf)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	kill = func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() }
	t.Cleanup(kill)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := c.Latest(t.Context(), "supervision-test"); err == nil {
			return kill
		}
	}
	t.Fatalf("the witness does not answer:\n%s", &out)
	return nil
}

// kill -9 while it cosigns, again and again: what it has signed it never takes back,
// and no other history comes through afterwards (state before signature).
func TestWitnessKill9(t *testing.T) {
	l := witnesstest.New(t, "supervision-test")
	l.Grow(t, 4000, "x")
	conf, c := newWitness(t, l)
	signed := int64(0) // the largest size whose cosignature came
	for range 4 {
		kill := startWitness(t, conf, c)
		latest, err := c.Latest(t.Context(), "supervision-test")
		must(t, err)
		at := int64(0)
		if latest != nil {
			h, err := receipt.OpenHead(latest, l.Keys)
			must(t, err)
			if _, who, err := receipt.Cosignatures(latest, c.Key()); err != nil || len(who) != 1 {
				t.Errorf("what it shows is not cosigned: %v", err)
			}
			at = h.Size
		}
		if at < signed {
			t.Fatalf("it has signed size %d and remembers %d", signed, at)
		}
		if at > 1 {
			fork := l.Fork(t, at-1)
			fork.Grow(t, 1, "other")
			if _, err := c.Add(t.Context(), witness.Request{Old: at, Checkpoint: fork.At(t, at)}); !errors.Is(err, witness.ErrInconsistent) {
				t.Errorf("another root at size %d: %v", at, err)
			}
		}
		time.AfterFunc(150*time.Millisecond, kill)
		for size := at; size < 4000; {
			r := witness.Request{Old: size, Checkpoint: l.At(t, size+1)}
			if size > 0 {
				r.Proof, err = l.Consistency(size, size+1)
				must(t, err)
			}
			if _, err := c.Add(t.Context(), r); err != nil {
				break // it was killed
			}
			size++
			signed = size
		}
	}
	if signed < 2 {
		t.Errorf("no more than %d sizes were signed before the kills", signed)
	}
}

// The monitor's command: silence is 1, a log that shows another history is 3, with the proof.
func TestMonitorOnce(t *testing.T) {
	l := witnesstest.New(t, "supervision-test")
	l.Grow(t, 9, "x")
	server := httptest.NewServer(witness.PublicHandler(l))
	defer server.Close()
	dir := t.TempDir()
	policy, conf := filepath.Join(dir, "log.policy"), filepath.Join(dir, "monitor.yaml")
	must(t, os.WriteFile(policy, []byte("log "+l.VKey+" "+server.URL+"\nquorum none\n"), 0o600))
	must(t, os.WriteFile(conf, []byte("directory: seen\npolicy: log.policy\nlog: {level: error}\n"), 0o600))
	round := func(args ...string) (int, string) {
		code, stdout, _ := call(t, append(args, "monitor", "run", "--config", conf, "--once")...)
		return code, stdout
	}
	if code, out := round(); code != exitOK || !strings.Contains(out, "✓ log supervision-test: 9 entries") {
		t.Errorf("exit %d\n%s", code, out)
	}
	l.Show(8)
	code, out := round("--lang", "zh")
	if code != exitAlarm || !strings.Contains(out, "警报") {
		t.Errorf("a log that was set back: exit %d\n%s", code, out)
	}
	l.Show(0)
	code, stdout, _ := call(t, "monitor", "run", "--config", conf, "--once", "--json")
	var w watched
	must(t, json.Unmarshal([]byte(stdout), &w))
	if code != exitAlarm || len(w.Alarms) != 1 || w.Logs[0].Size != 9 {
		t.Errorf("afterwards: exit %d\n%s", code, stdout)
	}
	must(t, os.Remove(w.Alarms[0]))
	server.Close()
	if code, out := round(); code != exitFailed || !strings.Contains(out, "not reached") {
		t.Errorf("a log that is silent: exit %d\n%s", code, out)
	}
}

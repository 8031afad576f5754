package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"signalbox.dev/signalbox/internal/oversight"
)

// receipts reads the receipts of all decisions so far into files.
func (u *upProcess) receipts(dir string) (files []string) {
	u.t.Helper()
	for _, f := range u.flows() {
		for _, s := range f.Steps {
			r, err := http.Get("http://" + u.addr + "/api/v1/receipts/" + s.Tx.String())
			must(u.t, err)
			data, err := io.ReadAll(r.Body)
			must(u.t, err)
			r.Body.Close()
			file := filepath.Join(dir, s.Tx.String()+".tlog-proof")
			must(u.t, os.WriteFile(file, data, 0o600))
			files = append(files, file)
		}
	}
	return files
}

// R1.7, R8.1: a running system goes through three generations of log keys, across a
// kill. Every receipt ever given verifies by the first key file and by the last one;
// the last one without its hand-overs proves the last ones alone.
func TestKeysRotate(t *testing.T) {
	set, err := inputs(nil)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	o := office{t, startUp(t, dir), dir}
	published := filepath.Join(dir, "authority.pub")
	first, err := os.ReadFile(published)
	must(t, err)
	var given [][]string // by generation
	for generation := 1; ; generation++ {
		must(t, o.u.post(set[generation-1].data))
		delivered(generation, o)
		kept := filepath.Join(t.TempDir(), fmt.Sprint(generation))
		must(t, os.Mkdir(kept, 0o700))
		given = append(given, o.u.receipts(kept))
		if generation == 3 {
			break
		}
		if out := o.orders("keys", "rotate", "--after", "0"); out.Kind != "keys.handover" {
			t.Fatalf("carried out: %+v", out)
		}
		if generation == 1 {
			must(t, o.u.cmd.Process.Signal(syscall.SIGKILL))
			o.u.cmd.Wait()
			o.u = startUp(t, dir)
		}
	}
	v := does[oversight.KeysView](o, "authority", "keys", "show")
	if v.Generation != 3 || len(v.Handovers) != 2 {
		t.Fatalf("%+v", v)
	}
	trusted := t.TempDir()
	old, current := filepath.Join(trusted, "first.pub"), filepath.Join(trusted, "current.pub")
	must(t, os.WriteFile(old, first, 0o600))
	must(t, os.WriteFile(current, fmt.Appendf(nil, "%s\n%s\n", v.Keys[0], v.Keys[1]), 0o600))
	for i, files := range given {
		for _, keys := range []string{old, published} {
			if code, out, _ := call(t, append([]string{"verify", "--keys", keys}, files...)...); code != exitOK {
				t.Errorf("generation %d by %s: exit %d\n%s", i+1, keys, code, out)
			}
		}
	}
	if code, _, _ := call(t, "verify", "--keys", current, given[0][0]); code != exitFailed {
		t.Errorf("the first generation by the newest keys alone: exit %d", code)
	}
	finish(t, o.u, len(given)) // the last anchors come a second after the delivery
	must(t, o.u.cmd.Process.Signal(syscall.SIGTERM))
	o.u.cmd.Wait()
	fsckAgain(t, dir)
}

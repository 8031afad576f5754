package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
)

// R10.1: an operator archives a stopped chain, and from the archive alone lists,
// verifies, gets, exports and restores.
func TestArchiveCommands(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	authority, place, keys := filepath.Join(dir, "authority"), filepath.Join(dir, "archive"), filepath.Join(dir, "authority", "authority.pub")
	c, stop := f.Open(t, filepath.Join(authority, "chain"))
	must(t, os.WriteFile(keys, []byte(f.Published), 0o600))
	var g errgroup.Group
	g.SetLimit(16)
	all := make([]chain.Decided, 270)
	for i := range all {
		sub, h, facts := f.Registration(t, chaintest.Numbered(i))
		tx := f.Compose(t, sub, facts)
		g.Go(func() (err error) { all[i], err = c.Decide(t.Context(), h.ID, tx); return err })
	}
	must(t, g.Wait())
	d, err := archivedAmong(all, 7)
	must(t, err)
	forgotten, err := archivedAmong(all, 9)
	must(t, err)
	given, err := c.Receipt(d)
	must(t, err)
	run := []string{"archive", "run", "--authority", authority, "--to", place, "--decisions", "256", "--json"}
	if code, _, stderr := call(t, run...); code == 0 || !strings.Contains(stderr, "archive.place") {
		t.Errorf("archiving a running chain: exit %d, %s; want it to say what to do", code, stderr)
	}
	_, err = f.GiveTwo(t, c, contract.PayloadErase, contract.Erasure{
		Ground: contract.ByLaw, Basis: "judgment 17", Payloads: []contract.Payload{{Tx: forgotten.Leaf.Tx}},
	})
	must(t, err)
	stop()
	expect(t, `{"archived":256,"waiting":14,"erased":0}`, run...)
	expect(t, `{"archived":256,"waiting":14,"erased":0}`, run...)
	from := []string{"--from", place, "--keys", keys}
	expect(t, `segment 0: decisions 0 to 255`, "archive", "list", "--from", place)
	expect(t, `the archive holds`, append([]string{"archive", "verify"}, from...)...)
	expect(t, d.Leaf.Tx.String(), append([]string{"archive", "get", d.Leaf.Tx.String()}, from...)...)
	expect(t, `erased by officers' order 1 of `, append([]string{"archive", "get", forgotten.Leaf.Tx.String()}, from...)...)
	expect(t, `"erased":{"order":1,`, append([]string{"archive", "get", "--json", forgotten.Leaf.Tx.String()}, from...)...)
	file := filepath.Join(dir, "r.tlog-proof")
	out := expect(t, `"sealed"`, append([]string{"archive", "get", d.Leaf.Tx.String(), "--json", "--receipt", file}, from...)...)
	var got archivedDecision
	must(t, json.Unmarshal([]byte(out), &got))
	raw, err := base64.StdEncoding.DecodeString(got.Transaction)
	must(t, err)
	if chain.TxHash(raw) != d.Leaf.Tx {
		t.Errorf("the transaction is another than %s", d.Leaf.Tx)
	}
	if read, err := os.ReadFile(file); err != nil || !bytes.Equal(read, given) {
		t.Errorf("the receipt is another than was given at the time (%v)", err)
	}
	expect(t, `✓`, "verify", "--keys", keys, file)
	expect(t, `"decisions":1`, append([]string{"archive", "export", "--json", "--flow", d.Leaf.Flow.String(), "--to", filepath.Join(dir, "case")}, from...)...)
	expect(t, `✓`, "verify", "--keys", keys, filepath.Join(dir, "case", "receipts", d.Leaf.Tx.String()+".tlog-proof"))
	restored := filepath.Join(dir, "restored")
	whole := expect(t, `"faults":[]`, append([]string{"archive", "verify", "--json"}, from...)...)
	if copied := expect(t, `"faults":[]`, append([]string{"archive", "restore", "--json", "--to", restored}, from...)...); copied != whole {
		t.Errorf("restored: %s, want what the archive is: %s", copied, whole)
	}
	damage(t, filepath.Join(restored, "tile", "entries", "000"))
	code, stdout, _ := call(t, "archive", "verify", "--from", restored, "--keys", keys)
	if code != exitFailed || !strings.Contains(stdout, "segment 0, tile/entries/000") {
		t.Errorf("verifying a damaged archive: exit %d\n%s", code, stdout)
	}
}

// archivedAmong is the decision of a leaf.
func archivedAmong(all []chain.Decided, index int64) (chain.Decided, error) {
	for _, d := range all {
		if d.Index == index {
			return d, nil
		}
	}
	return chain.Decided{}, chain.ErrNotFound
}

// expect runs a command that must succeed and print something.
func expect(t *testing.T, want string, args ...string) string {
	t.Helper()
	code, stdout, stderr := call(t, args...)
	if code != 0 || !strings.Contains(stdout, want) {
		t.Fatalf("%s: exit %d, want %q\n%s\n%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout
}

func damage(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
}

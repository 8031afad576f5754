package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// witnessed is a receipt that one witness has cosigned, and the texts to check it by.
type witnessed struct{ file, plain, keys, witness string }

func newWitnessed(t *testing.T) witnessed {
	t.Helper()
	const origin = "supervision-1"
	secret, vkey, err := receipt.NewLogKey(rand.Reader, origin)
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	leaf, err := receipt.Leaf{Suite: "intl", Chain: origin, Platform: "p", Step: flow.Order, Verdict: flow.Refused, Reasons: []string{"LIST-SUBJECT"}, Issued: 1}.Encode()
	must(t, err)
	cp, err := receipt.SignCheckpoint(origin, 1, tlog.RecordHash(leaf), signer)
	must(t, err)
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	c, err := receipt.NewCosigner("witness.example/1", pub)
	must(t, err)
	text, _, _ := strings.Cut(string(cp), "\n\n")
	line, err := receipt.Cosign(c.Name(), key, []byte(text+"\n"), time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))
	must(t, err)
	plain := string(receipt.New(leaf, 0, nil, cp))
	return witnessed{file: plain + string(line), plain: plain, keys: vkey + "\n", witness: c.String()}
}

// What is proven and by whom is said in plain words, and a policy that is not met fails.
func TestVerifyPolicy(t *testing.T) {
	w, dir := newWitnessed(t), t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	file, plain, keys := write("r.tlog-proof", w.file), write("plain.tlog-proof", w.plain), write("authority.pub", w.keys)
	full := write("full.policy", "log "+w.keys+"witness w1 "+w.witness+"\nquorum w1\n")
	witnesses := write("witnesses.policy", "witness w1 "+w.witness+"\nquorum w1\n")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"keys alone", []string{"--keys", keys, file}, exitOK, "proven by witnesses alone, and none was asked for"},
		{"policy", []string{"--policy", full, file}, exitOK, "Witness witness.example/1 had checked at 2026-03-01T08:00:00Z"},
		{"policy, its words", []string{"--policy", full, file}, exitOK, "meets the policy, which needs w1"},
		{"policy beside keys", []string{"--policy", witnesses, "--keys", keys, file}, exitOK, "meets the policy"},
		{"not cosigned", []string{"--policy", full, plain}, exitFailed, "the policy needs w1, and there are none"},
		{"no log", []string{"--policy", witnesses, file}, exitFailed, "names no log"},
		{"log twice", []string{"--policy", full, "--keys", keys, file}, exitFailed, "leave out --keys"},
		{"neither", []string{file}, exitFailed, "--policy"},
		{"keys for a policy", []string{"--policy", keys, file}, exitFailed, "line 1"},
	} {
		code, stdout, stderr := call(t, append([]string{"verify"}, tc.args...)...)
		if code != tc.code || !strings.Contains(stdout+stderr, tc.want) {
			t.Errorf("%s: exit %d\n%s%s\nwant %s", tc.name, code, stdout, stderr, tc.want)
		}
	}
	_, stdout, _ := call(t, "--lang", "zh", "verify", "--policy", full, file)
	if !strings.Contains(stdout, "见证人 witness.example/1") || !strings.Contains(stdout, "满足策略要求（w1）") {
		t.Error(stdout)
	}
	_, stdout, _ = call(t, "verify", "--json", "--policy", full, file)
	var v verified
	must(t, json.Unmarshal([]byte(stdout), &v))
	if !v.Valid || v.Policy != "w1" || len(v.Witnesses) != 1 || v.Witnesses[0].Name != "witness.example/1" {
		t.Errorf("%s", stdout)
	}
}

package receipt_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/receipt"
)

// A line that another implementation made (github.com/transparency-dev/formats
// v0.1.1, Ed25519 seed 00 01 … 1f), over the example checkpoint of c2sp.org/tlog-cosignature.
const (
	theirKey  = "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
	theirText = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	theirLine = "— witness.example/w1 519lMgAAAABrBXYsVTIHRbtmy7jlodOmsr01pNC1PkNOmaogcoGd5MGpNKfgRL5b0ZIH9iJubYU9g9D830If3+2YHuhr0jP/4uOkAg==\n"
)

// Cosignatures are those of c2sp.org/tlog-cosignature: another implementation's
// line verifies here, and ours is the same bytes.
func TestCosignatureStandard(t *testing.T) {
	c, err := receipt.ParseCosigner(theirKey)
	must(t, err)
	lines, who, err := receipt.Cosignatures([]byte(theirText+"\n"+theirLine), c)
	must(t, err)
	if string(lines) != theirLine || len(who) != 1 || who[0].Name != "witness.example/w1" {
		t.Fatalf("%q by %v", lines, who)
	}
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	ours, err := receipt.Cosign("witness.example/w1", ed25519.NewKeyFromSeed(seed), []byte(theirText), who[0].At)
	must(t, err)
	if string(ours) != theirLine {
		t.Errorf("ours is %q", ours)
	}
}

// cosigner is a witness in tests.
type cosigner struct {
	name string
	key  ed25519.PrivateKey
	vkey string
}

func newCosigner(t testing.TB, name string) cosigner {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	c, err := receipt.NewCosigner(name, pub)
	must(t, err)
	return cosigner{name, key, c.String()}
}

// textOf is a note without its signatures.
func textOf(signed []byte) []byte {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	return signed[:i+1]
}

func (c cosigner) line(t testing.TB, signed []byte, at int64) []byte {
	t.Helper()
	b, err := receipt.Cosign(c.name, c.key, textOf(signed), time.Unix(at, 0))
	must(t, err)
	return b
}

// A policy of two out of three witnesses: who has cosigned decides, and an invalid
// line of one of them spoils everything (R8.1).
func TestPolicy(t *testing.T) {
	l := full(t)
	var w []cosigner
	text := "# who must sign\n"
	for _, vkey := range l.vkeys {
		text += "log " + vkey + " http://authority.example/log\n"
	}
	for i := range 3 {
		w = append(w, newCosigner(t, fmt.Sprintf("witness.example/%d", i)))
		text += fmt.Sprintf("\twitness w%d %s http://w%d.example\n", i, w[i].vkey, i)
	}
	p, err := receipt.ParsePolicy(text + "group two 2 w0 w1 w2\nquorum two\n")
	must(t, err)
	if p.Needs() != "2 of (w0, w1, w2)" || len(p.Logs()) != 1 || p.Logs()[0].URL != "http://authority.example/log" || p.Witnesses()[2].URL != "http://w2.example" {
		t.Errorf("policy reads as %q, %v, %v", p.Needs(), p.Logs(), p.Witnesses())
	}
	file := l.receipt(t, 3, l.signers...)
	stranger := newCosigner(t, "witness.example/9")
	at := int64(1_700_000_000)
	with := func(lines ...[]byte) []byte { return append(bytes.Clone(file), bytes.Join(lines, nil)...) }
	cp := l.checkpoint(t, l.signers...)

	for name, f := range map[string][]byte{
		"none":           file,
		"one":            with(w[0].line(t, cp, at)),
		"one twice":      with(w[0].line(t, cp, at), w[0].line(t, cp, at+1)),
		"and a stranger": with(w[0].line(t, cp, at), stranger.line(t, cp, at)),
	} {
		if _, err := p.Verify(f); !errors.Is(err, receipt.ErrQuorum) || !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := p.Verify(with(w[2].line(t, cp, at+5), stranger.line(t, cp, at), w[0].line(t, cp, at)))
	must(t, err)
	want := []receipt.Cosigned{{Name: w[0].name, At: time.Unix(at, 0).UTC()}, {Name: w[2].name, At: time.Unix(at+5, 0).UTC()}}
	if d := cmp.Diff(want, got.Witnesses); d != "" {
		t.Error(d)
	}
	if len(got.Signers) != 2 {
		t.Errorf("signers %v", got.Signers)
	}
	// Who knows of no witness reads the same file (receipts stay one file).
	if _, err := receipt.Verify(with(w[2].line(t, cp, at)), l.keys(t), origin); err != nil {
		t.Errorf("without a policy: %v", err)
	}
}

// Attacks on a checkpoint's witnesses.
func TestPolicyRefusesForgeries(t *testing.T) {
	l := full(t)
	w := newCosigner(t, "witness.example/1")
	logs := "log " + strings.Join(l.vkeys, "\nlog ") + "\n"
	p, err := receipt.ParsePolicy(logs + "witness w " + w.vkey + "\nquorum w\n")
	must(t, err)
	file, cp := l.receipt(t, 3, l.signers...), l.checkpoint(t, l.signers...)
	good := w.line(t, cp, 1_700_000_000)
	if _, err := p.Verify(append(bytes.Clone(file), good...)); err != nil {
		t.Fatal(err)
	}
	larger := full(t)
	other, err := receipt.SignCheckpoint(origin, 9, [32]byte{1}, l.signers...)
	must(t, err)
	_, thiefKey, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	thief, err := receipt.Cosign(w.name, thiefKey, textOf(cp), time.Unix(1_700_000_000, 0))
	must(t, err)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(good[bytes.LastIndexByte(good, ' ')+1:])))
	must(t, err)
	line := func(sig []byte) []byte {
		return fmt.Appendf(nil, "— %s %s\n", w.name, base64.StdEncoding.EncodeToString(sig))
	}
	later := bytes.Clone(raw)
	binary.BigEndian.PutUint64(later[4:], 1_900_000_000)
	plain, err := note.NewSigner(func() string { s, _, _ := note.GenerateKey(rand.Reader, w.name); return s }())
	must(t, err)
	asLog, err := plain.Sign(textOf(cp))
	must(t, err)
	for name, tc := range map[string][]byte{
		"replayed from another checkpoint": w.line(t, other, 1_700_000_000),
		"another time":                     line(later),
		"no time":                          line(append(bytes.Clone(raw[:4]), raw[12:]...)),
		"another key under the name":       thief,
		"a plain signature in its place":   line(append(bytes.Clone(raw[:4]), asLog...)),
		"cut short":                        line(raw[:40]),
		"not base64":                       []byte("— " + w.name + " %%%\n"),
		"loose base64":                     append(good[:len(good)-2], 'B', '\n'),
	} {
		if got, err := p.Verify(append(bytes.Clone(file), tc...)); !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("%s: verifies as %+v", name, got)
		}
	}
	// The witness alone proves nothing: the log must have signed with every kind of its keys.
	for name, signers := range map[string][]note.Signer{"no log": {larger.signers[0]}, "no SM2": l.signers[:1]} {
		signed := append(l.receipt(t, 3, signers...), w.line(t, l.checkpoint(t, signers...), 1_700_000_000)...)
		if _, err := p.Verify(signed); !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Members of the committee sign the text as a log does, SM2 among them.
func TestPolicyMembers(t *testing.T) {
	l := full(t)
	k, err := envelope.GM().GenerateKey(rand.Reader, envelope.Signing)
	must(t, err)
	m := receipt.SuiteSigner("node-1", k, rand.Reader)
	w := newCosigner(t, "witness.example/1")
	p, err := receipt.ParsePolicy("log " + strings.Join(l.vkeys, "\nlog ") + "\nmember m1 " + receipt.SuiteKey("node-1", k.Public()) +
		"\nwitness w " + w.vkey + "\ngroup both all m1 w\nquorum both\n")
	must(t, err)
	file := l.receipt(t, 0, append([]note.Signer{m}, l.signers...)...)
	if _, err := p.Verify(file); !errors.Is(err, receipt.ErrQuorum) || !strings.Contains(err.Error(), "there are node-1") {
		t.Errorf("without the witness: %v", err)
	}
	got, err := p.Verify(append(file, w.line(t, file[bytes.Index(file, []byte("\n"+origin))+1:], 5)...))
	must(t, err)
	if len(got.Members) != 1 || got.Members[0] != "node-1" || len(got.Witnesses) != 1 {
		t.Errorf("%+v", got)
	}
}

// A policy is read strictly, and says in which line it is wrong.
func TestPolicyMistakes(t *testing.T) {
	l := newLog(t)
	a, b := newCosigner(t, "a.example"), newCosigner(t, "b.example")
	_, plain, err := receipt.NewLogKey(rand.Reader, "a.example")
	must(t, err)
	sameKey := strings.Replace(a.vkey, "a.example", "c.example", 1)
	if pub, err := receipt.NewCosigner("c.example", a.key.Public().(ed25519.PublicKey)); err == nil {
		sameKey = pub.String()
	}
	two := "witness a " + a.vkey + "\nwitness b " + b.vkey + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no quorum", two, "no quorum line"},
		{"two quorums", "quorum none\nquorum none", "line 2: a second quorum line"},
		{"quorum of nobody", "quorum w", "line 1: \"w\" is defined in no line before"},
		{"unknown word", "threshold 2\nquorum none", "line 1: \"threshold\": want log"},
		{"a log's key for a witness", "witness a " + plain + "\nquorum a", "signature type 0x01"},
		{"a witness's key for a log", "log " + a.vkey + "\nquorum none", "neither Ed25519 nor SM2"},
		{"hash of another name", "witness a " + strings.Replace(a.vkey, "a.example", "d.example", 1) + "\nquorum a", "does not fit"},
		{"a key twice", "witness a " + a.vkey + "\nwitness c " + sameKey + "\nquorum a", "line 2: this public key stands"},
		{"a log twice", "log " + l.vkeys[0] + "\nlog " + l.vkeys[0] + "\nquorum none", "line 2: this public key stands"},
		{"name twice", "witness a " + a.vkey + "\nwitness a " + b.vkey + "\nquorum a", "line 2: the name \"a\" is taken"},
		{"none as a name", "witness none " + a.vkey + "\nquorum none", "is taken"},
		{"none in a group", two + "group g any none\nquorum g", "defined in no line before"},
		{"counts twice", two + "group g any a b\ngroup h any a\nquorum h", "line 4: \"a\" is in a group already"},
		{"forward", "group g any a\n" + two + "quorum g", "line 1: \"a\" is defined in no line before"},
		{"too many", two + "group g 3 a b\nquorum g", "a number from 1 to 2"},
		{"none needed", two + "group g 0 a b\nquorum g", "a number from 1 to 2"},
		{"leading zero", two + "group g 01 a b\nquorum g", "a number from 1 to 2"},
		{"control", "quorum none\x00", "line 1: a control character"},
		{"long", strings.Repeat("#", receipt.MaxPolicy+1), "at most"},
	} {
		if _, err := receipt.ParsePolicy(tc.text); !errors.Is(err, receipt.ErrPolicy) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v\nwant %s", tc.name, err, tc.want)
		}
	}
}

// A policy without a log takes the keys that a verifier has besides.
func TestPolicyTrusting(t *testing.T) {
	l := full(t)
	p, err := receipt.ParsePolicy("quorum none\n")
	must(t, err)
	file := l.receipt(t, 1, l.signers...)
	if _, err := p.Verify(file); !errors.Is(err, receipt.ErrReceipt) || !strings.Contains(err.Error(), "does not name") {
		t.Errorf("of an unknown log: %v", err)
	}
	if _, err := p.Trusting(l.keys(t)).Verify(file); err != nil {
		t.Error(err)
	}
	if len(p.Logs()) != 0 {
		t.Error("the policy itself was changed")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("log a+0+AA==\nwitness w x\ngroup g any w\nquorum g\n")
	f.Add("witness a " + theirKey + "\nquorum a\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := receipt.ParsePolicy(text)
		if err != nil {
			return
		}
		if again, err := receipt.ParsePolicy(p.String()); err != nil || again.Needs() != p.Needs() {
			t.Errorf("%q reads differently again: %v", text, err)
		}
		if _, err := p.VerifyCheckpoint([]byte(theirText + "\n" + theirLine)); err == nil {
			t.Error("a checkpoint without a log's signature was taken")
		}
	})
}

// BenchmarkMember is what a member's signatures of one checkpoint cost: to make its
// two lines, and to check another's.
func BenchmarkMember(b *testing.B) {
	pub, vote, err := ed25519.GenerateKey(rand.Reader)
	must(b, err)
	key, err := envelope.GM().GenerateKey(rand.Reader, envelope.Signing)
	must(b, err)
	name, text := receipt.MemberName(origin, "node-1"), receipt.CheckpointText(origin, 7, tlog.Hash{1})
	ed, err := receipt.Ed25519Signer(name, vote)
	must(b, err)
	keys, err := receipt.MemberKeys(origin, "node-1", key.Public(), pub)
	must(b, err)
	signers := []note.Signer{ed, receipt.SuiteSigner(name, key, rand.Reader)}
	lines, err := receipt.SignMember(text, signers...)
	must(b, err)
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := receipt.SignMember(text, signers...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := receipt.CheckMember(text, lines, keys); err != nil {
				b.Fatal(err)
			}
		}
	})
}

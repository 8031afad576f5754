package receipt_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench/reference"
	"signalbox.dev/signalbox/receipt"
)

const origin = "supervision-test"

// log is a log of one block with signing keys of both kinds.
type log struct {
	signers []note.Signer
	vkeys   []string
	leaves  [][]byte
	hashes  []tlog.Hash
}

func newLog(t testing.TB) *log {
	t.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, origin)
	must(t, err)
	ed, err := note.NewSigner(secret)
	must(t, err)
	k, err := envelope.GM().GenerateKey(rand.Reader, envelope.Signing)
	must(t, err)
	return &log{
		signers: []note.Signer{ed, receipt.SuiteSigner(origin, k, rand.Reader)},
		vkeys:   []string{vkey, receipt.SuiteKey(origin, k.Public())},
	}
}

func (l *log) add(t testing.TB, leaf []byte) {
	t.Helper()
	more, err := tlog.StoredHashes(int64(len(l.leaves)), leaf, tlog.HashReaderFunc(l.read))
	must(t, err)
	l.leaves, l.hashes = append(l.leaves, leaf), append(l.hashes, more...)
}

func (l *log) read(x []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(x))
	for i := range x {
		out[i] = l.hashes[x[i]]
	}
	return out, nil
}

func (l *log) checkpoint(t testing.TB, signers ...note.Signer) []byte {
	t.Helper()
	n := int64(len(l.leaves))
	root, err := tlog.TreeHash(n, tlog.HashReaderFunc(l.read))
	must(t, err)
	cp, err := receipt.SignCheckpoint(origin, n, root, signers...)
	must(t, err)
	return cp
}

func (l *log) receipt(t testing.TB, index int64, signers ...note.Signer) []byte {
	t.Helper()
	p, err := tlog.ProveRecord(int64(len(l.leaves)), index, tlog.HashReaderFunc(l.read))
	must(t, err)
	return receipt.New(l.leaves[index], index, p, l.checkpoint(t, signers...))
}

func (l *log) keys(t testing.TB) receipt.Keys {
	t.Helper()
	k, err := receipt.ParseKeys("# the authority's keys\n\n" + strings.Join(l.vkeys, "\n"))
	must(t, err)
	return k
}

func leaf() receipt.Leaf {
	return receipt.Leaf{
		Suite: "gm", Chain: origin, Network: "network-1", Platform: "platform-1", Business: "prescription", Actor: "reviewer-1",
		Step: flow.ReviewResult, Verdict: flow.Granted, Reasons: []string{"a", "b"}, Issued: 1700000000, Expires: 1700007200,
		ContractVersion: 3, Contract: flow.Hash{1}, Flow: flow.Hash{2}, Tx: flow.Hash{3}, Commitment: flow.Hash{4},
		Record: flow.SumHash([]byte("value")), Token: flow.Hash{6}, Facts: flow.Hash{7}, Submission: flow.ID{8},
	}
}

func encode(t testing.TB, l receipt.Leaf) []byte {
	t.Helper()
	b, err := l.Encode()
	must(t, err)
	return b
}

func full(t testing.TB) *log {
	l := newLog(t)
	for i := range 7 {
		x := leaf()
		x.Submission[15] = byte(i)
		l.add(t, encode(t, x))
	}
	return l
}

// The leaf's layout, with the offsets that other chains' contracts rely on.
func TestLeafLayout(t *testing.T) {
	want := leaf()
	b := encode(t, want)
	got, err := receipt.DecodeLeaf(b)
	must(t, err)
	if !reflect.DeepEqual(want, got) {
		t.Errorf("round trip: %+v", got)
	}
	for off, want := range map[int][]byte{
		0: []byte("SBL1"), 4: {4, 1}, 32: want.Flow[:], 64: want.Tx[:], 96: want.Commitment[:],
		128: want.Record[:], 160: want.Token[:], 192: want.Contract[:], 224: want.Facts[:], 256: want.Submission[:],
		receipt.LeafHeader: []byte("\x02gm"),
	} {
		if !bytes.Equal(b[off:off+len(want)], want) {
			t.Errorf("at %d: %x, want %x", off, b[off:off+len(want)], want)
		}
	}
}

// One leaf has one encoding: every changed or missing byte is an error or
// another leaf, never the same one.
func TestLeafIsCanonical(t *testing.T) {
	b := encode(t, leaf())
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x81
		if got, err := receipt.DecodeLeaf(c); err == nil {
			if again, err := got.Encode(); err != nil || !bytes.Equal(again, c) {
				t.Errorf("byte %d: decoded leaf encodes otherwise", i)
			}
		}
	}
	for n := range b {
		if _, err := receipt.DecodeLeaf(b[:n]); !errors.Is(err, receipt.ErrLeaf) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := receipt.DecodeLeaf(append(b, 0)); !errors.Is(err, receipt.ErrLeaf) {
		t.Errorf("trailing byte: %v", err)
	}
}

func TestVerify(t *testing.T) {
	l := full(t)
	for i := range l.leaves {
		p, err := receipt.Verify(l.receipt(t, int64(i), l.signers...), l.keys(t), origin)
		must(t, err)
		if p.Index != int64(i) || p.Size != 7 || !bytes.Equal(p.LeafBytes, l.leaves[i]) || len(p.Signers) != 2 {
			t.Errorf("leaf %d: %+v", i, p)
		}
	}
}

// Attack: every single byte of a receipt counts.
func TestVerifyRefusesTampering(t *testing.T) {
	l := full(t)
	good, keys := l.receipt(t, 3, l.signers...), l.keys(t)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := receipt.Verify(bad, keys, origin); !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
		if _, err := receipt.Verify(good[:n], keys, origin); !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
}

func TestVerifyRefusesForgeries(t *testing.T) {
	l, stranger := full(t), full(t)
	keys := l.keys(t)
	foreign := newLog(t)
	other := leaf()
	other.Chain = "supervision-other"
	foreign.add(t, encode(t, other))
	foreign.signers, foreign.vkeys = l.signers, l.vkeys
	for name, tc := range map[string]struct {
		file   []byte
		origin string
	}{
		"signed by a stranger":                  {stranger.receipt(t, 3, stranger.signers...), origin},
		"without the SM2 line that is demanded": {l.receipt(t, 3, l.signers[0]), origin},
		"with the SM2 line alone":               {l.receipt(t, 3, l.signers[1]), origin},
		"of another log":                        {l.receipt(t, 3, l.signers...), "supervision-other"},
		"whose leaf names another chain":        {foreign.receipt(t, 0, l.signers...), origin},
		"too large":                             {make([]byte, receipt.MaxReceipt+1), origin},
	} {
		if _, err := receipt.Verify(tc.file, keys, tc.origin); !errors.Is(err, receipt.ErrReceipt) {
			t.Errorf("a receipt %s: %v", name, err)
		}
	}
}

// Keys can be rotated: a receipt under an older key still holds when the trust
// file keeps that key.
func TestVerifyAfterRotation(t *testing.T) {
	old, now := full(t), newLog(t)
	keys, err := receipt.ParseKeys(strings.Join(append(old.vkeys, now.vkeys...), "\n"))
	must(t, err)
	if _, err := receipt.Verify(old.receipt(t, 0, old.signers...), keys, origin); err != nil {
		t.Error(err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	l := newLog(t)
	flip := func(s string) string { return strings.Replace(s, "+", "+0", 1) }
	for name, text := range map[string]string{
		"nothing": "", "only comments": "# none\n", "no key": "name", "not base64": "a+00000000+!",
		"unknown kind": "a+00000000+AgME", "ed25519 of another hash": flip(l.vkeys[0]), "sm2 of another hash": flip(l.vkeys[1]),
	} {
		if _, err := receipt.ParseKeys(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// R1.7: what a business chain demands, one demand a row.
func TestAdmits(t *testing.T) {
	write := func() receipt.Write {
		l := leaf()
		return receipt.Write{
			Network: l.Network, Platforms: func(p string) bool { return p == l.Platform },
			Flow: l.Flow, Tx: l.Tx, Step: l.Step, Value: []byte("value"), Now: time.Unix(l.Issued, 0),
		}
	}
	if err := receipt.Admits(receipt.Proven{Leaf: leaf()}, write()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*receipt.Leaf, *receipt.Write){
		"refused":          func(l *receipt.Leaf, _ *receipt.Write) { l.Verdict = flow.Refused },
		"held":             func(l *receipt.Leaf, _ *receipt.Write) { l.Verdict = flow.Held },
		"expired":          func(l *receipt.Leaf, w *receipt.Write) { w.Now = time.Unix(l.Expires, 0) },
		"another network":  func(_ *receipt.Leaf, w *receipt.Write) { w.Network = "network-2" },
		"another platform": func(l *receipt.Leaf, _ *receipt.Write) { l.Platform = "platform-2" },
		"nobody admitted":  func(_ *receipt.Leaf, w *receipt.Write) { w.Platforms = nil },
		"leaves no record": func(l *receipt.Leaf, w *receipt.Write) { l.Step, w.Step = flow.ReviewRequest, flow.ReviewRequest },
		"another step":     func(_ *receipt.Leaf, w *receipt.Write) { w.Step = flow.Order },
		"another flow":     func(_ *receipt.Leaf, w *receipt.Write) { w.Flow = flow.Hash{9} },
		"no flow":          func(l *receipt.Leaf, w *receipt.Write) { l.Flow, w.Flow = flow.Hash{}, flow.Hash{} },
		"another tx":       func(_ *receipt.Leaf, w *receipt.Write) { w.Tx = flow.Hash{9} },
		"register elsewhere": func(l *receipt.Leaf, w *receipt.Write) {
			l.Step, w.Step = flow.Register, flow.Register
		},
		"other content": func(_ *receipt.Leaf, w *receipt.Write) { w.Value = []byte("other") },
	} {
		l, w := leaf(), write()
		change(&l, &w)
		if err := receipt.Admits(receipt.Proven{Leaf: l}, w); err == nil {
			t.Errorf("%s: admitted", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	l := full(f)
	keys := l.keys(f)
	f.Add(l.receipt(f, 2, l.signers...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := receipt.Verify(b, keys, origin); err == nil && p.Leaf.Chain != origin {
			t.Error("verified a leaf of another chain")
		}
	})
}

// BenchmarkReference is what the others' time is compared with.
func BenchmarkReference(b *testing.B) { reference.Verify(b) }

func BenchmarkVerify(b *testing.B) {
	l := full(b)
	keys, file := l.keys(b), l.receipt(b, 3, l.signers...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := receipt.Verify(file, keys, origin); err != nil {
			b.Fatal(err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

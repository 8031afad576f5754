package receipt_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/receipt"
)

// holder is a log's keys of one generation.
type holder struct {
	signers []note.Signer
	vkeys   []string
}

// newHolder draws an Ed25519 key and an SM2 key of the log.
func newHolder(t testing.TB, name string) holder {
	t.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, name)
	must(t, err)
	ed, err := note.NewSigner(secret)
	must(t, err)
	k, err := envelope.GM().GenerateKey(rand.Reader, envelope.Signing)
	must(t, err)
	return holder{
		signers: []note.Signer{ed, receipt.SuiteSigner(name, k, rand.Reader)},
		vkeys:   []string{vkey, receipt.SuiteKey(name, k.Public())},
	}
}

func (h holder) keys(t testing.TB) receipt.Keys {
	t.Helper()
	k, err := receipt.ParseKeys(strings.Join(h.vkeys, "\n"))
	must(t, err)
	return k
}

// handOver gives the statement by which h gives way to next.
func (h holder) handOver(t testing.TB, next holder, generation int, size int64) []byte {
	t.Helper()
	s, err := receipt.SignHandover(receipt.Handover{Origin: origin, Generation: generation, Size: size, Old: h.vkeys, New: next.vkeys},
		slices.Concat(h.signers, next.signers)...)
	must(t, err)
	return s
}

// lineage is a log whose keys were handed over at sizes 2 and 4: records 0 and 1 are
// of the first generation, 2 and 3 of the second, 4 and 5 of the third.
type lineage struct {
	*log
	holders    []holder
	statements [][]byte
	receipts   [][]byte // of each record, when it was the newest, with what was known then
}

func newLineage(t testing.TB) lineage {
	t.Helper()
	l := lineage{log: &log{}}
	for range 3 {
		l.holders = append(l.holders, newHolder(t, origin))
	}
	known := l.holders[0].keys(t)
	for i := range 6 {
		if i > 0 && i%2 == 0 {
			s := l.holders[i/2-1].handOver(t, l.holders[i/2], i/2+1, int64(i))
			l.statements = append(l.statements, s)
			var err error
			known, err = known.Follow(s)
			must(t, err)
		}
		l.add(t, encoded(t, i))
		r := l.receipt(t, int64(i), l.holders[i/2].signers...)
		l.receipts = append(l.receipts, append(r, known.Carry()...))
	}
	return l
}

func encoded(t testing.TB, i int) []byte {
	t.Helper()
	x := leaf()
	x.Submission[15] = byte(i)
	return encode(t, x)
}

// R1.7: a receipt of any generation verifies by the keys of any other, with the
// hand-overs in between: carried by the receipt, or in the verifier's key file.
func TestGenerationsOfKeys(t *testing.T) {
	l := newLineage(t)
	all, err := l.holders[0].keys(t).Follow(l.statements...)
	must(t, err)
	newest := l.holders[2].keys(t)
	withAll, err := newest.Follow(l.statements[1], l.statements[0]) // in any order
	must(t, err)
	read, err := receipt.ParseKeys("# a key file that grew\n" + all.String())
	must(t, err)
	for i, file := range l.receipts {
		for name, keys := range map[string]receipt.Keys{
			"the first keys alone": l.holders[0].keys(t), "the first and all that followed": all,
			"the newest and all before": withAll, "the file of them": read,
		} {
			p, err := receipt.Verify(file, keys, origin)
			if err != nil {
				t.Errorf("record %d by %s: %v", i, name, err)
				continue
			}
			if want := i/2 + 1; p.Generation != want && !(p.Generation == 0 && i < 2) {
				t.Errorf("record %d by %s: generation %d", i, name, p.Generation)
			}
			if want := map[bool]int{true: i / 2, false: 0}[name == "the first keys alone"]; len(p.Handovers) != want {
				t.Errorf("record %d by %s: learnt %d hand-overs, want %d", i, name, len(p.Handovers), want)
			}
		}
	}
	if got := read.Generation(); got != 3 || len(read.Handovers()) != 2 || !slices.Equal(read.Current(), l.holders[2].vkeys) || !slices.Equal(read.At(3), l.holders[1].vkeys) {
		t.Errorf("read back: generation %d, %d hand-overs", got, len(read.Handovers()))
	}
	if _, err := receipt.Verify(l.receipts[0], newest, origin); !errors.Is(err, receipt.ErrUnsigned) {
		t.Errorf("the newest keys without the hand-overs before: %v", err)
	}
	bare := l.receipt(t, 5, l.holders[2].signers...)
	if _, err := receipt.Verify(bare, l.holders[0].keys(t), origin); !errors.Is(err, receipt.ErrUnsigned) {
		t.Errorf("newer keys that nothing leads to: %v", err)
	}
}

// A stolen key of before signs nothing beyond its size, nor does a new one sign
// for the time before it.
func TestHandedOverKeysSignNoMore(t *testing.T) {
	l := newLineage(t)
	all, err := l.holders[0].keys(t).Follow(l.statements...)
	must(t, err)
	for generation, h := range l.holders {
		file := l.receipt(t, 5, h.signers...) // of size 6
		_, err := receipt.Verify(file, all, origin)
		if (err == nil) != (generation == 2) {
			t.Errorf("size 6 by generation %d: %v", generation+1, err)
		}
		if err != nil && !strings.Contains(err.Error(), "handed over") {
			t.Errorf("size 6 by generation %d: the error does not say why: %v", generation+1, err)
		}
	}
	early := &log{}
	early.add(t, encoded(t, 0))
	if _, err := receipt.Verify(early.receipt(t, 0, l.holders[2].signers...), all, origin); err == nil {
		t.Error("the third generation has signed size 1")
	}
	mixed := l.receipt(t, 5, l.holders[1].signers[0], l.holders[2].signers[1])
	if _, err := receipt.Verify(mixed, all, origin); !errors.Is(err, receipt.ErrUnsigned) {
		t.Errorf("keys of two generations together: %v", err)
	}
}

// Whoever holds the old keys can't hand them over a second time, to others.
func TestKeysAreHandedOverOnce(t *testing.T) {
	l := newLineage(t)
	thief := newHolder(t, origin)
	stolen := l.holders[0].handOver(t, thief, 2, 3)
	all, err := l.holders[0].keys(t).Follow(l.statements...)
	must(t, err)
	if _, err := all.Follow(stolen); !errors.Is(err, receipt.ErrForked) {
		t.Errorf("followed: %v", err)
	}
	if _, err := l.holders[0].keys(t).Follow(l.statements[0], stolen); !errors.Is(err, receipt.ErrForked) {
		t.Errorf("both at once: %v", err)
	}
	forked, err := l.holders[0].keys(t).Follow(stolen)
	must(t, err)
	file := append(l.receipt(t, 5, thief.signers...), forked.Carry()...)
	if _, err := receipt.Verify(file, all, origin); !errors.Is(err, receipt.ErrForked) {
		t.Errorf("carried by a receipt: %v", err)
	}
	again := l.holders[0].handOver(t, l.holders[1], 2, 2) // the same words, signed anew
	if k, err := all.Follow(again); err != nil || len(k.Handovers()) != 2 {
		t.Errorf("the same hand-over signed twice: %v", err)
	}
}

// A statement that was made anew between the same keys, because the first came too
// late, takes its place, whichever is seen first; one of a smaller size changes nothing.
func TestHandoverMadeAnew(t *testing.T) {
	a, b, c := newHolder(t, origin), newHolder(t, origin), newHolder(t, origin)
	first, anew, next := a.handOver(t, b, 2, 5), a.handOver(t, b, 2, 8), b.handOver(t, c, 3, 20)
	for name, order := range map[string][][]byte{"in order": {first, anew, next}, "the other way round": {anew, first, next}, "late": {first, next, anew}} {
		k, err := a.keys(t).Follow(order...)
		if err != nil || k.Known() != 2 || !slices.Equal(k.At(8), a.vkeys) || !slices.Equal(k.At(9), b.vkeys) {
			t.Errorf("%s: %v, %q", name, err, k.Reach())
		}
	}
	k, err := a.keys(t).Follow(first, next)
	must(t, err)
	if _, err := k.Follow(a.handOver(t, b, 2, 20)); !errors.Is(err, receipt.ErrHandover) {
		t.Errorf("beyond the next generation's size: %v", err)
	}
}

// Nothing but a statement of all keys, old and new, is followed.
func TestHandoverRefusesForgeries(t *testing.T) {
	a, b, c, other := newHolder(t, origin), newHolder(t, origin), newHolder(t, origin), newHolder(t, "other-log")
	good := receipt.Handover{Origin: origin, Generation: 2, Size: 9, Old: a.vkeys, New: b.vkeys}
	both := slices.Concat(a.signers, b.signers)
	signed := func(h receipt.Handover, by ...note.Signer) []byte {
		if s, err := receipt.SignHandover(h, by...); err == nil {
			return s
		}
		// What SignHandover does not make, by hand.
		text := "signalbox.dev/log-handover/v1\n" + h.Origin + "\n2\n9\n"
		for _, k := range h.Old {
			text += "old " + k + "\n"
		}
		for _, k := range h.New {
			text += "new " + k + "\n"
		}
		s, err := note.Sign(&note.Note{Text: text}, by...)
		must(t, err)
		return s
	}
	statement := signed(good, both...)
	if _, err := a.keys(t).Follow(statement); err != nil {
		t.Fatal(err)
	}
	renamed := good
	renamed.Origin = "other-log"
	half := good
	half.New = b.vkeys[:1]
	twice := good
	twice.New = a.vkeys
	short := good
	short.Old = a.vkeys[:1]
	for name, s := range map[string][]byte{
		"not signed by the old keys":      signed(good, b.signers...),
		"not signed by the new keys":      signed(good, a.signers...),
		"one old signature":               signed(good, append(slices.Clone(b.signers), a.signers[0])...),
		"one new signature":               signed(good, append(slices.Clone(a.signers), b.signers[1])...),
		"signed by others instead":        signed(good, append(slices.Clone(b.signers), c.signers...)...),
		"signed by others besides":        signed(good, append(slices.Clone(both), c.signers...)...),
		"fewer kinds of keys":             signed(half, append(slices.Clone(a.signers), b.signers[0])...),
		"to the same keys":                signed(twice, a.signers...),
		"one of two old keys":             signed(short, append(slices.Clone(b.signers), a.signers[0])...),
		"names another log":               signed(renamed, both...),
		"of another log's keys":           signed(receipt.Handover{Origin: origin, Generation: 2, Size: 9, Old: a.vkeys, New: other.vkeys}, append(slices.Clone(a.signers), other.signers...)...),
		"size changed":                    bytes.Replace(statement, []byte("\n9\n"), []byte("\n99\n"), 1),
		"size with a zero before it":      bytes.Replace(statement, []byte("\n9\n"), []byte("\n09\n"), 1),
		"a checkpoint":                    (&log{}).checkpoint(t, both...),
		"empty":                           nil,
		"without signatures":              statement[:bytes.Index(statement, []byte("\n\n"))+2],
		"too large":                       append(slices.Clone(statement), make([]byte, receipt.MaxHandover)...),
		"of keys that are not this log's": signed(receipt.Handover{Origin: origin, Generation: 2, Size: 9, Old: c.vkeys, New: b.vkeys}, append(slices.Clone(c.signers), b.signers...)...),
	} {
		if _, err := a.keys(t).Follow(s); !errors.Is(err, receipt.ErrHandover) {
			t.Errorf("%s: %v", name, err)
		}
	}
	known, err := a.keys(t).Follow(statement)
	must(t, err)
	for name, s := range map[string][]byte{
		"a generation left out":       b.handOver(t, c, 4, 20),
		"not beyond the size before":  b.handOver(t, c, 3, 9),
		"back to keys of before":      b.handOver(t, a, 3, 20),
		"an older one of other keys":  c.handOver(t, a, 2, 3),
		"before the first generation": c.handOver(t, b, 2, 9),
	} {
		if _, err := known.Follow(s); !errors.Is(err, receipt.ErrHandover) {
			t.Errorf("after one hand-over, %s: %v", name, err)
		}
	}
}

// A statement can't be taken for a checkpoint, and one that a checkpoint carries is
// passed over by who knows nothing of hand-overs.
func TestHandoverIsNoCheckpoint(t *testing.T) {
	l := newLineage(t)
	for i, s := range l.statements {
		for _, h := range l.holders[i : i+2] {
			if _, err := receipt.VerifyCheckpoint(s, h.keys(t), origin); err == nil {
				t.Errorf("statement %d is taken for a checkpoint", i)
			}
		}
	}
	all, err := l.holders[0].keys(t).Follow(l.statements...)
	must(t, err)
	cp := append(l.checkpoint(t, l.holders[2].signers...), all.Carry()...)
	v, err := note.NewVerifier(l.holders[2].vkeys[0])
	must(t, err)
	n, err := note.Open(cp, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 {
		t.Errorf("another implementation of signed notes: %v", err)
	}
	head, err := receipt.OpenHead(cp, l.holders[0].keys(t))
	must(t, err)
	if len(head.Handovers) != 2 || !bytes.Equal(head.Signed, cp) {
		t.Errorf("%d hand-overs; kept: %s", len(head.Handovers), head.Signed)
	}
}

// A policy's log lines may be of any generation.
func TestPolicyFollowsHandovers(t *testing.T) {
	l := newLineage(t)
	text := "log " + strings.Join(l.holders[2].vkeys, "\nlog ") + "\nquorum none\n"
	p, err := receipt.ParsePolicy(text)
	must(t, err)
	if _, err := p.Verify(l.receipts[0]); err == nil {
		t.Error("a receipt of the first generation without the hand-overs")
	}
	for _, s := range l.statements {
		text += "handover " + base64.StdEncoding.EncodeToString(s) + "\n"
	}
	p, err = receipt.ParsePolicy(text)
	must(t, err)
	for i, file := range l.receipts {
		if _, err := p.Verify(file); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	for _, bad := range []string{"handover x", "handover " + base64.StdEncoding.EncodeToString([]byte("nothing")), "handover"} {
		if _, err := receipt.ParsePolicy(text + bad + "\n"); !errors.Is(err, receipt.ErrPolicy) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

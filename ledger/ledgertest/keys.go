package ledgertest

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// keysChange: R1.7, the chain goes on taking records when the authority has handed
// its log's key over, and takes none by a key that was handed over, nor by one that
// the key before has not named.
func keysChange(t *testing.T, b *bench) {
	a := b.authority
	first, err := receipt.ParseKeys(a.Keys)
	if err != nil {
		t.Fatal(err)
	}
	late := a.Record(t, flow.Register, []byte("decided before, stored after"))
	refuse := func(what string, rec ledger.Record) {
		t.Helper()
		t.Run(what, func(t *testing.T) { b.refused(t, rec) })
	}
	thief := stranger(t, a.Origin)
	refuse("by a stranger's key", a.SignedBy(t, thief.signer, receipt.Keys{}))
	refuse("handed over by the stranger alone", a.SignedBy(t, thief.signer, thief.claims(t)))

	var statements [][]byte
	var before []note.Signer
	for range 3 {
		s, old := a.HandOver(t)
		statements, before = append(statements, s), append(before, old)
		if len(statements) == 2 {
			a.Record(t, flow.Register, []byte("never stored")) // records of the third generation tell of the second
			continue
		}
		rec := a.Record(t, flow.Register, []byte("under new keys"))
		b.stands(t, rec, b.put(t, rec))
	}
	all, err := first.Follow(statements...)
	if err != nil {
		t.Fatal(err)
	}
	rec := a.Record(t, flow.Register, []byte("of the fourth generation"))
	b.stands(t, rec, b.put(t, rec))
	b.stands(t, late, b.put(t, late))
	for i, old := range before {
		refuse("by a key that was handed over", a.SignedBy(t, old, all))
		if i == 0 {
			stolen, err := first.Follow(thief.handed(t, first, old))
			if err != nil {
				t.Fatal(err)
			}
			refuse("handed over a second time", a.SignedBy(t, thief.signer, stolen))
		}
	}
	if b.Reopen == nil {
		return
	}
	b.Ledger = b.Reopen(t)
	refuse("by a key that was handed over, after a restart", a.SignedBy(t, before[0], receipt.Keys{}))
	rec = a.Record(t, flow.Register, []byte("after a restart"))
	b.stands(t, rec, b.put(t, rec))
}

// thief is somebody with a key of their own for the authority's log.
type thief struct {
	origin string
	vkey   string
	signer note.Signer
}

func stranger(tb testing.TB, origin string) thief {
	tb.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, origin)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return thief{origin, vkey, signer}
}

// handed is a hand-over to the thief that the old key's holder has signed.
func (x thief) handed(tb testing.TB, old receipt.Keys, signer note.Signer) []byte {
	tb.Helper()
	s, err := receipt.SignHandover(receipt.Handover{
		Origin: x.origin, Generation: 2, Size: 1, Old: old.At(0), New: []string{x.vkey},
	}, signer, x.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// claims are keys that lead from a key of the thief's own, named like the
// authority's, to the thief's.
func (x thief) claims(tb testing.TB) receipt.Keys {
	tb.Helper()
	own := stranger(tb, x.origin)
	keys, err := receipt.ParseKeys(own.vkey)
	if err != nil {
		tb.Fatal(err)
	}
	if keys, err = keys.Follow(x.handed(tb, keys, own.signer)); err != nil {
		tb.Fatal(err)
	}
	return keys
}

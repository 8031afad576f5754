package platform_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// R1.7: the platform and its business chain go on through three hand-overs of the
// authority's log key, trusting the first one alone, also across restarts; what was
// decided before is believed as before.
func TestAuthorityKeysChange(t *testing.T) {
	w := started(t)
	first := w.register(1)
	for generation := range 3 {
		w.authority.log.HandOver(t)
		id := w.register(2 + generation)
		w.approve(id)
		if generation == 1 {
			w.stop()
			w.start()
		}
	}
	w.approve(first) // its registration's receipt is of the first generation
	if _, err := w.Review.Request(w.ctx, first, reviewer); err == nil {
		t.Error("an approved record can be asked for again")
	}
	if n := w.count("handovers"); n != 3 {
		t.Errorf("%d hand-overs are kept, want 3", n)
	}
	w.stop()
	w.start()
	w.register(9)
}

// A decision under a key that was handed over, or that nothing which is trusted leads
// to, is no decision: the submission is pushed on until the truth comes.
func TestStolenLogKeyGivesNoDecision(t *testing.T) {
	w := started(t)
	w.register(1)
	_, old := w.authority.log.HandOver(t)
	w.register(2)
	secret, vkey, err := receipt.NewLogKey(rand.Reader, chainID)
	if err != nil {
		t.Fatal(err)
	}
	own, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := receipt.SignHandover(receipt.Handover{
		Origin: chainID, Generation: 2, Size: 1, Old: w.keys.At(0), New: []string{vkey},
	}, old, own)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := w.keys.Follow(statement)
	if err != nil {
		t.Fatal(err)
	}
	number := 10
	for name, forge := range map[string]func([]byte) []byte{
		"by the key that was handed over":    func(f []byte) []byte { return ledgertest.Resigned(t, f, old, receipt.Keys{}) },
		"by a key that nothing leads to":     func(f []byte) []byte { return ledgertest.Resigned(t, f, own, receipt.Keys{}) },
		"by a key handed over a second time": func(f []byte) []byte { return ledgertest.Resigned(t, f, own, stolen) },
	} {
		end := w.authority.ruleFor(flow.Register, func() ruling {
			return ruling{lie: true, decision: func(d *flow.Decision) { d.Receipt = forge(d.Receipt) }}
		})
		number++
		r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(number)})
		if err != nil {
			t.Fatal(err)
		}
		id := r.Ref
		eventually(t, name+": the problem is noted", func() bool {
			o, err := w.Outcome(w.ctx, id)
			return err == nil && o.State == outbox.Pending && strings.Contains(o.Problem, "not proven")
		})
		end()
		w.granted(id, nil)
	}
	if n := w.count("handovers"); n != 1 {
		t.Errorf("%d hand-overs are kept, want the true one alone", n)
	}
}

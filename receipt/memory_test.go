package receipt_test

import (
	"bytes"
	"errors"
	"testing"

	"signalbox.dev/signalbox/receipt"
)

// Attack: a verifier that remembers checkpoints is no easier to deceive than one
// that doesn't. Every byte counts still, and so do origin and keys.
func TestMemory(t *testing.T) {
	l, m := full(t), &receipt.Memory{}
	good, keys := l.receipt(t, 3, l.signers...), l.keys(t)
	for range 2 {
		p, err := m.Verify(good, keys, origin)
		must(t, err)
		if p.Index != 3 || !bytes.Equal(p.LeafBytes, l.leaves[3]) || len(p.Signers) != 2 {
			t.Errorf("remembered: %+v", p)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		for range 2 {
			if _, err := m.Verify(bad, keys, origin); !errors.Is(err, receipt.ErrReceipt) {
				t.Errorf("byte %d flipped: %v", i, err)
			}
		}
	}
	if _, err := m.Verify(good, keys, "supervision-other"); !errors.Is(err, receipt.ErrReceipt) {
		t.Errorf("of another log: %v", err)
	}
	if _, err := m.Verify(l.receipt(t, 4, l.signers...), keys, origin); err != nil {
		t.Errorf("another leaf under the same checkpoint: %v", err)
	}
}

// Attack: what was verified before keys were handed over doesn't let those keys sign
// beyond the hand-over once it is known.
func TestMemoryForgetsWithHandovers(t *testing.T) {
	l, m := newLineage(t), &receipt.Memory{}
	first := l.holders[0].keys(t)
	all, err := first.Follow(l.statements...)
	must(t, err)
	file := l.receipt(t, 5, l.holders[0].signers...) // of size 6, by keys that sign up to 2
	if _, err := m.Verify(file, first, origin); err != nil {
		t.Fatalf("before the hand-over is known: %v", err)
	}
	if _, err := m.Verify(file, all, origin); !errors.Is(err, receipt.ErrUnsigned) {
		t.Errorf("once it is known: %v", err)
	}
}

func BenchmarkMemory(b *testing.B) {
	l, m := full(b), &receipt.Memory{}
	keys, file := l.keys(b), l.receipt(b, 3, l.signers...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Verify(file, keys, origin); err != nil {
			b.Fatal(err)
		}
	}
}

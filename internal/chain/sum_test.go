package chain

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"signalbox.dev/signalbox/internal/comet"
)

// The sum kept up block by block is that of the state as a whole, whatever the
// order, and any difference of the state shows.
func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	db := comet.NewMemKV()
	a := &application{db: db}
	var at meta
	for block := range 40 {
		o := newOverlay(db)
		for range r.IntN(8) {
			o.set(statePrefix+fmt.Sprint(r.IntN(30)), fmt.Append(nil, block, r.IntN(5)))
		}
		o.set(openPrefix+fmt.Sprint(block), []byte("local"))
		state, err := o.summed(at.State)
		if err != nil {
			t.Fatal(err)
		}
		at = meta{State: state}
		if err := a.write(o, at); err != nil {
			t.Fatal(err)
		}
		whole, err := sumOf(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if at.State != nil && !bytes.Equal(at.State, whole) {
			t.Fatalf("block %d: the sum is not that of the state", block)
		}
	}
	none, err := newOverlay(db).summed(at.State)
	if err != nil || !bytes.Equal(none, at.State) {
		t.Errorf("a block without changes has another sum: %v", err)
	}
	base := entries("a", "1", "b", "2")
	for name, other := range map[string]*sum{
		"a value":          entries("a", "1", "b", "3"),
		"a key":            entries("a", "1", "c", "2"),
		"values exchanged": entries("a", "2", "b", "1"),
		"one more":         entries("a", "1", "b", "2", "c", ""),
		"one less":         entries("a", "1"),
		"one twice":        entries("a", "1", "b", "2", "b", "2"),
		"cut elsewhere":    entries("a1", "", "b", "2"),
	} {
		if *other == *base {
			t.Errorf("%s: the same sum", name)
		}
	}
	if *entries("b", "2", "a", "1") != *base {
		t.Error("the order counts")
	}
	if _, err := decodeSum(make([]byte, 3)); err == nil {
		t.Error("a damaged sum is read")
	}
}

func entries(pairs ...string) *sum {
	s := &sum{}
	for i := 0; i < len(pairs); i += 2 {
		s.add(pairs[i], []byte(pairs[i+1]))
	}
	return s
}

// BenchmarkSum is the cost of one changed entry of state.
func BenchmarkSum(b *testing.B) {
	s, value := &sum{}, make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		s.add("s/decision/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", value)
	}
}

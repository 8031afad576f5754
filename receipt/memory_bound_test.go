package receipt

import "testing"

// What is remembered is bounded, and what is used stays.
func TestMemoryIsBounded(t *testing.T) {
	m := &Memory{}
	used := remembered{origin: "used"}
	m.keep(used, Checkpoint{Size: 7})
	for i := range 5 * maxRemembered {
		k := remembered{}
		k.signed[0], k.signed[1], k.signed[2] = byte(i), byte(i>>8), byte(i>>16)
		m.keep(k, Checkpoint{})
		if c, ok := m.find(used); !ok || c.Size != 7 {
			t.Fatalf("forgotten after %d others", i)
		}
	}
	if n := len(m.old) + len(m.new); n > 2*maxRemembered+1 {
		t.Errorf("%d checkpoints are remembered", n)
	}
}

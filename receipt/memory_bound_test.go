package receipt

import "testing"

// What is remembered is bounded, and what is used stays.
func TestMemoryIsBounded(t *testing.T) {
	m := &Memory{}
	used := remembered{origin: "used"}
	m.find(used).cp.Size = 7
	for i := range 5 * maxRemembered {
		k := remembered{}
		k.signed[0], k.signed[1], k.signed[2] = byte(i), byte(i>>8), byte(i>>16)
		m.find(k)
		if m.find(used).cp.Size != 7 {
			t.Fatalf("forgotten after %d others", i)
		}
	}
	if n := len(m.old) + len(m.new); n > 2*maxRemembered {
		t.Errorf("%d checkpoints are remembered", n)
	}
}

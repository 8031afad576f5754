package authority

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/ops/opstest"
)

func TestFigures(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	f.Register(t, c, chaintest.Numbered(0)) // before anybody counts
	source := Figures(c, "")
	f.Register(t, c, chaintest.Numbered(1))
	f.Register(t, c, chaintest.Numbered(2))
	for range 2 { // looking counts nothing twice
		got := opstest.Gather(t, source)
		if got["signalbox_chain_height"] < 3 {
			t.Errorf("height %v after three blocks", got["signalbox_chain_height"])
		}
		delete(got, "signalbox_chain_height")
		want := map[string]float64{
			"signalbox_part_unread{supervision chain}": 0,
			"signalbox_chain_log_size":                 3,
			"signalbox_decisions_total{granted}":       2,
			"signalbox_decisions_total{refused}":       0,
			"signalbox_decisions_total{held}":          0,
			"signalbox_holds_open":                     0,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
	}
}

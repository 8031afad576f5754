package oversight

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// R10.1: officers see what was erased, by which order, and what still waits; asking
// for the payload says the same.
func TestErasures(t *testing.T) {
	f, c := serve(t)
	one, two := flow.SumHash([]byte("one")), flow.SumHash([]byte("two"))
	f.gone = []chain.Erasure{
		{Tx: two, Erased: contract.Erased{Order: 8, At: now, Ground: contract.ByLaw, Height: 10}},
		{Tx: one, Erased: contract.Erased{Order: 7, At: now, Ground: contract.ByRetention, Height: 9}},
	}
	all, err := c.Erasures(t.Context())
	must(t, err)
	if len(all) != 2 || all[0].Tx != one || all[0].Waiting || all[1].Tx != two || !all[1].Waiting {
		t.Errorf("erasures: %+v", all)
	}
	if p, err := c.Payload(t.Context(), one); err != nil || p.Tx != one || p.Proof.Index != 7 {
		t.Errorf("naming a payload: %+v, %v", p, err)
	}
	_, err = c.Explain(t.Context(), one)
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusGone || !strings.Contains(p.En, "order 7") || !strings.Contains(p.Zh, "第 7 号指令") {
		t.Errorf("explaining an erased decision: %v", err)
	}
}

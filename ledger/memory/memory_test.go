package memory

import (
	"testing"

	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, s ledgertest.Setup) ledgertest.Subject {
		keys, err := receipt.ParseKeys(s.Keys)
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(Config{Network: s.Network, Chain: s.Chain, Keys: keys, Platforms: s.Platforms, Now: s.Now})
		if err != nil {
			t.Fatal(err)
		}
		return ledgertest.Subject{Ledger: l, HoldsClock: true}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Chain: "c"}, {Network: "n"}, {Network: "not a name", Chain: "c"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v: want an error", c)
		}
	}
}

package ledger

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/ops/opstest"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/ledger/remote"
)

func TestFigures(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	l, err := embedded.Open(embedded.Config{Dir: t.TempDir(), Genesis: embedded.Genesis{
		Network: ledgertest.Network, Supervision: ledgertest.Chain, AuthorityKeys: a.Keys, Platforms: []string{ledgertest.Platform},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	if _, err := l.Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := remote.Pin(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := remote.NewServer(remote.ServerConfig{Ledger: l, Key: key, Peers: []remote.Peer{{Name: "p1", Pin: pin}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"signalbox_part_unread{business chain}": 0,
		"signalbox_ledger_records":              1,
		"signalbox_ledger_connections":          0,
		"signalbox_ledger_strangers_total":      0,
		"signalbox_ledger_puts_in_hand{p1}":     0,
		"signalbox_ledger_followers{p1}":        0,
	}
	if diff := cmp.Diff(want, opstest.Gather(t, Figures(l, s))); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

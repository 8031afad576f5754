package chain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// handed is a fixture of a test's own whose node holds three generations of log keys.
func handed(t *testing.T, named bool) (*chaintest.Fixture, []chaintest.LogKeys) {
	t.Helper()
	f := *chaintest.New(t, envelope.GM())
	all := []chaintest.LogKeys{f.FirstLogKeys(), f.DrawLogKeys(t), f.DrawLogKeys(t)}
	f.Ring = chaintest.Ring(all[1:]...)
	if named {
		f.Genesis.Contract.LogKeys = f.Published
	}
	return &f, all
}

// R1.7, R8.1: the log's keys are handed over twice while the chain runs, by orders
// that carry the statements. Every receipt that was ever given verifies by the first
// keys, and by the last ones with a key file that grew; no key signs beyond its size.
// A chain whose genesis names no log keys can do it too.
func TestLogKeysAreHandedOver(t *testing.T) {
	for name, named := range map[string]bool{"log keys in genesis": true, "none in genesis": false} {
		t.Run(name, func(t *testing.T) {
			f, all := handed(t, named)
			dir := t.TempDir()
			c, stop := f.Open(t, dir)
			var given []chain.Decided
			decide := func() {
				given = append(given, f.Register(t, c, chaintest.Numbered(len(given))))
			}
			decide()
			for i := range 2 {
				give(t, f, c, contract.KeysHandover, contract.Handover{Statement: all[i].HandOver(t, all[i+1], i+2, c.Size()+1)})
				decide() // the last one of the old keys
				decide()
				if i == 0 {
					stop()
					c, stop = f.Open(t, dir)
				}
			}
			keys, err := c.LogKeys()
			must(t, err)
			if keys.Generation() != 3 || !slices.Equal(keys.Current(), all[2].Lines) {
				t.Fatalf("the chain knows generation %d", keys.Generation())
			}
			for i, d := range given {
				file, err := c.Receipt(d)
				must(t, err)
				p, err := receipt.Verify(file, f.Keys, chaintest.Chain)
				must(t, err)
				if want := 1 + i/2; p.Generation != want && !(i == 0 && p.Generation == 0) {
					t.Errorf("decision %d is signed by generation %d", i, p.Generation)
				}
				if _, err := receipt.Verify(file, keys, chaintest.Chain); err != nil {
					t.Errorf("decision %d by the newest keys: %v", i, err)
				}
			}
			stop()
			checked, err := chain.Replay(t.Context(), dir, keys, func(chain.Decided) error { return nil })
			if err != nil || len(checked.Problems) > 0 || checked.Checkpoints != len(given) {
				t.Errorf("replay: %v %+v", err, checked)
			}
		})
	}
}

// Attacks on hand-overs: by officers without the log's keys, by who holds some of
// them, and statements that are not for now.
func TestForgedHandovers(t *testing.T) {
	f, all := handed(t, true)
	stranger, second := f.DrawLogKeys(t), f.DrawLogKeys(t)
	c, _ := f.Open(t, t.TempDir())
	f.Register(t, c, "RX-1")
	f.Register(t, c, "RX-2")
	mixed := chaintest.LogKeys{Signers: stranger.Signers, Lines: all[0].Lines} // claims to be the old keys
	tampered := slices.Clone(all[0].HandOver(t, all[1], 2, 9))
	tampered[strings.Index(string(tampered), "\n9\n")+1] = '8'
	for name, statement := range map[string][]byte{
		"of strangers' keys":             stranger.HandOver(t, second, 2, 9),
		"size was changed":               tampered,
		"nothing":                        nil,
		"of a size that is past":         all[0].HandOver(t, all[1], 2, 1),
		"of a later generation":          all[0].HandOver(t, all[1], 3, 9),
		"to keys that nobody here holds": all[0].HandOver(t, stranger, 2, 9),
		"backwards":                      all[1].HandOver(t, all[0], 2, 9),
	} {
		if _, err := f.Give(t, c, contract.KeysHandover, contract.Handover{Statement: statement}); err == nil {
			t.Errorf("%s: carried out", name)
		}
	}
	if _, err := receipt.SignHandover(receipt.Handover{Origin: chaintest.Chain, Generation: 2, Size: 9, Old: all[0].Lines, New: all[1].Lines},
		slices.Concat(mixed.Signers, all[1].Signers)...); !errors.Is(err, receipt.ErrHandover) {
		t.Errorf("signed for keys that the signer has not: %v", err)
	}
	if keys, err := c.LogKeys(); err != nil || keys.Known() != 0 {
		t.Fatalf("the chain knows %d hand-overs, %v", keys.Known(), err)
	}
	give(t, f, c, contract.KeysHandover, contract.Handover{Statement: all[0].HandOver(t, all[1], 2, 2)})
	for name, statement := range map[string][]byte{
		"the same once more":        all[0].HandOver(t, all[1], 2, 2),
		"the old keys to others":    all[0].HandOver(t, all[2], 2, 9),
		"not beyond the one before": all[1].HandOver(t, all[2], 3, 2),
		"back to the first keys":    all[1].HandOver(t, all[0], 3, 9),
	} {
		if _, err := f.Give(t, c, contract.KeysHandover, contract.Handover{Statement: statement}); err == nil {
			t.Errorf("%s: carried out", name)
		}
	}
	d := f.Register(t, c, "RX-3")
	file, err := c.Receipt(d)
	must(t, err)
	p, err := receipt.Verify(file, f.Keys, chaintest.Chain)
	must(t, err)
	if p.Generation != 2 {
		t.Errorf("the next decision is signed by generation %d", p.Generation)
	}
}

// Four eyes: where policy says so, one officer alone can't hand the log's keys over.
func TestHandoverNeedsSecondOfficer(t *testing.T) {
	f, all := handed(t, true)
	f.Genesis.Contract.SecondOfficer = []contract.Kind{contract.KeysHandover}
	c, _ := f.Open(t, t.TempDir())
	_, err := f.Give(t, c, contract.KeysHandover, contract.Handover{Statement: all[0].HandOver(t, all[1], 2, 5)})
	var refused *contract.OrderRefused
	if !errors.As(err, &refused) || refused.Code != "order_second" {
		t.Errorf("one officer alone: %v", err)
	}
}

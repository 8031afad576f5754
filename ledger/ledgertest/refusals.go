package ledgertest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// attack makes a record that must be refused.
type attack struct {
	name string
	make func(t *testing.T, a *Authority) ledger.Record
}

// refusals: R1.7, an unauthorised record never reaches the business chain, and
// the chain itself refuses it. After each, nothing is stored.
func refusals(t *testing.T, b *bench) {
	for _, group := range [][]attack{otherReceipts(), otherDecisions(), otherAuthorities(), tampered()} {
		for _, a := range group {
			t.Run(a.name, func(t *testing.T) { b.refused(t, a.make(t, b.authority)) })
		}
	}
	t.Run("tampered leaf", func(t *testing.T) { tamperedLeaf(t, b) })
	t.Run("tampered receipt text", func(t *testing.T) { tamperedText(t, b) })
}

// value is what the records of the attacks hold.
func value() []byte { return []byte("sealed record") }

// otherReceipts: no receipt, or a genuine one for something else.
func otherReceipts() []attack {
	valid := func(t *testing.T, a *Authority) ledger.Record { return a.Record(t, flow.Register, value()) }
	return []attack{
		{"no receipt", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			rec.Receipt = nil
			return rec
		}},
		{"garbage", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			rec.Receipt = make([]byte, 500)
			rand.Read(rec.Receipt)
			return rec
		}},
		{"receipt too large", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			rec.Receipt = append(rec.Receipt, make([]byte, receipt.MaxReceipt)...)
			return rec
		}},
		{"receipt of another record", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			rec.Value = []byte("another value")
			return rec
		}},
		{"replayed under another flow", func(t *testing.T, a *Authority) ledger.Record {
			rec := a.Record(t, flow.Order, value())
			rec.Key.Flow = random()
			return rec
		}},
		{"replayed under another transaction", func(t *testing.T, a *Authority) ledger.Record {
			rec := a.Record(t, flow.Order, value())
			rec.Key.Tx = random()
			return rec
		}},
		{"registration replayed as another flow", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			h := random()
			rec.Key = ledger.Key{Flow: h, Tx: h}
			return rec
		}},
		{"receipt of another step", func(t *testing.T, a *Authority) ledger.Record {
			rec := a.Record(t, flow.Order, value())
			rec.Step = flow.Settle
			return rec
		}},
		{"unknown step", func(t *testing.T, a *Authority) ledger.Record {
			rec := valid(t, a)
			rec.Step = "confiscate"
			return rec
		}},
	}
}

// otherDecisions: the log holds the leaf, but it does not permit the record.
func otherDecisions() []attack {
	decided := func(name string, step flow.Step, change func(*receipt.Leaf)) attack {
		return attack{name, func(t *testing.T, a *Authority) ledger.Record {
			return a.Record(t, step, value(), change)
		}}
	}
	return []attack{
		decided("verdict refused", flow.Register, func(l *receipt.Leaf) { l.Verdict, l.Reasons = flow.Refused, []string{"RX-1"} }),
		decided("verdict held", flow.Register, func(l *receipt.Leaf) { l.Verdict = flow.Held }),
		decided("expired", flow.Order, func(l *receipt.Leaf) { l.Issued, l.Expires = 1_500_000_000, 1_600_000_000 }),
		decided("other network", flow.Register, func(l *receipt.Leaf) { l.Network = "network-other" }),
		decided("platform not admitted", flow.Register, func(l *receipt.Leaf) { l.Platform = "platform-stranger" }),
		decided("no platform", flow.Register, func(l *receipt.Leaf) { l.Platform = "" }),
		decided("leaf of another supervision chain", flow.Register, func(l *receipt.Leaf) { l.Chain = "supervision-other" }),
		decided("registration whose flow is another", flow.Register, func(l *receipt.Leaf) { l.Flow = random() }),
		decided("no flow", flow.Order, func(l *receipt.Leaf) { l.Flow = flow.Hash{} }),
		decided("no content", flow.Order, func(l *receipt.Leaf) { l.Record = flow.Hash{} }),
		decided("review request leaves no record", flow.ReviewRequest, func(*receipt.Leaf) {}),
		decided("enrolment leaves no record", flow.Enrol, func(*receipt.Leaf) {}),
	}
}

// otherAuthorities: the proof is right and of the wrong log.
func otherAuthorities() []attack {
	return []attack{
		{"wrong key of the same name", func(t *testing.T, _ *Authority) ledger.Record {
			return NewAuthority(t, Chain).Record(t, flow.Register, value())
		}},
		{"another authority", func(t *testing.T, _ *Authority) ledger.Record {
			return NewAuthority(t, "supervision-other").Record(t, flow.Register, value())
		}},
		{"another log signed with the right key", func(t *testing.T, a *Authority) ledger.Record {
			leaf := Leaf(flow.Register, value())
			p := a.Decide(t, leaf)
			p.Checkpoint = a.SignAs(t, "supervision-other")
			return record(leaf, value(), p.Receipt())
		}},
	}
}

// tampered: one part of a valid receipt is not what was signed.
func tampered() []attack {
	spoiled := func(name string, spoil func(t *testing.T, a *Authority, p *Parts)) attack {
		return attack{name, func(t *testing.T, a *Authority) ledger.Record {
			a.Record(t, flow.Register, []byte("a neighbour in the log"))
			leaf := Leaf(flow.Register, value())
			p := a.Decide(t, leaf)
			spoil(t, a, &p)
			return record(leaf, value(), p.Receipt())
		}}
	}
	return []attack{
		spoiled("index", func(_ *testing.T, _ *Authority, p *Parts) { p.Index-- }),
		spoiled("index beyond the log", func(_ *testing.T, _ *Authority, p *Parts) { p.Index += 1000 }),
		spoiled("inclusion proof changed", func(_ *testing.T, _ *Authority, p *Parts) { p.Inclusion[0][0] ^= 1 }),
		spoiled("inclusion proof cut", func(_ *testing.T, _ *Authority, p *Parts) { p.Inclusion = p.Inclusion[1:] }),
		spoiled("inclusion proof extended", func(_ *testing.T, _ *Authority, p *Parts) { p.Inclusion = append(p.Inclusion, p.Inclusion[0]) }),
		spoiled("checkpoint's size changed", func(_ *testing.T, _ *Authority, p *Parts) {
			lines := bytes.Split(p.Checkpoint, []byte("\n"))
			lines[1] = append(lines[1], '0')
			p.Checkpoint = bytes.Join(lines, []byte("\n"))
		}),
		spoiled("checkpoint of before the decision", func(t *testing.T, a *Authority, p *Parts) {
			old := a.Checkpoint(t)
			*p = a.Decide(t, Leaf(flow.Register, value()))
			p.Checkpoint = old
		}),
		spoiled("checkpoint without signature", func(_ *testing.T, _ *Authority, p *Parts) {
			p.Checkpoint = p.Checkpoint[:bytes.Index(p.Checkpoint, []byte("\n\n"))+2]
		}),
	}
}

// tamperedLeaf changes bytes of the leaf one at a time, under the real proof.
func tamperedLeaf(t *testing.T, b *bench) {
	leaf := Leaf(flow.Register, value())
	p := b.authority.Decide(t, leaf)
	for i := 0; i < len(p.Leaf); i += 7 {
		changed := p
		changed.Leaf = slices.Clone(p.Leaf)
		changed.Leaf[i] ^= 1 << (i % 8)
		b.mustRefuse(t, record(leaf, value(), changed.Receipt()), fmt.Sprintf("leaf with byte %d changed", i))
	}
	b.absent(t, ledger.Key{Flow: leaf.Flow, Tx: leaf.Tx})
	rec := record(leaf, value(), p.Receipt())
	b.stands(t, rec, b.put(t, rec)) // so it was the bytes, nothing else
}

// tamperedText changes bytes of the receipt's text one at a time, newlines
// and base64 padding included.
func tamperedText(t *testing.T, b *bench) {
	leaf := Leaf(flow.Register, value())
	valid := b.authority.Receipt(t, leaf)
	for i := 0; i < len(valid); i += 11 {
		changed := slices.Clone(valid)
		changed[i] ^= 1
		b.mustRefuse(t, record(leaf, value(), changed), fmt.Sprintf("receipt with byte %d changed", i))
	}
	b.absent(t, ledger.Key{Flow: leaf.Flow, Tx: leaf.Tx})
	rec := record(leaf, value(), valid)
	b.stands(t, rec, b.put(t, rec))
}

// expiry: a decision permits its record until it expires; a record that was stored in
// time stays, and can be put again like any other.
func expiry(t *testing.T, b *bench) {
	until := func(d time.Duration) func(*receipt.Leaf) {
		return func(l *receipt.Leaf) { l.Expires = b.clock.Now().Add(d).Unix() }
	}
	early := b.authority.Record(t, flow.Order, value(), until(time.Hour))
	id := b.put(t, early)
	b.refused(t, b.authority.Record(t, flow.Order, value(), until(-time.Hour)))
	if !b.HoldsClock {
		return
	}
	late := b.authority.Record(t, flow.Order, value(), until(time.Hour))
	b.clock.advance(61 * time.Minute)
	b.refused(t, late)
	if _, err := b.Ledger.Put(bounded(t), late); !errors.Is(err, ledger.ErrExpired) {
		t.Errorf("put of what has expired: %v, want ErrExpired", err)
	}
	if again := b.put(t, early); again != id {
		t.Errorf("the same record after its expiry got transaction %q, before %q", again, id)
	}
	b.stands(t, early, id)
}

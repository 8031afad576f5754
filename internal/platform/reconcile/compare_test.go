package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger"
)

// Protocol, writes 5 to 7: what differs is said, and what is on its way is not.
func TestCompare(t *testing.T) {
	value := []byte("sealed")
	id, tx := flow.Hash{1}, flow.Hash{2}
	kept := outbox.Kept{Step: flow.Order, Flow: id, Tx: tx, State: outbox.Done, Record: flow.SumHash(value), BusinessTx: "b"}
	stored := ledger.Stored{Record: ledger.Record{Key: ledger.Key{Flow: id, Tx: tx}, Step: flow.Order, Value: value}, TxID: "b"}
	with := func(change func(*outbox.Kept)) outbox.Kept { k := kept; change(&k); return k }
	chain := func(change func(*ledger.Stored)) *ledger.Stored { s := stored; change(&s); return &s }
	state := func(s outbox.State) outbox.Kept {
		return with(func(k *outbox.Kept) { k.State, k.BusinessTx = s, "" })
	}
	for _, c := range []struct {
		name   string
		kept   outbox.Kept
		stored *ledger.Stored
		want   []Kind
	}{
		{"agreed", kept, &stored, nil},
		{"granted, on its way", state(outbox.Granted), nil, nil},
		{"granted, put and not noted yet", state(outbox.Granted), &stored, nil},
		{"lapsed, and not there", state(outbox.Lapsed), nil, nil},
		{"refused, and not there", state(outbox.Refused), nil, nil},
		{"done without a record", state(outbox.Done), nil, nil},
		{"done, and gone from the chain", kept, nil, []Kind{MissingRecord}},
		{"refused, and there", state(outbox.Refused), &stored, []Kind{UnexpectedRecord}},
		{"lapsed, and there", state(outbox.Lapsed), &stored, []Kind{UnexpectedRecord}},
		{"another transaction", kept, chain(func(s *ledger.Stored) { s.TxID = "c" }), []Kind{OtherTransaction}},
		{"other content", kept, chain(func(s *ledger.Stored) { s.Value = []byte("else") }), []Kind{OtherContent}},
		{"another step", kept, chain(func(s *ledger.Stored) { s.Step = flow.Settle }), []Kind{OtherContent}},
		{"another flow", kept, chain(func(s *ledger.Stored) { s.Key.Flow = flow.Hash{7} }), []Kind{OtherContent}},
		{"content and transaction", kept, chain(func(s *ledger.Stored) { s.Value, s.TxID = nil, "c" }), []Kind{OtherContent, OtherTransaction}},
		{"granted, with other content", state(outbox.Granted), chain(func(s *ledger.Stored) { s.Value = nil }), []Kind{OtherContent}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Kind
			for _, d := range compare(c.kept, c.stored) {
				got = append(got, d.kind)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Every kind has its texts in both languages.
func TestKindsHaveTexts(t *testing.T) {
	seen := map[string]Kind{}
	for _, k := range Kinds() {
		zh, en := k.Texts()
		if zh == string(k) || en == string(k) || zh == en {
			t.Errorf("%s: %q, %q", k, zh, en)
		}
		if other, twice := seen[en]; twice {
			t.Errorf("%s and %s say the same", k, other)
		}
		seen[en] = k
	}
}

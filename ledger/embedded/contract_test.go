package embedded

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// begun is a contract after genesis, without a node around it.
func begun(t *testing.T, a *ledgertest.Authority) *contract {
	t.Helper()
	c, err := newContract(comet.NewMemKV(), time.Now, Genesis{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(testGenesis(a))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Init(comet.Genesis{ChainID: "c", AppState: state}); err != nil {
		t.Fatal(err)
	}
	return c
}

// block executes a block that nobody checked before, as from a dishonest proposer.
func block(t *testing.T, c *contract, at time.Time, txs ...[]byte) comet.Outcome {
	t.Helper()
	last, err := c.Last()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Finalize(comet.Block{Height: last.Height + 1, Time: at, Txs: txs})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(); err != nil {
		t.Fatal(err)
	}
	return out
}

func encoded(t *testing.T, rec ledger.Record) []byte {
	t.Helper()
	tx, err := encodeRecord(rec)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// R1.7: the receipt is checked in consensus. Whatever a proposer puts into a block, a
// record without a valid receipt changes nothing.
func TestBlockRefuses(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	value := []byte("sealed")
	good := a.Record(t, flow.Register, value)
	naked, moved, changed := good, good, good
	naked.Receipt = nil
	moved.Key.Flow[0] ^= 1
	changed.Value = []byte("other")
	stranger := ledgertest.NewAuthority(t, ledgertest.Chain).Record(t, flow.Register, value)
	tx := encoded(t, good)

	cases := []struct {
		name string
		tx   []byte
		code uint32
	}{
		{"no receipt", encoded(t, naked), codeRefused},
		{"receipt of another key", encoded(t, moved), codeRefused},
		{"receipt of another value", encoded(t, changed), codeRefused},
		{"receipt of another authority", encoded(t, stranger), codeRefused},
		{"garbage", []byte("garbage"), codeMalformed},
		{"empty", nil, codeMalformed},
		{"trailing bytes", append(bytes.Clone(tx), 0), codeMalformed},
		{"version encoded with more bytes than needed", append([]byte{tx[0], 0x18, 1}, tx[2:]...), codeMalformed},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c := begun(t, a)
			before, _ := c.Last()
			out := block(t, c, time.Now(), test.tx)
			if out.Results[0].Code != test.code || out.Results[0].Log == "" {
				t.Errorf("result %+v, want code %d and a reason", out.Results[0], test.code)
			}
			if !bytes.Equal(out.AppHash, before.AppHash) {
				t.Error("a refused transaction changed the app hash")
			}
			if no := c.Check(test.tx); no == nil || no.Code != test.code {
				t.Errorf("check: %v, want code %d", no, test.code)
			}
		})
	}
}

// Expiry is judged by the block's time, not by any node's clock.
func TestExpiryByBlockTime(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	expires := time.Unix(1_800_000_000, 0)
	rec := a.Record(t, flow.Order, []byte("v"), func(l *receipt.Leaf) { l.Expires = expires.Unix() })
	for _, test := range []struct {
		name string
		at   time.Time
		code uint32
	}{
		{"a second before", expires.Add(-time.Second), codeStored},
		{"at that second", expires, codeExpired},
		{"long after", expires.Add(time.Hour), codeExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := begun(t, a)
			c.now = func() time.Time { return expires.Add(-time.Hour) } // this node is late
			tx := encoded(t, rec)
			if no := c.Check(tx); no != nil { // and remembers the proof
				t.Fatal(no)
			}
			if out := block(t, c, test.at, tx); out.Results[0].Code != test.code {
				t.Errorf("code %d, want %d", out.Results[0].Code, test.code)
			}
		})
	}
}

func TestOneBlock(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	leaf := ledgertest.Leaf(flow.Register, []byte("one"))
	key := ledger.Key{Flow: leaf.Flow, Tx: leaf.Tx}
	one := ledger.Record{Key: key, Step: leaf.Step, Value: []byte("one"), Receipt: a.Receipt(t, leaf)}
	newer := one
	newer.Receipt = a.Receipt(t, leaf)
	leaf.Record = flow.SumHash([]byte("two"))
	two := ledger.Record{Key: key, Step: leaf.Step, Value: []byte("two"), Receipt: a.Receipt(t, leaf)}

	c := begun(t, a)
	out := block(t, c, time.Now(), encoded(t, one), encoded(t, newer), encoded(t, two), encoded(t, one))
	var codes []uint32
	for _, r := range out.Results {
		codes = append(codes, r.Code)
	}
	if want := []uint32{codeStored, codeStored, codeConflict, codeStored}; string32(codes) != string32(want) {
		t.Errorf("codes %v, want %v", codes, want)
	}
	first := out.Results[0].Data
	if !bytes.Equal(out.Results[1].Data, first) || !bytes.Equal(out.Results[3].Data, first) {
		t.Error("the same record has several transaction ids")
	}
	if string(first) != flow.SumHash(encoded(t, one)).String() {
		t.Errorf("transaction id %s, want the hash of the transaction", first)
	}
	if c.at.Count != 1 {
		t.Errorf("%d records, want 1", c.at.Count)
	}
}

func string32(v []uint32) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// Two nodes come to the same hash, though one verified the receipts before and
// the other did not; and an empty block leaves it.
func TestAppHashIsDeterministic(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	recs := a.Records(t, 30, 300)
	c, d := begun(t, a), begun(t, a)
	now := time.Now()
	seen := map[string]bool{}
	for i := range 3 {
		var txs [][]byte
		for _, rec := range recs[10*i : 10*i+10] {
			tx := encoded(t, rec)
			if no := c.Check(tx); no != nil {
				t.Fatal(no)
			}
			txs = append(txs, tx)
		}
		x, y := block(t, c, now, txs...), block(t, d, now, txs...)
		if !bytes.Equal(x.AppHash, y.AppHash) {
			t.Fatalf("block %d: %x and %x", i+1, x.AppHash, y.AppHash)
		}
		if seen[string(x.AppHash)] {
			t.Error("records left the app hash as it was")
		}
		seen[string(x.AppHash)] = true
		if e := block(t, c, time.Time{}); !bytes.Equal(e.AppHash, x.AppHash) {
			t.Error("an empty block changed the app hash")
		}
		block(t, d, time.Time{})
	}
}

func TestProofsAreBounded(t *testing.T) {
	var p proofs
	hash := func(i int) flow.Hash { return flow.SumHash([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }
	for i := range 5 * maxProofs {
		p.put(hash(i), "2:9 ", receipt.Proven{Index: int64(i)})
	}
	if n := len(p.old) + len(p.new); n > 2*maxProofs {
		t.Errorf("%d proofs are kept, want at most %d", n, 2*maxProofs)
	}
	if v, ok := p.get(hash(5*maxProofs-1), "2:9 "); !ok || v.Index != 5*maxProofs-1 {
		t.Error("the newest proof is gone")
	}
	if _, ok := p.get(hash(5*maxProofs-1), "2:10 "); ok {
		t.Error("what was proven before keys were handed over counts afterwards")
	}
	p.drop(hash(5*maxProofs - 1))
	if _, ok := p.get(hash(5*maxProofs-1), "2:9 "); ok {
		t.Error("a dropped proof is still there")
	}
}

package chain_test

import (
	"bytes"
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/comet"
)

// R8.1: whatever is in a block and in whatever order, every validator comes to
// the same application hash and results. One instance runs through, the other is
// opened anew after every block, as after a restart.
func TestSameHashOnEveryValidator(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	state, err := f.Genesis.Encode()
	must(t, err)
	genesis := comet.Genesis{ChainID: chaintest.Chain, Time: f.Begun, AppState: state}
	for seed := range uint64(8) {
		random := mathrand.New(mathrand.NewPCG(seed, 1))
		one, other := comet.NewMemKV(), comet.NewMemKV()
		a, err := chain.Application(one)
		must(t, err)
		first, err := a.Init(genesis)
		must(t, err)
		b, err := chain.Application(other)
		must(t, err)
		again, err := b.Init(genesis)
		must(t, err)
		if !bytes.Equal(first, again) {
			t.Fatal("genesis gives two hashes")
		}
		for height := int64(1); height <= 12; height++ {
			last, err := contract.LastOrder(chain.State(one))
			must(t, err)
			txs := pool(t, f, random, last)
			random.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
			block := comet.Block{Height: height, Time: f.Begun.Add(time.Duration(height) * time.Hour), Txs: txs}
			want := execute(t, a, block)
			b, err = chain.Application(other)
			must(t, err)
			if got := execute(t, b, block); !bytes.Equal(got, want) {
				t.Fatalf("seed %d, block %d: %x on one validator, %x on the other", seed, height, want, got)
			}
		}
	}
}

func execute(t *testing.T, a comet.Application, b comet.Block) []byte {
	t.Helper()
	out, err := a.Finalize(b)
	must(t, err)
	must(t, a.Commit())
	hash := out.AppHash
	for _, r := range out.Results {
		hash = append(hash, byte(r.Code))
		hash = append(hash, r.Log...)
	}
	return hash
}

// pool is a block's worth of registrations, some of them of one number or twice
// the same, and officers' orders, some out of turn.
func pool(t *testing.T, f *chaintest.Fixture, random *mathrand.Rand, last uint64) [][]byte {
	t.Helper()
	var txs [][]byte
	for range 1 + random.IntN(6) {
		sub, _, facts := f.Registration(t, chaintest.Numbered(random.IntN(12)))
		if random.IntN(3) == 0 {
			facts.Content = chaintest.Name("content", "other")
		}
		tx := f.Compose(t, sub, facts)
		txs = append(txs, tx)
		if random.IntN(4) == 0 {
			txs = append(txs, tx, f.Compose(t, sub, facts)) // again, and in another transaction
		}
	}
	orders := []struct {
		kind contract.Kind
		body any
	}{
		{contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended}},
		{contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Active}},
		{contract.Freeze, contract.Target{What: contract.FrozenSubject, ID: chaintest.Name("subject", "s1")}},
		{contract.Unfreeze, contract.Target{What: contract.FrozenSubject, ID: chaintest.Name("subject", "s1")}},
		{contract.ListAdd, contract.Additions{Entries: []contract.Addition{{List: contract.RestrictedSubjects, Key: []string{"x"}, Reason: "r", Basis: "b"}}}},
	}
	for range random.IntN(3) {
		last++
		o := orders[random.IntN(len(orders))]
		body, err := flow.Marshal(o.body)
		must(t, err)
		tx, err := chain.Compose(chaintest.Chain, chain.KindOrder, f.Order(t, contract.Order{
			Number: last, Kind: o.kind, Officer: chaintest.Officer, Reason: "test",
			Issued: f.Begun.Unix(), Expires: f.Begun.Add(100 * time.Hour).Unix(), Body: body,
		}), f.Suite, f.Signing, rand.Reader)
		must(t, err)
		txs = append(txs, tx)
	}
	return append(txs, []byte("not a transaction"))
}

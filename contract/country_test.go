package contract_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	db "github.com/cometbft/cometbft-db"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// diskState is a State on the store that the supervision chain uses, with the
// options that internal/comet opens it with: writes are staged for the block, reads see them.
type diskState struct {
	db     db.DB
	writes map[string][]byte
}

func openDisk(t testing.TB, dir string) *diskState {
	t.Helper()
	kv, err := db.NewGoLevelDBWithOpts("state", dir, &opt.Options{Filter: filter.NewBloomFilter(10), BlockCacheCapacity: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return &diskState{db: kv, writes: map[string][]byte{}}
}

func (d *diskState) Get(key []byte) ([]byte, error) {
	if v, ok := d.writes[string(key)]; ok {
		return v, nil
	}
	return d.db.Get(key)
}

func (d *diskState) Set(key, value []byte) { d.writes[string(key)] = append([]byte(nil), value...) }

func (d *diskState) commit(t testing.TB) {
	t.Helper()
	batch := d.db.NewBatch()
	defer batch.Close()
	for k, v := range d.writes {
		if err := batch.Set([]byte(k), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.WriteSync(); err != nil {
		t.Fatal(err)
	}
	clear(d.writes)
}

// countryGenesis has an officer besides, and 200 rules.
func countryGenesis() contract.Genesis {
	g := townGenesis()
	g.Bundle = manyRules(200, "")
	g.Identities = append(g.Identities, identity(contract.RoleOfficer, "O1"))
	return g
}

// fill adds n list entries by orders of 4000, spread over the five lists.
func fill(b *testing.B, s *diskState, c *contract.Contract, n int) {
	b.Helper()
	for number := uint64(1); n > 0; number++ {
		var a contract.Additions
		for range min(n, 4000) {
			list := contract.Lists()[n%5]
			id := flow.SumHash(fmt.Append(nil, n)).String() // as pseudonyms are spread
			key := []string{id}
			if list == contract.RestrictedSubjectItems || list == contract.RestrictedProducerSubjects {
				key = append(key, id)
			}
			a.Entries = append(a.Entries, contract.Addition{List: list, Key: key, Reason: "claims fraud, case 17", Basis: "Regulation 12, article 3"})
			n--
		}
		o := order(b, number, contract.ListAdd, a)
		if _, err := c.Apply(s, o, "", contract.Block{Height: int64(number), Now: morning}); err != nil {
			b.Fatal(err)
		}
		s.commit(b)
	}
}

func order(t testing.TB, number uint64, kind contract.Kind, body any) contract.Order {
	t.Helper()
	data, err := flow.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return contract.Order{
		Number: number, Kind: kind, Officer: "O1", Reason: "no reason", Issued: morning, Expires: morning + 1e6, Body: data,
	}
}

// BenchmarkCountry decides with 200 rules and lists of 1,000,000 entries on disk,
// and reports what it takes to open such a state anew: restart/s in seconds,
// heap-MB in mebibytes after it.
func BenchmarkCountry(b *testing.B) {
	dir := b.TempDir()
	s := openDisk(b, dir)
	if err := contract.Init(s, countryGenesis()); err != nil {
		b.Fatal(err)
	}
	c, err := contract.New(s)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, c, 1_000_000)
	if err := s.db.Compact(nil, nil); err != nil { // or its own compaction runs beside the benchmark
		b.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("restart", func(b *testing.B) {
		for b.Loop() {
			s = openDisk(b, dir)
			if c, err = contract.New(s); err != nil {
				b.Fatal(err)
			}
			if err := s.db.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	s = openDisk(b, dir)
	defer s.db.Close()
	tokens := map[string]flow.Hash{}
	for _, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request()
		step := r.Header.Step
		if step == flow.Register || step == flow.Order {
			for n := range 4 {
				r.Facts.Items = append(r.Facts.Items, contract.ItemFacts{Item: fmt.Sprint("J", n), Quantity: 1000, DaysSupply: 30})
			}
			b.Run(string(step), func(b *testing.B) { decideOften(b, c, s, r) })
		}
		d := decide(b, c, s, r)
		if d.Verdict != flow.Granted {
			b.Fatal(step, d.Reasons)
		}
		s.commit(b)
		if step == flow.ReviewRequest {
			tokens["A1"] = d.Token
		}
		if step == flow.Order {
			return
		}
	}
}

// decideOften decides for subjects, items and flows all of which are looked up anew.
func decideOften(b *testing.B, c *contract.Contract, s *diskState, r contract.Request) {
	b.ReportAllocs()
	clear(s.writes)
	for b.Loop() {
		if d, err := c.Decide(s, r); err != nil || d.Verdict != flow.Granted {
			b.Fatal(d.Verdict, d.Reasons, err)
		}
		clear(s.writes)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
}

// A list keeps its entries over a restart, on the store that the chain uses.
func TestListsOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	s := openDisk(t, dir)
	if err := contract.Init(s, countryGenesis()); err != nil {
		t.Fatal(err)
	}
	c, err := contract.New(s)
	if err != nil {
		t.Fatal(err)
	}
	a := contract.Additions{}
	for n := range 4000 { // thousands of rows in one order (R6.2)
		a.Entries = append(a.Entries, contract.Addition{List: contract.RestrictedReviewers, Key: []string{fmt.Sprint("R", n+1)}, Reason: "r", Basis: "b"})
	}
	done, err := c.Apply(s, order(t, 1, contract.ListAdd, a), "", contract.Block{Height: 2, Now: morning})
	if err != nil || len(done.Entries) != 4000 || done.Entries[3999] != 4000 {
		t.Fatal(len(done.Entries), err)
	}
	s.commit(t)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s = openDisk(t, dir)
	defer s.db.Close()
	if c, err = contract.New(s); err != nil {
		t.Fatal(err)
	}
	r := submission("P1", flow.Register, "", "F1")
	r.Facts = contract.Facts{Record: "X", Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
	decide(t, c, s, r)
	r = submission("P1", flow.ReviewRequest, "F1", "A1")
	r.Header.Actor, r.Facts.Reviewer = "R2", "R2"
	if d := decide(t, c, s, r); d.Verdict != flow.Refused || d.Reasons[0].Code != "LIST-REVIEWER" {
		t.Errorf("%s, %v", d.Verdict, d.Reasons)
	}
	if n, err := contract.EntryCount(s, contract.RestrictedReviewers); err != nil || n != 4000 {
		t.Errorf("%d entries, %v", n, err)
	}
}

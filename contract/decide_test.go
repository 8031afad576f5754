package contract_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// townGenesis has two platforms, two reviewers and two producers.
func townGenesis() contract.Genesis {
	g := genesis()
	for _, id := range []string{"P1", "P2"} {
		g.Identities = append(g.Identities, identity(contract.RolePlatform, id))
	}
	for _, id := range []string{"R1", "R2"} {
		g.Identities = append(g.Identities, identity(contract.RoleReviewer, id))
	}
	for _, id := range []string{"D1", "D2"} {
		g.Identities = append(g.Identities, identity(contract.RoleProducer, id))
	}
	g.Lists = []contract.Entry{
		{List: contract.RestrictedSubjects, Key: []string{"S2"}, From: morning + 7200, Reason: "r", Basis: "b"},
		{List: contract.RestrictedSubjectItems, Key: []string{"S1", "I3"}, Reason: "r", Basis: "b"},
	}
	return g
}

const morning = 1577844000 // 2020-01-01 10:00 at +08:00

func submission(platform string, step flow.Step, id, tx string) contract.Request {
	_, key := keyOf(platform)
	r := contract.Request{
		Header: flow.Header{
			Version: 1, Suite: "intl", Chain: "chain-1", Network: "net-1", Business: "prescription",
			Platform: platform, Step: step, Sender: key,
		},
		Tx: txOf(tx), Now: morning,
	}
	if id != "" {
		r.Header.Flow = txOf(id)
	}
	return r
}

func decide(t testing.TB, c *contract.Contract, s contract.State, r contract.Request) contract.Decision {
	t.Helper()
	d, err := c.Decide(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// wholeFlow is one flow's submissions, all to be granted in this order.
func wholeFlow(tokenOf func(tx string) flow.Hash) []func() contract.Request {
	step := func(step flow.Step, tx, actor string, fill func(*contract.Facts)) func() contract.Request {
		return func() contract.Request {
			r := submission("P1", step, "F1", tx)
			if step == flow.Register || step == flow.Enrol {
				r.Header.Flow = flow.Hash{}
			}
			r.Header.Actor = actor
			fill(&r.Facts)
			return r
		}
	}
	items := []contract.ItemFacts{{Item: "I1", Quantity: 2000}}
	return []func() contract.Request{
		step(flow.Enrol, "E1", "R3", func(f *contract.Facts) {
			i := identity(contract.RoleReviewer, "R3")
			f.Enrol = &i
		}),
		step(flow.Register, "F1", "", func(f *contract.Facts) { f.Record, f.Content, f.Subject, f.Items = "X1", "C1", "S1", items }),
		step(flow.ReviewRequest, "A1", "R3", func(f *contract.Facts) { f.Reviewer = "R3" }),
		step(flow.ReviewResult, "B1", "R3", func(f *contract.Facts) {
			f.Reviewer, f.Approved, f.Permit, f.Token = "R3", true, txOf("A1"), tokenOf("A1")
		}),
		step(flow.Order, "O1", "D1", func(f *contract.Facts) {
			f.Producer, f.Subject, f.Items, f.Amount, f.Currency = "D1", "S1", items, 100, "CNY"
		}),
		step(flow.Settle, "X1", "D1", func(f *contract.Facts) {
			f.Producer, f.Subject, f.Amount, f.Currency, f.Permit, f.Token = "D1", "S1", 100, "CNY", txOf("O1"), tokenOf("O1")
		}),
		step(flow.Deliver, "V1", "D1", func(f *contract.Facts) { f.Producer = "D1" }),
	}
}

// The token is SHA-256 over the day's text, the flow id's text and the suffix,
// to the letter (R2.3, R3.3); made with sha256sum.
func TestTokenVectors(t *testing.T) {
	vectors := map[flow.Step]string{
		// printf '2020-01-01%s%s' "$(printf 'transaction F1' | sha256sum | cut -c1-64)" pres | sha256sum
		flow.ReviewRequest: "0b51d0a484f277f5bdf60e5dee7e0b1cbf3f652000d2b233ed83d867f9affcca",
		flow.Order:         "f9dfea38df378b5d96c64103342a9760c8ba18737e93a420878d60f1b26f2ca6",
	}
	s, c := begin(t, townGenesis())
	tokens := map[string]flow.Hash{}
	given := 0
	for n, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request()
		d := decide(t, c, s, r)
		if d.Verdict != flow.Granted {
			t.Fatalf("submission %d: %s: %v", n, d.Verdict, d.Reasons)
		}
		want, gives := vectors[r.Header.Step]
		if !gives {
			want = flow.Hash{}.String()
		} else {
			given++
			tokens[[]string{"A1", "O1"}[given-1]] = d.Token
		}
		if d.Token.String() != want || gives != (d.Expires != 0) {
			t.Errorf("%s: token %s until %d, want %s", r.Header.Step, d.Token, d.Expires, want)
		}
	}
	if given != len(vectors) {
		t.Errorf("%d tokens were given", given)
	}
}

// A storage failure anywhere is an error and never a verdict.
func TestStorageFailure(t *testing.T) {
	s, c := begin(t, townGenesis())
	tokens := map[string]flow.Hash{}
	failures := 0
	for n, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		for reads := 0; ; reads++ {
			left := reads
			trial := mapState{}
			for k, v := range s {
				trial[k] = v
			}
			d, err := c.Decide(failingState{trial, &left}, request())
			if err == nil {
				break
			}
			failures++
			if !errors.Is(err, errStorage) || d.Verdict != "" {
				t.Errorf("submission %d, read %d: %v, %v", n, reads, d.Verdict, err)
			}
		}
		r := request()
		d := decide(t, c, s, r)
		if r.Header.Step == flow.ReviewRequest {
			tokens["A1"] = d.Token
		} else if r.Header.Step == flow.Order {
			tokens["O1"] = d.Token
		}
	}
	if failures < 20 {
		t.Errorf("only %d reads failed: the test tests little", failures)
	}
	left := 0
	if _, err := contract.New(failingState{s, &left}); !errors.Is(err, errStorage) {
		t.Errorf("New: %v", err)
	}
}

// A value that can't be read is an error too, not a missing one.
func TestDamagedState(t *testing.T) {
	s, c := begin(t, townGenesis())
	s["identity/P1"] = []byte("x")
	if d, err := c.Decide(s, submission("P1", flow.Register, "", "F1")); err == nil || d.Verdict != "" {
		t.Errorf("%v, %v", d.Verdict, err)
	}
}

// Reasons are at most a hundred, whatever there is to say.
func TestReasonsAreBounded(t *testing.T) {
	g := townGenesis()
	for range 150 {
		g.Lists = append(g.Lists, contract.Entry{List: contract.RestrictedReviewers, Key: []string{"R1"}, Reason: "r", Basis: "b"})
	}
	s, c := begin(t, g)
	r := submission("P1", flow.Register, "", "F1")
	r.Facts = contract.Facts{Record: "X", Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
	decide(t, c, s, r)
	r = submission("P1", flow.ReviewRequest, "F1", "A1")
	r.Header.Actor, r.Facts.Reviewer = "R1", "R1"
	if d := decide(t, c, s, r); d.Verdict != flow.Refused || len(d.Reasons) != 100 || d.Reasons[99].Code != "LIST-REVIEWER" {
		t.Errorf("%s with %d reasons", d.Verdict, len(d.Reasons))
	}
}

// Facts beyond any bound are refused before a rule sees them.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", contract.MaxText+1)
	tooMany := slices.Repeat([]string{"t"}, contract.MaxTags+1)
	s, c := begin(t, townGenesis())
	for where, change := range map[string]func(*contract.Facts){
		"business":        func(f *contract.Facts) { f.Business = long },
		"subject":         func(f *contract.Facts) { f.Subject = long },
		"originator":      func(f *contract.Facts) { f.Originator = long },
		"prescriber":      func(f *contract.Facts) { f.Prescriber = long },
		"reviewer":        func(f *contract.Facts) { f.Reviewer = long },
		"producer":        func(f *contract.Facts) { f.Producer = long },
		"record":          func(f *contract.Facts) { f.Record = long },
		"content":         func(f *contract.Facts) { f.Content = long },
		"currency":        func(f *contract.Facts) { f.Currency = long },
		"unreadable_path": func(f *contract.Facts) { f.UnreadablePath = strings.Repeat("x", 513) },
		"tags":            func(f *contract.Facts) { f.Tags = tooMany },
		"items":           func(f *contract.Facts) { f.Items = make([]contract.ItemFacts, contract.MaxItems+1) },
		"items[0].item":   func(f *contract.Facts) { f.Items = []contract.ItemFacts{{Item: long}} },
		"items[1].item":   func(f *contract.Facts) { f.Items = []contract.ItemFacts{{}, {Tags: []string{long}}} },
	} {
		r := submission("P1", flow.Register, "", "F1")
		change(&r.Facts)
		d := decide(t, c, s, r)
		if len(d.Reasons) != 1 || d.Reasons[0].Code != "facts_too_large" || d.Reasons[0].Path != where {
			t.Errorf("%s: %v", where, d.Reasons)
		}
	}
}

// Keys of lists do not run together: ("ab", "c") is not ("a", "bc").
func TestListKeysAreApart(t *testing.T) {
	g := townGenesis()
	g.Lists = []contract.Entry{{List: contract.RestrictedSubjectItems, Key: []string{"S", "1I1"}, Reason: "r", Basis: "b"}}
	s, c := begin(t, g)
	tokens := map[string]flow.Hash{}
	for _, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request() // the order is subject S1, item I1
		d := decide(t, c, s, r)
		if r.Header.Step == flow.ReviewRequest {
			tokens["A1"] = d.Token
		}
		if r.Header.Step == flow.Order && d.Verdict != flow.Granted {
			t.Errorf("%s: %v", d.Verdict, d.Reasons)
		}
	}
}

// Equal states and requests give equal decisions and equal states, on a
// contract loaded anew as on one that has run for long; and whatever happens, a
// token is used once and a flow moves only as package flow allows.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s1, c1 := begin(t, townGenesis())
		s2, c2 := begin(t, townGenesis())
		w := walk{rng: rng, used: map[flow.Hash]bool{}}
		for n := range 150 {
			r := w.next(n)
			before := s1.dump()
			stood, _, err := contract.FlowOf(s1, r.Header.Flow)
			if err != nil {
				t.Fatal(err)
			}
			if n%50 == 49 {
				if c2, err = contract.New(s2); err != nil {
					t.Fatal(err)
				}
			}
			d1, d2 := decide(t, c1, s1, r), decide(t, c2, s2, r)
			if d := cmp.Diff(d1, d2); d != "" {
				t.Fatalf("seed %d, submission %d: decisions differ:\n%s", seed, n, d)
			}
			if d := cmp.Diff(s1.dump(), s2.dump()); d != "" {
				t.Fatalf("seed %d, submission %d: states differ:\n%s", seed, n, d)
			}
			if d1.Verdict != flow.Granted && s1.dump() != before {
				t.Fatalf("seed %d, submission %d: %s changes the state", seed, n, d1.Verdict)
			}
			if err := w.learn(s1, r, d1, stood.State); err != nil {
				t.Fatalf("seed %d, submission %d: %v", seed, n, err)
			}
		}
		if seed == 0 && w.granted < 20 {
			t.Errorf("only %d of 150 were granted: the walk tests little", w.granted)
		}
	}
}

// walk makes random submissions, likely and unlikely ones.
type walk struct {
	rng     *rand.Rand
	now     int64
	flows   []flow.Hash
	permits []permitted
	used    map[flow.Hash]bool
	granted int
}

type permitted struct{ tx, token flow.Hash }

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func (w *walk) next(n int) contract.Request {
	w.now += w.rng.Int64N(3600)
	steps := append(flow.Steps(), flow.ReviewRequest, flow.ReviewResult, flow.Order, flow.Settle)
	r := submission(pick(w.rng, "P1", "P1", "P1", "P2"), pick(w.rng, steps...), "", fmt.Sprint("T", n))
	r.Now = morning + w.now
	f := &r.Facts
	f.Subject, f.Record, f.Content = pick(w.rng, "S1", "S1", "S2"), fmt.Sprint("X", w.rng.IntN(12)), pick(w.rng, "C1", "C2")
	f.Items = []contract.ItemFacts{{Item: pick(w.rng, "I1", "I1", "I3"), Quantity: 1 + w.rng.Int64N(2)}}
	f.Amount, f.Currency = pick[int64](w.rng, 100, 100, 100, 90), "CNY"
	f.Approved = w.rng.IntN(4) > 0
	if r.Header.Step != flow.Register && r.Header.Step != flow.Enrol && len(w.flows) > 0 {
		r.Header.Flow = w.flows[len(w.flows)-1-w.rng.IntN(min(3, len(w.flows)))]
	}
	switch r.Header.Step {
	case flow.Enrol:
		i := identity(contract.RoleReviewer, pick(w.rng, "R3", "R4"))
		i.Licence = pick(w.rng, "", "L1", "L2")
		f.Enrol = &i
	case flow.ReviewRequest, flow.ReviewResult:
		f.Reviewer = pick(w.rng, "R1", "R1", "R2", "R3")
		r.Header.Actor = f.Reviewer
	case flow.Order, flow.Settle, flow.Deliver:
		f.Producer = pick(w.rng, "D1", "D1", "D2")
		r.Header.Actor = f.Producer
	}
	if len(w.permits) > 0 {
		p := w.permits[len(w.permits)-1-w.rng.IntN(min(3, len(w.permits)))]
		f.Permit, f.Token = p.tx, p.token
	}
	return r
}

// learn keeps what later submissions build on, and checks what must always hold.
func (w *walk) learn(s contract.State, r contract.Request, d contract.Decision, stood flow.State) error {
	if d.Verdict != flow.Granted {
		return nil
	}
	w.granted++
	switch r.Header.Step {
	case flow.Enrol:
		return nil
	case flow.Register:
		w.flows = append(w.flows, d.Flow)
	case flow.ReviewResult, flow.Settle:
		if w.used[r.Facts.Permit] {
			return fmt.Errorf("the token of %s is used twice", r.Facts.Permit)
		}
		w.used[r.Facts.Permit] = true
	}
	if !d.Token.IsZero() {
		w.permits = append(w.permits, permitted{r.Tx, d.Token})
	}
	now, _, err := contract.FlowOf(s, d.Flow)
	if err != nil {
		return err
	}
	if want, err := flow.Next(stood, r.Header.Step, r.Facts.Approved); err != nil || now.State != want {
		return fmt.Errorf("%s led from %q to %q: %v", r.Header.Step, stood, now.State, err)
	}
	return nil
}

// One contract decides for many at once.
func TestDecideConcurrently(t *testing.T) {
	s, c := begin(t, townGenesis())
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			own := mapState{}
			for k, v := range s {
				own[k] = v
			}
			for m := range 20 {
				r := submission("P1", flow.Register, "", fmt.Sprint(n, m))
				r.Facts = contract.Facts{Record: fmt.Sprint(m), Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 1}}}
				if d, err := c.Decide(own, r); err != nil || d.Verdict != flow.Granted {
					t.Errorf("%v, %v", d.Verdict, err)
				}
			}
		})
	}
	group.Wait()
}

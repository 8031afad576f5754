package oversight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/socket"
	"signalbox.dev/signalbox/receipt"
)

// memory is a contract's state.
type memory map[string][]byte

func (m memory) Get(key []byte) ([]byte, error) { return m[string(key)], nil }
func (m memory) Set(key, value []byte)          { m[string(key)] = append([]byte{}, value...) }

// fake is chain and authority: the contract itself, without consensus.
type fake struct {
	memory
	ids  []contract.Identity
	past []chain.Past
	open []chain.Unanchored    // by Index
	said []chain.AnchorFinding // the cursor is the index, in decimal
	gone []chain.Erasure
	err  error // of the next order
}

const now = 1_800_000_000

func (f *fake) State() contract.State                                 { return f.memory }
func (f *fake) Identities(contract.Role) ([]contract.Identity, error) { return f.ids, nil }
func (f *fake) Size() int64                                           { return 3 }
func (f *fake) Height() int64                                         { return 9 }
func (f *fake) Connected() []string                                   { return []string{"0123456789012345678901234567890123456789"} }

func (f *fake) Pseudonym(kind, id string) string {
	return flow.SumHash([]byte(kind), []byte(id)).String()
}

func (f *fake) Unanchored(from int64, limit int) (out []chain.Unanchored, _ error) {
	for _, u := range f.open {
		if u.Index >= from && len(out) < limit {
			out = append(out, u)
		}
	}
	return out, nil
}

func (f *fake) Findings(from string, limit int) ([]chain.AnchorFinding, string, error) {
	at, _ := strconv.Atoi(from)
	if end := at + limit; end < len(f.said) {
		return f.said[at:end], strconv.Itoa(end), nil
	}
	return f.said[at:], "", nil
}

func (f *fake) Explain(tx flow.Hash) (contract.Explanation, error) {
	for _, e := range f.gone {
		if e.Tx == tx {
			return contract.Explanation{}, &chain.ErasedError{Tx: tx, Order: e.Order, At: e.At, Ground: string(e.Ground)}
		}
	}
	return contract.Explanation{}, nil
}

func (f *fake) Base() int64 { return 10 }

func (f *fake) Payload(tx flow.Hash) (contract.Payload, error) {
	return contract.Payload{Tx: tx, Proof: &contract.Inclusion{Index: 7}}, nil
}

func (f *fake) Erasures(fn func(chain.Erasure) error) error {
	for _, e := range f.gone {
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) ByTx(tx flow.Hash) (chain.Decided, error) {
	for _, e := range f.gone {
		if e.Tx == tx {
			return chain.Decided{}, nil
		}
	}
	return chain.Decided{}, fmt.Errorf("%w: %s", chain.ErrNotFound, tx)
}

func (f *fake) Past(_ context.Context, _, _ time.Time, fn func(chain.Past) error) error {
	for _, p := range f.past {
		if err := fn(p); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) Order(_ context.Context, s chain.SignedOrder) (contract.OrderOutcome, error) {
	if f.err != nil {
		return contract.OrderOutcome{}, f.err
	}
	var o contract.Order
	if err := flow.Unmarshal(s.Order, &o); err != nil {
		return contract.OrderOutcome{}, err
	}
	c, err := contract.New(f.memory)
	if err != nil {
		return contract.OrderOutcome{}, err
	}
	return c.Apply(f.memory, o, s.Second, contract.Block{Height: 10, Now: now})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve runs the handler on a socket whose path is too long for an address.
func serve(t *testing.T) (*fake, *Client) {
	t.Helper()
	f := &fake{memory: memory{}}
	spki := []byte("key")
	sum := flow.SumHash(spki)
	f.ids = []contract.Identity{{ID: "officer", Role: contract.RoleOfficer, Status: contract.Active, Key: flow.KeyID(sum[:20]), SPKI: spki, NotAfter: now + 1000}}
	must(t, contract.Init(f.memory, contract.Genesis{Chain: "c", Suite: "gm", Bundle: contracts.Prescription(), Identities: f.ids, Businesses: []string{"prescription"}}))
	h, err := NewHandler(Config{Chain: f, Authority: f, Clock: func() time.Time { return time.Unix(now, 0) }})
	must(t, err)
	path := Socket(filepath.Join(t.TempDir(), strings.Repeat("long", 30)))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- socket.Serve(ctx, path, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	c := NewClient(path)
	t.Cleanup(c.Close)
	for {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm() == 0o600 {
			return f, c
		}
		time.Sleep(time.Millisecond)
	}
}

func signed(t *testing.T, number uint64, kind contract.Kind, body any) chain.SignedOrder {
	t.Helper()
	b, err := flow.Marshal(body)
	must(t, err)
	o, err := flow.Marshal(contract.Order{Number: number, Kind: kind, Officer: "officer", Reason: "case 17", Expires: now + 60, Body: b})
	must(t, err)
	return chain.SignedOrder{Order: o}
}

// R6.2, R9.2: an order is carried out, or refused in both languages; history,
// lists and status show it.
func TestOrders(t *testing.T) {
	f, c := serve(t)
	ctx := t.Context()
	add := contract.Additions{}
	for i := range 250 {
		add.Entries = append(add.Entries, contract.Addition{List: contract.RestrictedSubjects, Key: []string{fmt.Sprint("s", i)}, Reason: "r", Basis: "b"})
	}
	out, err := c.Order(ctx, signed(t, 1, contract.ListAdd, add))
	must(t, err)
	if len(out.Entries) != 250 || out.Number != 1 || out.Kind != contract.ListAdd {
		t.Errorf("outcome: %+v", out)
	}
	_, err = c.Order(ctx, signed(t, 1, contract.ListAdd, add))
	var p *Problem
	if !errors.As(err, &p) || p.Code != "order_replayed" || p.Status != 409 || p.In(true) == p.In(false) || !NumberTaken(err) {
		t.Errorf("the same order again: %v", err)
	}
	_, err = c.Order(ctx, signed(t, 2, contract.ListLift, contract.EntryRef{List: contract.RestrictedSubjects, Number: 999}))
	if !errors.As(err, &p) || p.Code != "entry_unknown" || p.Status != 422 || p.AdviceZh == "" || NumberTaken(err) {
		t.Errorf("an entry that is not there: %v", err)
	}
	var seen int
	for from := uint64(1); from != 0; {
		page, err := c.Entries(ctx, contract.RestrictedSubjects, from, 100)
		must(t, err)
		seen, from = seen+len(page.Entries), page.Next
	}
	if seen != 250 {
		t.Errorf("%d entries in pages", seen)
	}
	numbers, err := c.Match(ctx, contract.RestrictedSubjects, [][]string{{"s7"}, {"other"}})
	must(t, err)
	if numbers[0] != 8 || numbers[1] != 0 {
		t.Errorf("matches %v", numbers)
	}
	history, err := c.Orders(ctx, 1, 0)
	must(t, err)
	if len(history.Orders) != 1 || history.Orders[0].Officer != "officer" || history.Orders[0].At != now || history.Next != 0 {
		t.Errorf("history: %+v", history)
	}
	s, err := c.Status(ctx)
	must(t, err)
	if s.LastOrder != 1 || s.Version != 1 || s.Height != 9 || s.Suite != "gm" {
		t.Errorf("status: %+v", s)
	}
	f.err = errors.New("disk is full at /secret/path")
	if _, err = c.Order(ctx, signed(t, 2, contract.ListAdd, add)); !errors.As(err, &p) || p.Code != "internal" || strings.Contains(p.En, "secret") {
		t.Errorf("a failure: %v", err)
	}
	f.err = chain.ErrSender
	if _, err = c.Order(ctx, signed(t, 2, contract.ListAdd, add)); !errors.As(err, &p) || p.Code != "order-not-taken" {
		t.Errorf("a forged order: %v", err)
	}
}

func TestReading(t *testing.T) {
	f, c := serve(t)
	ctx := t.Context()
	lists, err := c.Lists(ctx)
	must(t, err)
	ids, err := c.Identities(ctx, "")
	must(t, err)
	rules, err := c.Rules(ctx)
	must(t, err)
	names, err := c.Pseudonyms(ctx, "subject", []string{"resident:1"})
	must(t, err)
	if len(lists) != 5 || len(ids) != 1 || rules.InForce.Text != string(contracts.Prescription()) || names[0] != f.Pseudonym("subject", "resident:1") {
		t.Errorf("%d lists, %d identities, version %d, %v", len(lists), len(ids), rules.InForce.Number, names)
	}
	holds, err := c.Holds(ctx, 0, 0)
	must(t, err)
	grants, err := c.Grants(ctx, "anyone")
	must(t, err)
	if len(holds.Holds) != 0 || len(grants) != 0 {
		t.Errorf("%+v %+v", holds, grants)
	}
	var p *Problem
	for what, err := range map[string]error{
		"not-found":         second(c.Explain(ctx, flow.Hash{1})),
		"invalid-parameter": second(c.Orders(ctx, 1, 501)),
		"certificate":       second(c.Certified(ctx, []byte("x"))),
	} {
		if !errors.As(err, &p) || p.Code != what {
			t.Errorf("want %s, have %v", what, err)
		}
	}
	if _, err := c.Entries(ctx, "nonsense", 1, 1); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("no such list: %v", err)
	}
	if _, err := c.Pseudonyms(ctx, "colour", nil); !errors.As(err, &p) || p.Status != 422 {
		t.Errorf("no such kind: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// R6.4: past decisions come whole and in order, and a cut stream is an error.
func TestPast(t *testing.T) {
	f, c := serve(t)
	for i := range 3 {
		p := chain.Past{Header: flow.Header{Step: flow.Order, Platform: "p", ID: flow.ID{byte(i)}}}
		p.Facts.Items = []contract.ItemFacts{{Item: "i", Quantity: 1 << 62}}
		f.past = append(f.past, p)
	}
	var got []flow.ID
	read := func() error {
		got = nil
		return c.Past(t.Context(), time.Time{}, time.Time{}, func(p chain.Past) error {
			if p.Facts.Items[0].Quantity != 1<<62 || p.Header.Step != flow.Order {
				t.Errorf("%+v", p)
			}
			got = append(got, p.Header.ID)
			return nil
		})
	}
	must(t, read())
	if len(got) != 3 || got[2] != (flow.ID{2}) {
		t.Errorf("%v", got)
	}
	f.err = errors.New("broken")
	if err := read(); err == nil {
		t.Error("a stream that was cut off passes for whole")
	}
}

func TestNotRunning(t *testing.T) {
	if _, err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v", err)
	}
}

// Write 7: what lacks its anchor, and anchors that can't stand, are there for
// officers to see, in pages and in both languages.
func TestInconsistencies(t *testing.T) {
	f, c := serve(t)
	for i := range int64(3) {
		d := chain.Decided{Index: 10 * i, Leaf: receipt.Leaf{
			Tx: flow.Hash{byte(i + 1)}, Flow: flow.Hash{9}, Platform: "p", Business: "prescription", Step: flow.Order,
			Issued: now - 100, Expires: now - 1 + i,
		}}
		f.open = append(f.open, chain.Unanchored{Decided: d, Reminded: int(i)})
	}
	first, err := c.Unanchored(t.Context(), 0, 2)
	must(t, err)
	rest, err := c.Unanchored(t.Context(), first.Next, 2)
	must(t, err)
	all := append(first.Unanchored, rest.Unanchored...)
	if len(first.Unanchored) != 2 || first.Next != 20 || len(all) != 3 || rest.Next != 0 {
		t.Fatalf("pages of %d and %d, next %d and %d", len(first.Unanchored), len(rest.Unanchored), first.Next, rest.Next)
	}
	for i, u := range all {
		if u.Tx != (flow.Hash{byte(i + 1)}) || u.Step != flow.Order || u.Reminded != i || u.Lapsed != (i < 2) || u.Issued != now-100 {
			t.Errorf("%d: %+v", i, u)
		}
	}
	kinds := []chain.FindingKind{chain.AnchorConflict, chain.AnchorUnknown, chain.AnchorUngranted}
	for _, k := range kinds {
		f.said = append(f.said, chain.AnchorFinding{Kind: k, Platform: "p", Tx: flow.Hash{1}, Stands: "a", Claimed: "b", First: now, Last: now + 1, Count: 2})
	}
	var found []AnchorFindingView
	for cursor, pages := "", 0; pages < 3; pages++ {
		p, err := c.AnchorFindings(t.Context(), cursor, 1)
		must(t, err)
		found = append(found, p.Findings...)
		if cursor = p.Next; (cursor == "") != (pages == 2) {
			t.Errorf("page %d goes on at %q", pages, cursor)
		}
	}
	for i, v := range found {
		if v.Kind != kinds[i] || v.En == "" || v.Zh == "" || v.En == string(v.Kind) || v.Claimed != "b" || v.Count != 2 {
			t.Errorf("%+v", v)
		}
	}
	if len(found) != len(kinds) {
		t.Errorf("%d findings", len(found))
	}
	if _, err := c.AnchorFindings(t.Context(), strings.Repeat("x", 600), 1); err == nil {
		t.Error("an endless cursor is taken")
	}
}

package contract_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// FuzzOrder carries out bodies from anywhere, as each kind of order, on a small
// state, on two instances: no panic, no error but a refusal, equal outcomes and
// states; a refused one changes nothing, and what was carried out leaves a state
// that the contract loads from and decides with (R9.6).
func FuzzOrder(f *testing.F) {
	base, held := officeInUse(f)
	w := &office{walk: walk{rng: rand.New(rand.NewPCG(7, 7)), used: map[flow.Hash]bool{}}, held: []flow.Hash{held}, grants: codesOf(base)}
	for n, kind := range contract.Kinds() {
		for range 3 {
			data, err := flow.Marshal(w.body(kind))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(n), data, n%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte, second bool) {
		kinds := contract.Kinds()
		last, err := contract.LastOrder(base)
		if err != nil {
			t.Fatal(err)
		}
		o := contract.Order{
			Number: last + 1, Kind: kinds[int(n)%len(kinds)], Officer: "O1", Reason: "no reason",
			Issued: morning, Expires: morning + 3600, Body: body,
		}
		signed := ""
		if second {
			signed = "O2"
		}
		here, out, refused := applied(t, base, o, signed)
		there, again, refusedAgain := applied(t, base, o, signed)
		if here.dump() != there.dump() || !cmp.Equal(refused, refusedAgain) || !bytes.Equal(encoded(t, out), encoded(t, again)) {
			t.Fatalf("%s %x: %+v %v here, %+v %v there", o.Kind, body, out, refused, again, refusedAgain)
		}
		if refused != nil {
			if here.dump() != base.dump() {
				t.Fatalf("%s %x is refused and changes the state", o.Kind, body)
			}
			if refused.Code == "" || refused.Why.Zh == "" || refused.Advice.En == "" {
				t.Fatalf("a refusal without words: %+v", refused)
			}
			return
		}
		if _, err := contract.Due(here, 3, morning+60); err != nil {
			t.Fatal(err)
		}
		c, err := contract.New(here)
		if err != nil {
			t.Fatalf("after %s %x: %v", o.Kind, body, err)
		}
		decide(t, c, here, registered("F9"))
	})
}

// officeInUse is a state with a batch grant, a list entry with an appeal, and a
// submission that is held.
func officeInUse(f *testing.F) (mapState, flow.Hash) {
	g := officeGenesis()
	g.Bundle = []byte(oneRule) // compiled anew for each body
	g.Grants = []contract.Grant{{Institution: "P1", Steps: []flow.Step{flow.Register}, To: morning + 1e6, Quota: 5}}
	s, c := begin(f, g)
	if err := give(c, s, order(f, 1, contract.Freeze, contract.Target{What: contract.FrozenSubject, ID: "S1"})); err != nil {
		f.Fatal(err)
	}
	r := registered("F1")
	if d := decide(f, c, s, r); d.Verdict != flow.Held {
		f.Fatalf("%s %v", d.Verdict, d.Reasons)
	}
	return s, r.Tx
}

func registered(name string) contract.Request {
	r := submission("P1", flow.Register, "", name)
	r.Facts = contract.Facts{Record: name, Content: "C", Subject: "S1", Items: []contract.ItemFacts{{Item: "I1", Quantity: 9}}}
	return r
}

func give(c *contract.Contract, s contract.State, o contract.Order) error {
	_, err := c.Apply(s, o, "", contract.Block{Height: 1, Now: morning})
	return err
}

// applied carries an order out on a copy of a state.
func applied(t *testing.T, base mapState, o contract.Order, second string) (mapState, contract.OrderOutcome, *contract.OrderRefused) {
	t.Helper()
	s := mapState{}
	for k, v := range base {
		s[k] = slices.Clone(v)
	}
	c, err := contract.New(s)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Apply(s, o, second, contract.Block{Height: 2, Now: morning + 30, Tx: txOf("order")})
	var refused *contract.OrderRefused
	if err != nil && !errors.As(err, &refused) {
		t.Fatalf("%s %x: %v", o.Kind, o.Body, err)
	}
	return s, out, refused
}

func encoded(t *testing.T, out contract.OrderOutcome) []byte {
	t.Helper()
	data, err := flow.Marshal([]any{out.Entries, out.Grant, out.Bundle, len(out.Resolved)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.Resolved {
		d, err := flow.Marshal(r.Decision)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, d...)
	}
	return data
}

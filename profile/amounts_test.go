package profile_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
)

// R4.3: amounts are integers in minor units; a half goes to the subject's favour.
func TestSplit(t *testing.T) {
	cases := []struct{ price, ratio, insured, self int64 }{
		{0, 700, 0, 0},
		{1, 499, 0, 1},
		{1, 500, 1, 0}, // exactly a half
		{3, 500, 2, 1},
		{1250, 0, 0, 1250},
		{1250, 1000, 1250, 0},
		{1250, 700, 875, 375},
		{999, 333, 333, 666},   // 332.667
		{2105, 850, 1789, 316}, // 1789.25
		{profile.MaxAmount, 999, 999_000_000_000, 1_000_000_000},
	}
	for _, c := range cases {
		insured, self, err := profile.Split(c.price, c.ratio)
		if err != nil || insured != c.insured || self != c.self {
			t.Errorf("Split(%d, %d) = %d, %d, %v; want %d, %d", c.price, c.ratio, insured, self, err, c.insured, c.self)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct{ price, ratio int64 }{
		{-1, 500}, {profile.MaxAmount + 1, 500}, {math.MaxInt64, 1000}, {100, -1}, {100, 1001}, {math.MinInt64, 0},
	} {
		if _, _, err := profile.Split(c.price, c.ratio); err == nil {
			t.Errorf("Split(%d, %d) gave no error", c.price, c.ratio)
		}
	}
}

// R4.3, as a property: the parts sum to the price, and insurance's part is the
// exact quotient rounded half up, computed here in rationals.
func TestSplitIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 3))
	half := big.NewRat(1, 2)
	for range 20_000 {
		price, ratio := r.Int64N(profile.MaxAmount+1)>>r.IntN(40), r.Int64N(profile.FullRatio+1)
		insured, self, err := profile.Split(price, ratio)
		if err != nil {
			t.Fatal(err)
		}
		exact := new(big.Rat).Mul(big.NewRat(price, 1), big.NewRat(ratio, 1000))
		exact.Add(exact, half)
		want := new(big.Int).Quo(exact.Num(), exact.Denom()).Int64() // floor: nothing is negative
		if insured != want || insured+self != price || self < 0 {
			t.Fatalf("Split(%d, %d) = %d, %d; want %d for insurance", price, ratio, insured, self, want)
		}
	}
}

// R4.3: a settlement's lines and sums.
func TestSettle(t *testing.T) {
	lines, sum, err := profile.Settle([]flow.OrderLine{
		{Item: "a", Price: 1, Ratio: 500},
		{Item: "b", Price: 3, Ratio: 500},
		{Item: "c", Price: 1999, Ratio: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []flow.SettlementLine{
		{Item: "a", Price: 1, Insured: 1, Self: 0},
		{Item: "b", Price: 3, Insured: 2, Self: 1},
		{Item: "c", Price: 1999, Insured: 0, Self: 1999},
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	if d := cmp.Diff(profile.Amounts{Total: 2003, Insured: 3, Self: 2000}, sum); d != "" {
		t.Errorf("sums (-want +got):\n%s", d)
	}
}

func TestSettleRefuses(t *testing.T) {
	cases := map[string][]flow.OrderLine{
		"no lines":          nil,
		"a negative price":  {{Item: "a", Price: -1}},
		"a ratio above all": {{Item: "a", Price: 1, Ratio: 1001}},
		"too large a sum":   {{Item: "a", Price: profile.MaxAmount}, {Item: "b", Price: 1}},
	}
	for name, lines := range cases {
		if _, _, err := profile.Settle(lines); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

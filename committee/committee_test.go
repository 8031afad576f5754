package committee

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

func key(n int) []byte     { return bytes.Repeat([]byte{byte(n)}, KeySize) }
func address(n int) []byte { return bytes.Repeat([]byte{byte(n)}, AddressSize) }
func id(n int) string      { return fmt.Sprintf("node-%d", n) }

// clock is the time of a block: one every ten seconds.
func clock(height int64) int64 { return 1_000_000 + 10*height }

// found makes a committee of candidates 1 to n.
func found(t *testing.T, terms Terms, n int) *Committee {
	t.Helper()
	if err := terms.Validate(); err != nil {
		t.Fatal(err)
	}
	c := &Committee{Terms: terms}
	for i := 1; i <= n; i++ {
		if err := c.Add(id(i), key(i), address(i), 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// sitting names the members, in order of admission.
func (c *Committee) sitting() string {
	var out []string
	for _, o := range c.Candidates {
		if o.Seated {
			out = append(out, o.ID)
		}
	}
	return strings.Join(out, " ")
}

// turn ends a block in which everyone is there and every candidate that is asked
// has given its word.
func (c *Committee) turn(t *testing.T, height int64, absent ...int) []Seat {
	t.Helper()
	before := c.Powers()
	var voted []Voted
	for _, o := range c.Candidates {
		if o.Seated {
			gone := slices.ContainsFunc(absent, func(n int) bool { return id(n) == o.ID })
			voted = append(voted, Voted{Address: o.Address, Signed: !gone})
		} else if !slices.ContainsFunc(absent, func(n int) bool { return id(n) == o.ID }) {
			if err := c.Note(o.ID, height-1, height, clock(height)); err != nil && !errors.Is(err, ErrNotAsked) && !errors.Is(err, ErrKnown) {
				t.Fatal(err)
			}
		}
	}
	return c.Turn(height, clock(height), true, voted, before)
}

// R8.1: at an epoch's end candidates are asked, and in the next block one member
// gives its seat to one candidate; everyone's turn comes.
func TestRotation(t *testing.T) {
	c := found(t, Terms{Seats: 3, Epoch: 10}, 5)
	if got := c.turn(t, 1); len(got) != 3 {
		t.Fatalf("founding: %v", got)
	}
	seats := map[string]int{}
	last := c.sitting()
	for h := int64(2); h <= 5500; h++ {
		moved := c.turn(t, h)
		if now := c.sitting(); h%11 != 0 && now != last {
			t.Fatalf("block %d: %s, within an epoch", h, now)
		} else if h%11 == 0 {
			if now == last || len(moved) != 2 {
				t.Fatalf("block %d: %d changes, %s; before %s", h, len(moved), now, last)
			}
			for _, member := range strings.Fields(now) {
				seats[member]++
			}
			last = now
		}
		if c.seated() != 3 {
			t.Fatalf("block %d: %d members", h, c.seated())
		}
	}
	for n := 1; n <= 5; n++ {
		if got := seats[id(n)]; got < 299 || got > 301 {
			t.Errorf("%s sat in %d of 500 epochs, want 300", id(n), got)
		}
	}
}

// R8.1: above E the excess leaves, below E candidates come, as soon as E changes.
func TestSize(t *testing.T) {
	c := found(t, Terms{Seats: 3, Epoch: 100}, 6)
	c.turn(t, 1)
	for h, seats := range []int{5, 2, 6, 1, 4} {
		c.Terms.Seats = seats
		c.turn(t, int64(2*h+2)) // asks
		c.turn(t, int64(2*h+3))
		if c.seated() != seats {
			t.Errorf("%d members for %d seats", c.seated(), seats)
		}
	}
	c.Terms.Seats = 9
	c.turn(t, 20)
	c.turn(t, 21)
	if c.seated() != 6 {
		t.Errorf("%d members of 6 candidates for 9 seats", c.seated())
	}
}

// R8.1: who misses too many blocks loses the seat at once, waits until it is back,
// and can return.
func TestAbsence(t *testing.T) {
	c := found(t, Terms{Seats: 4, Epoch: 50, Window: 10, Missed: 3}, 4)
	c.turn(t, 1)
	h := int64(2)
	for ; h < 5; h++ {
		c.turn(t, h, 2)
	}
	if c.seated() != 4 {
		t.Fatalf("after 3 absences: %s", c.sitting())
	}
	if got, want := c.turn(t, h, 2), []Seat{{Key: key(2)}}; !cmp.Equal(got, want) {
		t.Fatalf("after 4 absences: %v, want %v", got, want)
	}
	for h++; h < 80; h++ {
		c.turn(t, h, 2) // still away
	}
	if got := c.sitting(); got != "node-1 node-3 node-4" {
		t.Fatalf("while it is away: %s", got)
	}
	c.turn(t, h)
	if c.seated() != 4 {
		t.Errorf("when it is back: %s", c.sitting())
	}
	for range 30 { // three absences in every window are borne
		for n := range 10 {
			h++
			if n < 3 {
				c.turn(t, h, 3)
			} else {
				c.turn(t, h)
			}
		}
	}
	if c.seated() != 4 {
		t.Errorf("three of ten: %s", c.sitting())
	}
}

// Somebody stays, whoever is absent, and the last member can't be removed.
func TestLastMember(t *testing.T) {
	c := found(t, Terms{Seats: 2, Window: 2, Missed: 1}, 2)
	for h := int64(1); h < 20; h++ {
		c.turn(t, h, 1, 2)
	}
	if c.seated() != 1 {
		t.Fatalf("%d members", c.seated())
	}
	if err := c.Remove(c.sitting()); !errors.Is(err, ErrLast) {
		t.Errorf("removing the last: %v", err)
	}
	if err := c.Remove("node-9"); !errors.Is(err, ErrCandidate) {
		t.Errorf("removing a stranger: %v", err)
	}
}

// An absent candidate is given no seat: it would stop a small committee. It is
// waited for once, not in every epoch.
func TestUnreadyWaits(t *testing.T) {
	c := found(t, Terms{Seats: 3, Epoch: 5}, 5)
	c.turn(t, 1)
	for h := int64(2); h < 200; h++ {
		c.turn(t, h, 4)
	}
	if strings.Contains(c.sitting(), "node-4") {
		t.Error("a candidate that never showed itself has a seat")
	}
	if c.Epoch < (200-1-Grace)/6-1 {
		t.Errorf("%d rotations in 200 blocks while one candidate is away", c.Epoch)
	}
	for h := int64(200); h < 212; h++ {
		c.turn(t, h)
	}
	if !strings.Contains(c.sitting(), "node-4") {
		t.Error("a candidate that is back has no seat after an epoch")
	}
}

// called makes a committee of 1 and 2 that asks candidates 3 and 4 for their word:
// 3 has waited longest.
func called(t *testing.T) (c *Committee, height int64) {
	t.Helper()
	c = found(t, Terms{Seats: 2, Epoch: 4}, 4)
	for height = 1; c.Called == 0; height++ {
		c.Turn(height, clock(height), true, nil, c.Powers())
	}
	return c, height
}

// R8.1: a word counts as an answer alone: about the block that asks or a later one,
// not about an old block, once, and for a short time.
func TestWord(t *testing.T) {
	idle := found(t, Terms{Seats: 2, Epoch: 4}, 4)
	idle.Turn(1, clock(1), true, nil, idle.Powers())
	if err := idle.Note("node-3", 1, 2, clock(2)); !errors.Is(err, ErrNotAsked) {
		t.Errorf("unasked: %v", err)
	}
	c, h := called(t)
	for name, want := range map[string]struct {
		id             string
		stated, height int64
		err            error
	}{
		"a stranger":            {"node-9", h, h, ErrCandidate},
		"a member":              {"node-1", h, h, ErrNotAsked},
		"before it was asked":   {"node-3", c.Called - 1, h, ErrOld},
		"ahead of the chain":    {"node-3", h + 1, h, ErrOld},
		"kept back":             {"node-3", c.Called, c.Called + Recent + 1, ErrOld},
		"about the block asked": {"node-3", c.Called, h, nil},
	} {
		if err := again(t, c).Note(want.id, want.stated, want.height, clock(want.height)); !errors.Is(err, want.err) {
			t.Errorf("%s: %v, want %v", name, err, want.err)
		}
	}
	if err := c.Note("node-4", h, h, clock(h)); err != nil {
		t.Fatal(err)
	}
	if err := c.Note("node-4", h, h, clock(h)); !errors.Is(err, ErrKnown) {
		t.Errorf("twice: %v", err)
	}
	if err := c.Note("node-4", h, h+10, clock(h)+FreshFor); !errors.Is(err, ErrOld) {
		t.Errorf("the same word later: %v", err)
	}
	// Later than that it does not count any more, however long the one before it is away.
	for i := int64(0); i < 2*Grace; i++ {
		c.Turn(h+i, clock(h)+FreshFor+i, true, nil, c.Powers())
	}
	if got := c.sitting(); got != "node-1 node-2" {
		t.Errorf("a candidate that was last heard %d seconds ago has a seat: %s", FreshFor, got)
	}
}

// R8.1: one that was passed over says that it is back, once, and has its turn again,
// also when others always answer sooner.
func TestBack(t *testing.T) {
	c := found(t, Terms{Seats: 3, Epoch: 5}, 5)
	c.turn(t, 1)
	h := int64(2)
	for ; !c.candidate("node-4").Passed; h++ {
		c.turn(t, h, 4)
	}
	for c.Called != 0 {
		c.turn(t, h, 4)
		h++
	}
	if err := c.Note("node-4", h-1, h, clock(h)); err != nil {
		t.Fatal(err)
	}
	if err := c.Note("node-4", h, h, clock(h)); !errors.Is(err, ErrNotAsked) {
		t.Errorf("again: %v", err)
	}
	if strings.Contains(c.sitting(), "node-4") {
		t.Error("it has a seat by saying that it is back")
	}
	for end := h + 2*Grace; h < end && !strings.Contains(c.sitting(), "node-4"); h++ {
		if asked := c.Called; asked != 0 && h > asked+Grace/2 { // later than the others
			_ = c.Note("node-4", h-1, h, clock(h))
		}
		c.turn(t, h, 4)
	}
	if !strings.Contains(c.sitting(), "node-4") {
		t.Errorf("it is back and had no turn: %s sit", c.sitting())
	}
}

// Candidates' words alone bring no epoch to its end, so that an idle chain rests.
func TestWordsAreNoWork(t *testing.T) {
	c := found(t, Terms{Seats: 2, Epoch: 2}, 4)
	for h := int64(1); h < 100; h++ {
		c.Turn(h, clock(h), false, nil, c.Powers())
	}
	if c.Epoch != 0 || c.Called != 0 {
		t.Errorf("epoch %d, called at %d", c.Epoch, c.Called)
	}
}

// R8.1: the candidate whose turn it is has some blocks for its word, so that who
// makes a block can't choose another by leaving it out.
func TestGrace(t *testing.T) {
	for late := int64(0); late < Grace+2; late++ {
		c, h := called(t)
		now := clock(h)
		if err := c.Note("node-4", h-1, h, now); err != nil {
			t.Fatal(err)
		}
		for i := range late {
			c.Turn(h+i, now, true, nil, c.Powers())
		}
		want := "node-3"
		if late > Grace-1 {
			want = "node-4"
		} else if err := c.Note("node-3", h-1, h+late, now); err != nil {
			t.Fatal(err)
		}
		c.Turn(h+late, now, true, nil, c.Powers())
		if got := c.sitting(); !strings.Contains(got, want) {
			t.Errorf("node-3 answers %d blocks later: %s sit", late, got)
		}
	}
}

// A weight takes effect at once, for members too.
func TestWeight(t *testing.T) {
	c := found(t, Terms{Seats: 2}, 2)
	c.turn(t, 1)
	before := c.Powers()
	if err := c.Add(id(1), key(1), address(1), 7, 2); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Turn(2, clock(2), true, nil, before), []Seat{{Key: key(1), Power: 7}}; !cmp.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	for name, err := range map[string]error{
		"no key":        c.Add(id(3), nil, address(3), 1, 3),
		"another's key": c.Add(id(3), key(1), address(3), 1, 3),
		"another key":   c.Add(id(1), key(3), address(3), 1, 3),
		"no weight":     c.Add(id(3), key(3), address(3), 0, 3),
		"much weight":   c.Add(id(3), key(3), address(3), MaxWeight+1, 3),
		"bad name":      c.Add("node 3", key(3), address(3), 1, 3),
	} {
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Whatever happens, members are candidates, somebody sits, changes add up to who
// sits, and the record survives being stored.
func TestAnySequence(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := found(t, Terms{Seats: 1 + r.IntN(5), Epoch: int64(r.IntN(6)), Window: r.IntN(9)}, 1+r.IntN(7))
		votes := map[string]int64{}
		for h := int64(1); h < 200; h++ {
			before := c.Powers()
			switch n := 1 + r.IntN(9); r.IntN(12) {
			case 0:
				_ = c.Remove(id(n))
			case 1:
				_ = c.Add(id(n), key(n), address(n), 1+r.Int64N(5), h)
			case 2:
				c.Terms.Seats = 1 + r.IntN(6)
			}
			var voted []Voted
			for _, o := range c.Candidates {
				voted = append(voted, Voted{Address: o.Address, Signed: r.IntN(3) > 0})
				if r.IntN(2) == 0 {
					_ = c.Note(o.ID, h-r.Int64N(2), h, clock(h))
				}
			}
			twin := again(t, c)
			moved := c.Turn(h, clock(h), true, voted, before)
			if other := twin.Turn(h, clock(h), true, voted, before); !cmp.Equal(moved, other) || !cmp.Equal(*c, *twin, cmp.AllowUnexported(Committee{}, Candidate{}, Terms{}), sameEmpty()) {
				t.Fatalf("seed %d, block %d: two instances differ", seed, h)
			}
			for _, s := range moved {
				if s.Power == 0 {
					delete(votes, string(s.Key))
				} else {
					votes[string(s.Key)] = s.Power
				}
			}
			if len(votes) == 0 {
				t.Fatalf("seed %d, block %d: nobody votes", seed, h)
			}
			if len(votes) != c.seated() {
				t.Fatalf("seed %d, block %d: %d vote, %d sit", seed, h, len(votes), c.seated())
			}
		}
	}
}

// again is c after being stored and read.
func again(t *testing.T, c *Committee) *Committee {
	t.Helper()
	raw, err := flow.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var out Committee
	if err := flow.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func sameEmpty() cmp.Option {
	return cmp.FilterValues(func(a, b []byte) bool { return len(a) == 0 && len(b) == 0 }, cmp.Comparer(func(a, b []byte) bool { return true }))
}

func TestTerms(t *testing.T) {
	for want, terms := range map[string]Terms{
		"seats": {}, "seats:": {Seats: MaxCandidates + 1}, "epoch": {Seats: 1, Epoch: -1},
		"window": {Seats: 1, Window: maxWindow + 1}, "missed": {Seats: 1, Window: 4, Missed: 4},
	} {
		if err := terms.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want something about %s", terms, err, want)
		}
	}
}

func BenchmarkTurn(b *testing.B) {
	c := &Committee{Terms: Terms{Seats: 30, Epoch: 100, Window: 500, Missed: 100}}
	for n := 1; n <= 100; n++ {
		if err := c.Add(id(n), key(n), address(n), 1, 0); err != nil {
			b.Fatal(err)
		}
	}
	var voted []Voted
	for n := 1; n <= 100; n++ {
		voted = append(voted, Voted{Address: address(n), Signed: true})
	}
	b.ReportAllocs()
	for h := int64(1); b.Loop(); h++ {
		c.Turn(h, clock(h), true, voted, c.Powers())
	}
}

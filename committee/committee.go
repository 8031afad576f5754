package committee

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Bounds of a committee.
const (
	MaxCandidates = 128
	MaxWeight     = 1_000
	KeySize       = 32 // bytes of a consensus key, Ed25519
	AddressSize   = 20 // bytes by which a block names a member
)

// Terms are what officers set.
type Terms struct {
	_ struct{} `cbor:",toarray"`

	Seats  int   `json:"seats"`  // E: how many sit; 1 or more
	Epoch  int64 `json:"epoch"`  // N: blocks with transactions, other than words, between two rotations; 0 for none
	Window int   `json:"window"` // blocks over which absences are counted; 0: nobody loses a seat by absence
	Missed int   `json:"missed"` // more absences than this in the window cost the seat
}

// maxWindow bounds what is kept for each member.
const maxWindow = 4096

// Validate says what is wrong with t, naming the field.
func (t Terms) Validate() error {
	switch {
	case t.Seats < 1 || t.Seats > MaxCandidates:
		return fmt.Errorf("seats: want 1 to %d", MaxCandidates)
	case t.Epoch < 0:
		return errors.New("epoch: not below zero")
	case t.Window < 0 || t.Window > maxWindow:
		return fmt.Errorf("window: want 0 to %d", maxWindow)
	case t.Missed < 0 || t.Window > 0 && t.Missed >= t.Window:
		return errors.New("missed: want less than window")
	}
	return nil
}

// Candidate is a node that may sit.
type Candidate struct {
	_ struct{} `cbor:",toarray"`

	ID      string `json:"id"`      // the identity, of role node (R7.1)
	Key     []byte `json:"key"`     // with which it votes, KeySize bytes
	Address []byte `json:"address"` // how blocks name the key, AddressSize bytes
	Weight  int64  `json:"weight"`  // of its vote, 1 to MaxWeight

	Number uint64 `json:"number"` // of its admission, from 1: the order among equals
	Seated bool   `json:"seated"`
	Since  int64  `json:"since"`  // height since which it sits, or waits
	Ready  int64  `json:"ready"`  // when it last showed that it follows the chain, Unix seconds; 0: never
	Heard  int64  `json:"heard"`  // height that its last word names
	Passed bool   `json:"passed"` // did not answer when its turn came; nobody waits for it until it says that it is back
	Absent []byte `json:"absent"` // of a member: a ring of Window bits, 1 for a missed block
	At     int    `json:"at"`     // the ring's next bit
}

// Seat is a change of who votes, and with which weight; 0 takes the vote away.
type Seat struct {
	Key   []byte
	Power int64
}

// Voted says of a member whether the block carries its vote for the one before.
type Voted struct {
	Address []byte
	Signed  bool
}

// Committee is who sits and who waits. The zero value is no committee: whoever
// validates from genesis goes on.
type Committee struct {
	_ struct{} `cbor:",toarray"`

	Terms      Terms       `json:"terms"`
	Candidates []Candidate `json:"candidates"` // by Number
	Admitted   uint64      `json:"admitted"`   // candidates so far
	Epoch      uint64      `json:"epoch"`      // rotations so far
	Blocks     int64       `json:"blocks"`     // since the last rotation
	Called     int64       `json:"called"`     // height since which a seat is to be given and candidates are asked for their word; 0: none is
	Asked      int64       `json:"asked"`      // blocks since then
}

// Errors of what officers ask for.
var (
	ErrCandidate = errors.New("no such candidate")
	ErrLast      = errors.New("the last member can't leave, or the chain would stand still: give another a seat first")
)

// Add makes a node a candidate, or changes the weight and key of one.
func (c *Committee) Add(id string, key, address []byte, weight, height int64) error {
	if err := flow.CheckName("id", id); err != nil {
		return err
	}
	if len(key) != KeySize || len(address) != AddressSize {
		return fmt.Errorf("key: want %d bytes, and an address of %d", KeySize, AddressSize)
	}
	if weight < 1 || weight > MaxWeight {
		return fmt.Errorf("weight: want 1 to %d", MaxWeight)
	}
	for i := range c.Candidates {
		o := &c.Candidates[i]
		switch {
		case o.ID == id && bytes.Equal(o.Key, key):
			o.Weight = weight // a member's takes effect with the next Turn
			return nil
		case o.ID == id:
			return errors.New("key: this candidate has another: remove it first")
		case bytes.Equal(o.Key, key):
			return fmt.Errorf("key: it is that of candidate %s", o.ID)
		}
	}
	if len(c.Candidates) == MaxCandidates {
		return fmt.Errorf("there are %d candidates already", MaxCandidates)
	}
	c.Admitted++
	c.Candidates = append(c.Candidates, Candidate{
		ID: id, Key: slices.Clone(key), Address: slices.Clone(address), Weight: weight, Number: c.Admitted, Since: height,
	})
	return nil
}

// Remove takes a candidate out, from its seat too: a revoked node's, say.
func (c *Committee) Remove(id string) error {
	i := slices.IndexFunc(c.Candidates, func(o Candidate) bool { return o.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrCandidate, id)
	}
	if c.Candidates[i].Seated && c.seated() == 1 {
		return ErrLast
	}
	c.Candidates = slices.Delete(c.Candidates, i, i+1)
	return nil
}

// How a candidate's word counts. It is an answer: a seat is to be given, which
// calls (Called), and whoever waits says that it has come to that block.
const (
	FreshFor = 20 // seconds of the chain's time that a word counts; a chain may stand idle after it
	Recent   = 50 // blocks that a word may be behind: an older one was kept back, or its node is
	Grace    = 20 // blocks that the candidate whose turn it is has for its word, before another's counts
)

// Why a word does not count.
var (
	ErrNotAsked = errors.New("no seat is to be given that this candidate waits for")
	ErrKnown    = errors.New("the candidate's word is known")
	ErrOld      = errors.New("the word is of another block than was asked about, or of an old one")
)

// Against says why a candidate's word that it has come to the block at stated does
// not count in the block at height, at now in Unix seconds; nil when it does.
func (c *Committee) Against(id string, stated, height, now int64) error {
	o := c.candidate(id)
	switch {
	case o == nil:
		return fmt.Errorf("%w: %s", ErrCandidate, id)
	case o.Seated, c.Called == 0 && !o.Passed:
		return ErrNotAsked
	case c.fresh(o, now):
		return ErrKnown
	case stated < c.Called || stated <= o.Heard || stated < height-Recent || stated > height:
		return ErrOld
	}
	return nil
}

// Note takes a candidate's word; see Against.
func (c *Committee) Note(id string, stated, height, now int64) error {
	if err := c.Against(id, stated, height, now); err != nil {
		return err
	}
	o := c.candidate(id)
	o.Ready, o.Heard, o.Passed = now, stated, false
	return nil
}

// fresh says whether a candidate has answered the call, not long ago.
func (c *Committee) fresh(o *Candidate, now int64) bool {
	return c.Called > 0 && o.Heard >= c.Called && o.Ready > now-FreshFor
}

func (c *Committee) candidate(id string) *Candidate {
	for i := range c.Candidates {
		if c.Candidates[i].ID == id {
			return &c.Candidates[i]
		}
	}
	return nil
}

func (c *Committee) seated() int {
	n := 0
	for _, o := range c.Candidates {
		if o.Seated {
			n++
		}
	}
	return n
}

// Powers is who votes now, by key.
func (c *Committee) Powers() []Seat {
	var all []Seat
	for _, o := range c.Candidates {
		if o.Seated {
			all = append(all, Seat{Key: o.Key, Power: o.Weight})
		}
	}
	slices.SortFunc(all, func(a, b Seat) int { return bytes.Compare(a.Key, b.Key) })
	return all
}

// changes lists what turns the one into the other, by key.
func changes(from, to []Seat) []Seat {
	var out []Seat
	for _, s := range from {
		if !slices.ContainsFunc(to, func(o Seat) bool { return bytes.Equal(o.Key, s.Key) }) {
			out = append(out, Seat{Key: s.Key})
		}
	}
	for _, s := range to {
		if !slices.ContainsFunc(from, func(o Seat) bool { return bytes.Equal(o.Key, s.Key) && o.Power == s.Power }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Seat) int { return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(a.Power, b.Power)) })
	return out
}

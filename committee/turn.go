package committee

import (
	"bytes"
	"cmp"
	"slices"
)

// Turn is the end of a block with transactions, at now in Unix seconds: it notes
// who was absent, and says whose vote changes. work says that there was more in the
// block than candidates' words, which don't bring the epoch's end nearer: else seats
// would rotate on an idle chain by the words alone. before are the votes as they stood before the block's own
// transactions changed anything. The chain lets the changes take effect two
// blocks later.
func (c *Committee) Turn(height, now int64, work bool, voted []Voted, before []Seat) []Seat {
	if c.Terms.Seats == 0 || len(c.Candidates) == 0 {
		return nil
	}
	c.count(voted)
	c.expel(height)
	c.fit(height, now)
	if work {
		c.Blocks++
	}
	if c.due() && c.rotate(height, now) {
		c.Blocks = 0
		c.Epoch++
	}
	c.call(height)
	return changes(before, c.Powers())
}

// due says whether an epoch has come to its end.
func (c *Committee) due() bool { return c.Terms.Epoch > 0 && c.Blocks >= c.Terms.Epoch }

// call asks those who wait for their word while a seat is to be given.
func (c *Committee) call(height int64) {
	vacant := c.seated() < c.Terms.Seats && c.longest(false, waits) != nil
	switch {
	case !vacant && !c.due():
		c.Called, c.Asked = 0, 0
	case c.Called == 0:
		c.Called, c.Asked = height, 0
	default:
		c.Asked++
	}
}

// count notes, for each member, whether the block carries its vote.
func (c *Committee) count(voted []Voted) {
	if c.Terms.Window == 0 {
		return
	}
	for i := range c.Candidates {
		o := &c.Candidates[i]
		v := slices.IndexFunc(voted, func(v Voted) bool { return bytes.Equal(v.Address, o.Address) })
		if !o.Seated || v < 0 {
			continue // had no vote in that block yet
		}
		o.note(c.Terms.Window, !voted[v].Signed)
	}
}

func (o *Candidate) note(window int, absent bool) {
	if len(o.Absent) != (window+7)/8 || o.At >= window {
		o.Absent, o.At = make([]byte, (window+7)/8), 0 // the terms have changed: counting begins anew
	}
	bit := byte(1) << (o.At % 8)
	if absent {
		o.Absent[o.At/8] |= bit
	} else {
		o.Absent[o.At/8] &^= bit
	}
	o.At = (o.At + 1) % window
}

func (o *Candidate) missed() int {
	n := 0
	for _, b := range o.Absent {
		for ; b != 0; b &= b - 1 {
			n++
		}
	}
	return n
}

// expel takes the seats of members who have missed too many blocks. They can
// return: they wait again, once they show that they follow the chain. Somebody
// always stays.
func (c *Committee) expel(height int64) {
	if c.Terms.Window == 0 {
		return
	}
	for i := range c.Candidates {
		o := &c.Candidates[i]
		if o.Seated && o.missed() > c.Terms.Missed && c.seated() > 1 {
			o.leave(height)
			o.Ready = 0
		}
	}
}

// fit brings the number of members to the number of seats.
func (c *Committee) fit(height, now int64) {
	for c.seated() > c.Terms.Seats {
		c.longest(true, sits).leave(height)
	}
	for c.seated() < c.Terms.Seats {
		next := c.next(now)
		if next == nil {
			return
		}
		next.sit(height)
	}
}

// rotate gives one member's seat to a candidate, when all seats are taken, and
// says whether the epoch is over: it is not while candidates are asked.
func (c *Committee) rotate(height, now int64) bool {
	if c.seated() != c.Terms.Seats || c.longest(false, waits) == nil {
		return true
	}
	next := c.next(now)
	if next == nil {
		return false
	}
	c.longest(true, sits).leave(height)
	next.sit(height)
	return true
}

func sits(o *Candidate) bool  { return o.Seated }
func waits(o *Candidate) bool { return !o.Seated }

// next is whom a seat is given to: of the candidates who have answered the call
// the one who has waited longest. Whoever has waited longest of all has a few
// blocks to answer, lest those who make blocks choose by whose word they leave
// out. The very first members are not asked.
func (c *Committee) next(now int64) *Candidate {
	if c.Blocks == 0 && c.Epoch == 0 {
		return c.longest(false, waits)
	}
	first := c.longest(false, func(o *Candidate) bool { return waits(o) && !o.Passed })
	next := c.longest(false, func(o *Candidate) bool { return waits(o) && c.fresh(o, now) })
	if next == nil || next == first {
		return next
	}
	if c.Asked < Grace {
		return nil
	}
	for i := range c.Candidates {
		o := &c.Candidates[i]
		o.Passed = o.Passed || waits(o) && !c.fresh(o, now)
	}
	return next
}

// longest finds who has sat or waited longest among those that fit. Among equals
// the order of admission decides, turned by the epoch so that nobody is always
// the first; those who leave are taken from its end.
func (c *Committee) longest(leaving bool, fits func(*Candidate) bool) *Candidate {
	var found *Candidate
	order := func(o *Candidate) uint64 {
		place := (o.Number + c.Epoch) % (c.Admitted + 1)
		if leaving {
			return c.Admitted - place
		}
		return place
	}
	for i := range c.Candidates {
		o := &c.Candidates[i]
		if fits(o) && (found == nil || cmp.Or(cmp.Compare(o.Since, found.Since), cmp.Compare(order(o), order(found))) < 0) {
			found = o
		}
	}
	return found
}

func (o *Candidate) sit(height int64) {
	o.Seated, o.Since, o.Absent, o.At = true, height, nil, 0
}

func (o *Candidate) leave(height int64) {
	o.Seated, o.Since, o.Absent, o.At = false, height, nil, 0
}

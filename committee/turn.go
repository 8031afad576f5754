package committee

import (
	"bytes"
	"cmp"
	"slices"
)

// Turn is the end of a block with transactions, at now in Unix seconds: it notes
// who was absent, and says whose vote changes. before are the votes as they stood before the block's own
// transactions changed anything. The chain lets the changes take effect two
// blocks later.
func (c *Committee) Turn(height, now int64, voted []Voted, before []Seat) []Seat {
	if c.Terms.Seats == 0 || len(c.Candidates) == 0 {
		return nil
	}
	c.count(voted)
	c.expel(height)
	c.fit(height, now)
	c.Blocks++
	if c.Terms.Epoch > 0 && c.Blocks >= c.Terms.Epoch {
		c.Blocks = 0
		c.Epoch++
		c.rotate(height, now)
	}
	return changes(before, c.Powers())
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
		c.longest(true, func(o *Candidate) bool { return o.Seated }).leave(height)
	}
	for c.seated() < c.Terms.Seats {
		next := c.longest(false, c.waits(now))
		if next == nil {
			return
		}
		next.sit(height)
	}
}

// rotate gives one member's seat to a candidate, when all seats are taken.
func (c *Committee) rotate(height, now int64) {
	if c.seated() != c.Terms.Seats {
		return
	}
	next := c.longest(false, c.waits(now))
	if next == nil {
		return
	}
	c.longest(true, func(o *Candidate) bool { return o.Seated }).leave(height)
	next.sit(height)
}

// waits says whom a seat may be given to: candidates who have shown lately that
// they follow the chain. The very first members need not.
func (c *Committee) waits(now int64) func(*Candidate) bool {
	founding := c.Blocks == 0 && c.Epoch == 0
	return func(o *Candidate) bool {
		return !o.Seated && (founding || o.Ready > now-ReadyFor)
	}
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

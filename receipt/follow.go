package receipt

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Follow gives the keys with what hand-over statements add to them: successors that
// the newest keys have named, and predecessors that the oldest ones have taken over
// from. Each must continue what is known; their order does not matter, and one that
// is known already changes nothing. Any other statement is ErrHandover, and ErrForked
// where it hands known keys over to others than they were.
func (k Keys) Follow(statements ...[]byte) (Keys, error) {
	out, left, err := k.attach(statements)
	if err != nil {
		return Keys{}, err
	}
	if left > 0 {
		return Keys{}, fmt.Errorf("%w: it is not of these keys, nor follows on them", ErrHandover)
	}
	return out, nil
}

// attach is Follow that passes over statements which do not continue what is known,
// and counts them.
func (k Keys) attach(statements [][]byte) (_ Keys, left int, err error) {
	var open []handover
	for _, s := range statements {
		if k.knows(s) {
			continue
		}
		h, err := parseHandover(s)
		if err != nil {
			return Keys{}, 0, err
		}
		open = append(open, h)
	}
	for grown := true; grown && len(open) > 0; {
		grown = false
		rest := open[:0]
		for _, h := range open {
			next, fits, err := k.with(h)
			if err != nil {
				return Keys{}, 0, err
			}
			if !fits {
				rest = append(rest, h)
				continue
			}
			k, grown = next, true
		}
		open = rest
	}
	return k, len(open), nil
}

// knows says whether the statement is known, byte for byte.
func (k Keys) knows(statement []byte) bool {
	return slices.ContainsFunc(k.handovers, func(h handover) bool { return string(h.signed) == string(statement) })
}

// with adds one statement; false where it does not continue what is known.
func (k Keys) with(h handover) (_ Keys, fits bool, err error) {
	if len(k.generations) == 0 || h.Origin != k.Origin() {
		return k, false, nil
	}
	last := len(k.generations) - 1
	for i, g := range k.generations {
		switch from, to := g.same(h.before), g.same(h.after); {
		case from && i < last && k.generations[i+1].same(h.after) && k.handovers[i].Generation == h.Generation:
			return k.again(i, h)
		case from && i < last:
			return k, false, fmt.Errorf("%w: generation %d: %w", ErrHandover, h.Generation, ErrForked)
		case to && i > 0 && k.handovers[i-1].text() != h.text():
			return k, false, fmt.Errorf("%w: generation %d: other keys were taken over from before", ErrHandover, h.Generation)
		case to && i > 0:
			return k, true, nil // the same once more
		case from:
			return k.succeeded(h)
		case to:
			return k.preceded(h)
		}
	}
	return k, false, nil
}

// again takes a second statement between the same keys, which both of them have signed:
// one that was made anew because the first came too late. The one of the larger size
// counts, so that whoever has seen only the other comes to the same.
func (k Keys) again(i int, h handover) (Keys, bool, error) {
	if h.Size <= k.handovers[i].Size {
		return k, true, nil
	}
	if i+1 < len(k.handovers) && h.Size >= k.handovers[i+1].Size {
		return k, false, fmt.Errorf("%w: generation %d up to size %d does not come before generation %d", ErrHandover, h.Generation, h.Size, h.Generation+1)
	}
	out := Keys{generations: k.generations, handovers: slices.Clone(k.handovers)}
	out.handovers[i] = h
	return out, true, nil
}

// succeeded adds the newest keys' successors.
func (k Keys) succeeded(h handover) (Keys, bool, error) {
	if n := len(k.handovers); n > 0 {
		before := k.handovers[n-1]
		if h.Generation != before.Generation+1 || h.Size <= before.Size {
			return k, false, fmt.Errorf("%w: generation %d up to size %d does not follow on generation %d up to size %d", ErrHandover, h.Generation, h.Size, before.Generation, before.Size)
		}
	}
	if k.reuses(h.after) {
		return k, false, fmt.Errorf("%w: generation %d: a key of an earlier one comes back", ErrHandover, h.Generation)
	}
	return Keys{
		generations: append(slices.Clone(k.generations), h.after),
		handovers:   append(slices.Clone(k.handovers), h),
	}, true, nil
}

// preceded adds the keys that the oldest ones have taken over from.
func (k Keys) preceded(h handover) (Keys, bool, error) {
	if len(k.handovers) > 0 {
		after := k.handovers[0]
		if h.Generation != after.Generation-1 || h.Size >= after.Size {
			return k, false, fmt.Errorf("%w: generation %d up to size %d does not come before generation %d up to size %d", ErrHandover, h.Generation, h.Size, after.Generation, after.Size)
		}
	}
	if k.reuses(h.before) {
		return k, false, fmt.Errorf("%w: generation %d: a key of a later one was there before", ErrHandover, h.Generation)
	}
	return Keys{
		generations: append([]generation{h.before}, k.generations...),
		handovers:   append([]handover{h}, k.handovers...),
	}, true, nil
}

// reuses says whether one of a generation's keys is of another one.
func (k Keys) reuses(g generation) bool {
	for _, have := range k.generations {
		for s := range g.kinds {
			if have.kinds[s] != "" {
				return true
			}
		}
	}
	return false
}

// at gives the keys that sign checkpoints of a size.
func (k Keys) at(size int64) generation {
	for i, h := range k.handovers {
		if size <= h.Size {
			return k.generations[i]
		}
	}
	if len(k.generations) == 0 {
		return generation{}
	}
	return k.generations[len(k.generations)-1]
}

// At are the vkey lines of the keys that sign checkpoints of a size.
func (k Keys) At(size int64) []string { return slices.Clone(k.at(size).lines) }

// from is the generation's number that signs checkpoints of a size; 0 where no
// hand-over has told it.
func (k Keys) from(size int64) int {
	for _, h := range k.handovers {
		if size <= h.Size {
			return h.Generation - 1
		}
	}
	if n := len(k.handovers); n > 0 {
		return k.handovers[n-1].Generation
	}
	return 0
}

// Generation numbers the newest keys that are known: 1 are those that the log began
// with. It is 0 where no hand-over is known, which tells nothing.
func (k Keys) Generation() int { return k.from(math.MaxInt64) }

// Known counts the hand-overs that are known.
func (k Keys) Known() int { return len(k.handovers) }

// Reach names what is known: it changes with every hand-over, and where the size of one does.
func (k Keys) Reach() string {
	var b strings.Builder
	for _, h := range k.handovers {
		fmt.Fprintf(&b, "%d:%d ", h.Generation, h.Size)
	}
	return b.String()
}

// Handovers are the statements that are known, the oldest first.
func (k Keys) Handovers() [][]byte {
	var out [][]byte
	for _, h := range k.handovers {
		out = append(out, slices.Clone(h.signed))
	}
	return out
}

// learnt are the statements that k has beyond before.
func (k Keys) learnt(before Keys) [][]byte {
	var out [][]byte
	for _, h := range k.handovers {
		if !before.knows(h.signed) {
			out = append(out, h.signed)
		}
	}
	return out
}

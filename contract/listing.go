package contract

import (
	"slices"

	"signalbox.dev/signalbox/flow"
)

// What an officer's tools list. Nothing here is part of a decision.

// MaxAdditions is how many entries one order can add to lists.
const MaxAdditions = maxAdditions

// Founding is what a chain was begun with and keeps.
type Founding struct {
	Chain      string   // supervision chain id
	Suite      string   // "gm" or "intl"
	Zone       string   // name of the authority's time zone
	ZoneOffset int64    // seconds east of UTC
	Businesses []string // kinds of business admitted; none: all
}

// FoundingOf returns what the chain was begun with.
func FoundingOf(s State) (Founding, error) {
	var p params
	if _, err := load(s, paramsKey(), &p); err != nil {
		return Founding{}, err
	}
	return Founding{Chain: p.Chain, Suite: p.Suite, Zone: p.Zone, ZoneOffset: p.ZoneOffset, Businesses: p.Businesses}, nil
}

// VersionInForce returns the bundle in force.
func VersionInForce(s State) (Version, error) {
	ref, err := bundleInForce(s)
	if err != nil {
		return Version{}, err
	}
	v, _, err := VersionOf(s, ref.Version)
	return v, err
}

// Definitions returns every list: those that each chain has, then the
// authority's own by name.
func Definitions(s State) ([]Definition, error) {
	var own []Definition
	for _, step := range flow.Steps() {
		var of []Definition
		if _, err := load(s, stepListsKey(step), &of); err != nil {
			return nil, err
		}
		for _, d := range of {
			if !slices.ContainsFunc(own, func(o Definition) bool { return o.Name == d.Name }) {
				own = append(own, d)
			}
		}
	}
	slices.SortFunc(own, func(a, b Definition) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return append(builtin(), own...), nil
}

// EntriesFor returns the history of one key of a list, oldest first.
func EntriesFor(s State, list List, key []string) ([]Entry, error) {
	var entries []Entry
	_, err := load(s, listKey(list, key), &entries)
	return entries, err
}

// InForce says whether the entry counts at now, Unix seconds.
func (e Entry) InForce(now int64) bool { return e.inForce(now) }

// GrantsOf returns an institution's batch grants. Those that have ended are
// among them until another one is issued to it.
func GrantsOf(s State, institution string) ([]Grant, error) {
	var codes []string
	if _, err := load(s, grantsKey(institution), &codes); err != nil {
		return nil, err
	}
	var all []Grant
	for _, code := range codes {
		g, ok, err := GrantOf(s, code)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, g)
		}
	}
	return all, nil
}

// Holds gives the number of the last hold, and the lowest that may still be
// open; zeros before the first.
func Holds(s State) (first, last uint64, err error) {
	var count holdCount
	_, err = load(s, holdsKey(), &count)
	return count.First, count.Last, err
}

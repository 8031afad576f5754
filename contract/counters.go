package contract

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// Limits of counters.
const (
	maxCounters   = 16
	maxCounterKey = 4   // parts of one key
	maxWindow     = 366 // days
)

// Counter is a count or a sum of granted steps, kept on the chain for each key
// over a sliding window of days (R6.1). It is exact: over the last Window of the
// authority's days, today included, what was granted before this very step.
//
// Rules read it as an integer `counters.<id>`, for the key of the submission at
// hand. A counter with `item.item` in By has a key for each item and is a
// function of the item's pseudonym instead, `counters.<id>(i.item)`: so the
// compiler refuses a counter that is not declared, one that lacks its item and
// one that is given a number, and a rule needs no other form than the
// `facts.items.exists(i, ...)` that it has already.
//
// A step whose key has an empty part is not counted, and reads 0.
//
// A counter goes on through new versions of the bundle while its id, Sum, By,
// Steps and When stay; a change of these begins a new one at 0. When Window alone
// grows, the days before those that were kept are missing until it has passed.
type Counter struct {
	ID     string      // as parameters are named
	Sum    string      // what is added up: "facts.amount", "item.quantity"; empty: steps are counted
	By     []string    // the texts that make the key: "facts.subject", "item.item"
	Window int64       // days, 1 to 366
	Steps  []flow.Step // the steps that count when granted
	When   string      // which of these steps count, or which of their items: CEL of type bool over facts, step and item; empty: all

	at    places
	lines []string // the YAML, to find places within When
}

const (
	ofFacts = "facts."
	ofItem  = "item."
)

// PerItem says whether the counter has a key for each item.
func (c Counter) PerItem() bool {
	return slices.ContainsFunc(c.By, func(name string) bool { return strings.HasPrefix(name, ofItem) })
}

func (c Counter) validate() error {
	if !parameterPattern.MatchString(c.ID) {
		return c.at.wrong("id", errors.New("id: want lower-case letters, digits and underscores"))
	}
	if c.Window < 1 || c.Window > maxWindow {
		return c.at.wrong("window", fmt.Errorf("window: want 24h to %dh in whole days", maxWindow*24))
	}
	if err := validateSteps(c.Steps); err != nil {
		return c.at.wrong("steps", err)
	}
	if err := c.validateFilter(); err != nil {
		return err
	}
	if len(c.By) == 0 || len(c.By) > maxCounterKey {
		return c.at.wrong("by", fmt.Errorf("by: want 1 to %d names", maxCounterKey))
	}
	for i, name := range c.By {
		if _, err := fieldOf(name, reflect.String); err != nil {
			return c.at.wrong("by", fmt.Errorf("by: %w", err))
		}
		if slices.Contains(c.By[:i], name) {
			return c.at.wrong("by", fmt.Errorf("by: %s stands twice", name))
		}
	}
	if c.Sum == "" {
		return nil
	}
	if _, err := fieldOf(c.Sum, reflect.Int64); err != nil {
		return c.at.wrong("sum", fmt.Errorf("sum: %w", err))
	}
	if c.PerItem() && !strings.HasPrefix(c.Sum, ofItem) {
		return c.at.wrong("sum", fmt.Errorf("sum: a counter by item adds up what is the item's, item.quantity or the like"))
	}
	return nil
}

// fieldOf finds the fact that a counter names, and its place in Facts or ItemFacts.
func fieldOf(name string, kind reflect.Kind) (int, error) {
	var t reflect.Type
	rest, found := strings.CutPrefix(name, ofFacts)
	if t = reflect.TypeFor[Facts](); !found {
		if rest, found = strings.CutPrefix(name, ofItem); !found {
			return 0, fmt.Errorf("%s: want facts.<name> or item.<name>", name)
		}
		t = reflect.TypeFor[ItemFacts]()
	}
	i := fieldIndex(t, rest)
	switch {
	case i < 0:
		return 0, fmt.Errorf("there is no fact %s", name)
	case t.Field(i).Type.Kind() != kind:
		return 0, fmt.Errorf("%s: is no %s", name, map[reflect.Kind]string{reflect.String: "text", reflect.Int64: "integer"}[kind])
	}
	return i, nil
}

// counting is a counter made ready: where its values are found and kept.
type counting struct {
	Counter
	name   string // as expressions have it, "counters.orders"
	each   bool   // whether there is a key for each item
	prefix []byte // what stands before the key's parts when it is hashed
	by     []fieldPlace
	sum    fieldPlace
	filter *filter // nil: everything counts
}

type fieldPlace struct {
	item  bool
	index int
}

func (p fieldPlace) value(f *Facts, i *ItemFacts) reflect.Value {
	if p.item {
		return reflect.ValueOf(i).Elem().Field(p.index)
	}
	return reflect.ValueOf(f).Elem().Field(p.index)
}

func placeOf(name string, kind reflect.Kind) (fieldPlace, error) {
	index, err := fieldOf(name, kind)
	return fieldPlace{item: strings.HasPrefix(name, ofItem), index: index}, err
}

// counterIdentity is what makes a counter the same one in another bundle.
type counterIdentity struct {
	_ struct{} `cbor:",toarray"`

	Contract string
	ID       string
	Sum      string
	By       []string
	Steps    []flow.Step // sorted
}

// filteredIdentity is that of a counter with a filter.
type filteredIdentity struct {
	_ struct{} `cbor:",toarray"`

	Counter counterIdentity
	When    string
}

func (b Bundle) counting(c Counter) (*counting, error) {
	steps := slices.Clone(c.Steps)
	slices.SortFunc(steps, func(a, b flow.Step) int { return cmp.Compare(a.Code(), b.Code()) })
	identity := counterIdentity{Contract: b.Contract, ID: c.ID, Sum: c.Sum, By: c.By, Steps: steps}
	prefix, err := flow.Marshal(identity)
	if c.When != "" {
		prefix, err = flow.Marshal(filteredIdentity{Counter: identity, When: c.When})
	}
	if err != nil {
		return nil, err
	}
	made := &counting{Counter: c, name: "counters." + c.ID, each: c.PerItem(), prefix: prefix}
	for _, name := range c.By {
		p, err := placeOf(name, reflect.String)
		if err != nil {
			return nil, err
		}
		made.by = append(made.by, p)
	}
	if c.Sum != "" {
		if made.sum, err = placeOf(c.Sum, reflect.Int64); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// key gives the parts of the key; false when one of them is empty.
func (c *counting) key(f *Facts, i *ItemFacts) ([]string, bool) {
	parts := make([]string, 0, maxCounterKey)
	for _, p := range c.by {
		text := p.value(f, i).String()
		if text == "" {
			return nil, false
		}
		parts = append(parts, text)
	}
	return parts, true
}

// stateKey is where the state keeps the key's days: under a hash, so that it is
// of one size whatever the parts are.
func (c *counting) stateKey(parts []string) []byte {
	buf := slices.Clone(c.prefix)
	for _, p := range parts {
		buf = append(strconv.AppendInt(buf, int64(len(p)), 10), ':')
		buf = append(buf, p...)
	}
	sum := flow.SumHash(buf)
	return hex.AppendEncode([]byte("counter/"), sum[:])
}

// days are what a counter has kept under one key: pairs of a day and its value,
// the days ascending. There are at most Window pairs.
type days []int64

// total adds up the days of the window that ends with today.
func (d days) total(today, window int64) int64 {
	var sum int64
	for n := 0; n+1 < len(d); n += 2 {
		if d[n] > today-window && d[n] <= today {
			sum = addSaturated(sum, d[n+1])
		}
	}
	return sum
}

// add drops the days that have left the window and adds value to today.
func (d days) add(today, window, value int64) days {
	kept := make(days, 0, len(d)+2)
	for n := 0; n+1 < len(d); n += 2 {
		switch {
		case d[n] <= today-window || d[n] > today: // a later day can't be: block time does not go back
		case d[n] == today:
			value = addSaturated(d[n+1], value)
		default:
			kept = append(kept, d[n], d[n+1])
		}
	}
	return append(kept, today, value)
}

// addSaturated adds two numbers and stays at the largest or smallest there is.
func addSaturated(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// today is the authority's day at now, in days since 1970-01-01.
func (r *Rules) today(now int64) int64 { return params{ZoneOffset: r.zone}.day(now) }

// stored reads counters from the state.
func (r *Rules) stored(s State, now int64) counts {
	today := r.today(now)
	return func(c *counting, parts []string) (int64, error) {
		var d days
		if _, err := load(s, c.stateKey(parts), &d); err != nil {
			return 0, err
		}
		return d.total(today, c.Window), nil
	}
}

// Count adds a granted step to the counters that count it, each under the keys
// of its facts. An error is a failure of the storage.
func (r *Rules) Count(s State, step flow.Step, facts *Facts, now int64) error {
	return r.count(s, step, facts, now, 1)
}

// count adds a step so many times; -1 takes it back.
func (r *Rules) count(s State, step flow.Step, facts *Facts, now, times int64) error {
	today := r.today(now)
	for _, c := range r.counted {
		if !slices.Contains(c.Steps, step) {
			continue
		}
		for _, a := range c.additions(r, step, facts) {
			key := c.stateKey(a.parts)
			var d days
			if _, err := load(s, key, &d); err != nil {
				return err
			}
			if err := store(s, key, d.add(today, c.Window, times*a.value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// addition is what one step adds under one key.
type addition struct {
	parts []string
	value int64
}

// additions gives what a step adds, each key once, in the order of the items. A
// count by item counts the step once however many lines the item has.
func (c *counting) additions(r *Rules, step flow.Step, f *Facts) []addition {
	var known *record // of facts, where there is a filter to ask
	if c.filter != nil {
		known = r.factRecord(f)
	}
	passes := func(i *ItemFacts) bool { return c.filter.passes(r, step, known, i) }
	if !c.each {
		parts, ok := c.key(f, nil)
		if !ok || !c.ofItems() && !passes(nil) {
			return nil
		}
		return []addition{{parts, c.amount(f, passes)}}
	}
	var all []addition
	at := make(map[string]int, len(f.Items))
	for n := range f.Items {
		i := &f.Items[n]
		parts, ok := c.key(f, i)
		if !ok || !passes(i) {
			continue
		}
		value := int64(1)
		if c.Sum != "" {
			value = c.sum.value(f, i).Int()
		}
		switch seen, twice := at[i.Item]; {
		case !twice:
			at[i.Item] = len(all)
			all = append(all, addition{parts, value})
		case c.Sum != "":
			all[seen].value = addSaturated(all[seen].value, value)
		}
	}
	return all
}

// amount is what a step adds to a counter that is not by item; of items, those
// that pass.
func (c *counting) amount(f *Facts, passes func(*ItemFacts) bool) int64 {
	switch {
	case c.Sum == "":
		return 1
	case !c.sum.item:
		return c.sum.value(f, nil).Int()
	}
	var sum int64
	for n := range f.Items {
		if passes(&f.Items[n]) {
			sum = addSaturated(sum, c.sum.value(f, &f.Items[n]).Int())
		}
	}
	return sum
}

func observedKey(address flow.Hash, rule string) []byte {
	return []byte("observed/" + address.String() + "/" + rule)
}

// CountObserved counts, for every rule in mode observe that hit a submission
// or failed on it, one more that it would have acted on (R6.4). The contract
// calls it for granted submissions: what is refused anyway changes no state.
func (r *Rules) CountObserved(s State, found Findings) error {
	for _, id := range found.Observed {
		id, _, _ = strings.Cut(id, ":")
		key := observedKey(r.address, id)
		var count uint64
		if _, err := load(s, key, &count); err != nil {
			return err
		}
		if err := store(s, key, count+1); err != nil {
			return err
		}
	}
	return nil
}

// ObservedCount is how many granted submissions a rule in mode observe of the
// bundle at address would have acted on.
func ObservedCount(s State, address flow.Hash, rule string) (uint64, error) {
	var count uint64
	_, err := load(s, observedKey(address, rule), &count)
	return count, err
}

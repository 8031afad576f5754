package trial

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Past is one submission that a chain has decided.
type Past struct {
	contract.Request // with complete facts (contract.Complete)

	Verdict flow.Verdict
	// Basis is what the verdict rested on. What was decided without the rules
	// stays as it was; empty means that the rules were asked.
	Basis contract.Basis
	// Before says that the submission is from before the time in question: it
	// counts, so that windows are full, and is not compared.
	Before bool
}

// lacked says that it was refused for want of a batch grant, which rules can issue.
func (p Past) lacked() bool { return p.Basis == contract.BasisStanding && p.Verdict == flow.Refused }

// asked says whether the rules had a say in the verdict.
func (p Past) asked() bool {
	return p.Basis == "" || p.Basis == contract.BasisRules || p.Basis == contract.BasisHold
}

// Options of Backtest. The zero value works.
type Options struct {
	Examples int // transactions named for each rule and kind of change; 0: 5, below 0: none
	Top      int // institutions and items that are listed of each sort; 0: 100
	Every    int // submissions between two calls of Progress; 0: 1000
	// Progress hears how many submissions are done. When it gives false the
	// replay stops, and the report covers what was done.
	Progress func(done int) bool
}

func (o Options) withDefaults() Options {
	set := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	set(&o.Examples, 5)
	set(&o.Top, 100)
	set(&o.Every, 1000)
	o.Examples = max(o.Examples, 0)
	return o
}

// Report says what other rules would have made of the past.
type Report struct {
	Old       string `json:"old"`       // address of the rules that are compared with
	New       string `json:"new"`       // address of the rules on trial
	Done      int    `json:"done"`      // submissions replayed, those from before included
	Compared  int    `json:"compared"`  // of them, put to both
	Unasked   int    `json:"unasked"`   // of them, decided without the rules: nothing changes
	Cut       int    `json:"cut"`       // of them, not come about: the new rules had refused their flow before
	Differing int    `json:"differing"` // where the old rules say other than what was recorded, as facts or history are incomplete
	Stopped   bool   `json:"stopped"`
	From      int64  `json:"from"` // time of the first compared, Unix seconds; 0 for none
	To        int64  `json:"to"`   // time of the last

	Changed      int         `json:"changed"`
	Kinds        []KindOf    `json:"kinds"`        // by from and to
	Rules        []RuleCount `json:"rules"`        // by rule, those that change nothing too
	Institutions []Tally     `json:"institutions"` // by platform, originator, producer
	Items        []Tally     `json:"items"`        // by item
	Examples     []Example   `json:"examples"`
}

// KindOf is one kind of change and how often it came.
type KindOf struct {
	From  flow.Verdict `json:"from"`
	To    flow.Verdict `json:"to"`
	Count int          `json:"count"`
}

// RuleCount is what one rule did, by the rules of either side.
type RuleCount struct {
	Rule    string `json:"rule"`
	Old     int    `json:"old"`     // hits, in the old bundle
	New     int    `json:"new"`     // hits, in the new one
	Changed int    `json:"changed"` // verdicts that it changes: by refusing or holding now, or no longer
}

// Tally counts changes for one institution or item.
type Tally struct {
	Sort    string `json:"sort"` // "platform", "originator", "producer", "item"
	Name    string `json:"name"` // identity or pseudonym
	Refused int    `json:"refused"`
	Held    int    `json:"held"`
	Granted int    `json:"granted"` // changes to each verdict
}

func (t Tally) all() int { return t.Refused + t.Held + t.Granted }

// Example is one changed verdict.
type Example struct {
	Tx    flow.Hash    `json:"tx"`
	Step  flow.Step    `json:"step"`
	From  flow.Verdict `json:"from"`
	To    flow.Verdict `json:"to"`
	Rules []string     `json:"rules"` // why
}

// Backtest replays past submissions, in their order, with both rules, each
// with counters of its own that begin empty and count what it lets through. Old
// are usually the rules in force; without them (nil) the recorded verdicts are
// compared with.
//
// A flow that the new rules refuse goes no further. A held submission is taken
// to be granted by its officer in the end, if it was. What was refused for want
// of a batch grant is put to the rules that issue them; what was granted under one
// is taken to have one still. The errors are those of the past.
func Backtest(old, new *contract.Rules, past iter.Seq2[Past, error], o Options) (Report, error) {
	b := newBacktest(old, new, o.withDefaults())
	for p, err := range past {
		if err != nil {
			return b.finish(), err
		}
		if err := b.replay(p); err != nil {
			return b.finish(), err
		}
		b.report.Done++
		if b.options.Progress != nil && b.report.Done%b.options.Every == 0 && !b.options.Progress(b.report.Done) {
			b.report.Stopped = true
			break
		}
	}
	return b.finish(), nil
}

type backtest struct {
	options  Options
	old, new *side
	report   Report

	kinds       map[[2]flow.Verdict]int
	rules       map[string]*RuleCount
	tallies     map[[2]string]*Tally
	examples    map[string]int // by rule and kind of change
	originators map[flow.Hash]string
	refused     map[flow.Hash]bool // flows that the new rules end
}

// side is one bundle with the counters that it would have.
type side struct {
	rules *contract.Rules
	state memory
}

// memory holds counters during a replay.
type memory map[string][]byte

func (m memory) Get(key []byte) ([]byte, error) { return m[string(key)], nil }
func (m memory) Set(key, value []byte)          { m[string(key)] = value }

func newBacktest(old, new *contract.Rules, o Options) *backtest {
	b := &backtest{
		options: o, new: &side{new, memory{}},
		kinds: make(map[[2]flow.Verdict]int), rules: make(map[string]*RuleCount), tallies: make(map[[2]string]*Tally),
		examples: make(map[string]int), originators: make(map[flow.Hash]string), refused: make(map[flow.Hash]bool),
	}
	b.report.New = new.Address().String()
	if old != nil {
		b.old = &side{old, memory{}}
		b.report.Old = old.Address().String()
		for _, r := range old.Bundle().Rules {
			b.rules[r.ID] = &RuleCount{Rule: r.ID}
		}
	}
	for _, r := range new.Bundle().Rules {
		b.rules[r.ID] = &RuleCount{Rule: r.ID}
	}
	return b
}

func (b *backtest) replay(p Past) error {
	id := p.Header.Flow
	if p.Header.Step == flow.Register {
		id = p.Tx
		b.originators[id] = p.Facts.Originator
	}
	if p.lacked() {
		return b.replayLacking(p, id)
	}
	if !p.asked() {
		b.report.Unasked++
		if p.Verdict != flow.Granted {
			return nil
		}
	}
	was := verdicts{verdict: p.Verdict}
	if b.old != nil {
		found, err := b.old.ask(p)
		if err != nil {
			return err
		}
		if p.Verdict == flow.Granted {
			if err := b.old.rules.Count(b.old.state, p.Header.Step, &p.Facts, p.Now); err != nil {
				return err
			}
		}
		was = verdictsOf(found)
	}
	if b.refused[id] {
		b.report.Cut++
		return nil
	}
	found, err := b.new.ask(p)
	if err != nil {
		return err
	}
	is := verdictsOf(found)
	if !p.asked() {
		is.verdict = flow.Granted // as by its standing
	}
	if is.verdict != flow.Refused && (p.Verdict == flow.Granted || was.verdict == flow.Refused) {
		if err := b.new.rules.Count(b.new.state, p.Header.Step, &p.Facts, p.Now); err != nil {
			return err
		}
	}
	if is.verdict == flow.Refused && p.Verdict == flow.Granted {
		b.refused[id] = true
	}
	if p.asked() && !p.Before {
		b.compare(p, id, was, is)
	}
	return nil
}

// replayLacking asks whether either side's rules would have issued the batch
// grant that a refused submission lacked.
func (b *backtest) replayLacking(p Past, id flow.Hash) error {
	was, err := b.old.lacking(p)
	if err != nil {
		return err
	}
	is, err := b.new.lacking(p)
	if err != nil {
		return err
	}
	if len(was.hit) == 0 && len(is.hit) == 0 {
		b.report.Unasked++
		return nil
	}
	if b.refused[id] {
		b.report.Cut++
		return nil
	}
	if !p.Before {
		b.compare(p, id, was, is)
	}
	return nil
}

// lacking is what the side makes of a submission without a batch grant: refused
// as it was, unless a rule issues one and the others let it go on.
func (s *side) lacking(p Past) (verdicts, error) {
	refused := verdicts{verdict: flow.Refused}
	if s == nil {
		return refused, nil
	}
	for _, id := range contract.Acting(p.Header, p.Facts) {
		rule, err := s.rules.GrantFor(s.state, p.Header.Step, &p.Facts, id, p.Now)
		if err != nil {
			return refused, err
		}
		if rule == "" {
			continue
		}
		found, err := s.ask(p)
		if err != nil {
			return refused, err
		}
		v := verdictsOf(found)
		if v.hit = append([]string{rule}, v.hit...); v.verdict == flow.Granted {
			v.granting = []string{rule}
			err = s.rules.Count(s.state, p.Header.Step, &p.Facts, p.Now)
		}
		return v, err
	}
	return refused, nil
}

func (s *side) ask(p Past) (contract.Findings, error) {
	return s.rules.Evaluate(s.state, p.Header.Step, &p.Facts, p.Now)
}

// verdicts are findings, by what they come to.
type verdicts struct {
	verdict flow.Verdict
	against []string // the rules that refuse, or hold when none refuses
	hit     []string // every rule

	granting []string // the rule that issued the batch grant without which it were refused
}

func verdictsOf(f contract.Findings) verdicts {
	v := verdicts{verdict: f.Verdict()}
	refusing, holding := ruleIDs(f.Refusals), ruleIDs(f.Holds)
	if v.against = refusing; len(refusing) == 0 {
		v.against = holding
	}
	v.hit = slices.Concat(refusing, holding, f.Flags)
	for _, id := range f.Observed {
		id, _, _ = strings.Cut(id, ":")
		v.hit = append(v.hit, id)
	}
	return v
}

// ruleIDs names the rules behind reasons, those that failed too.
func ruleIDs(reasons []flow.Reason) []string {
	var ids []string
	for _, r := range reasons {
		if r.Code == "rule_error" {
			ids = append(ids, r.Path)
		} else {
			ids = append(ids, r.Code)
		}
	}
	return ids
}

func (b *backtest) compare(p Past, id flow.Hash, was, is verdicts) {
	r := &b.report
	if r.Compared++; r.From == 0 {
		r.From = p.Now
	}
	r.To = p.Now
	for _, rule := range was.hit {
		b.rules[rule].Old++
	}
	for _, rule := range is.hit {
		b.rules[rule].New++
	}
	if was.verdict != p.Verdict && p.Basis != contract.BasisHold {
		r.Differing++
	}
	if was.verdict == is.verdict {
		return
	}
	r.Changed++
	b.kinds[[2]flow.Verdict{was.verdict, is.verdict}]++
	why := is.against
	if len(why) == 0 || is.verdict == flow.Held && was.verdict == flow.Refused {
		why = was.against // what no longer stands in the way
	}
	if is.verdict == flow.Granted && len(is.granting) > 0 {
		why = is.granting
	} else if was.verdict == flow.Granted && len(was.granting) > 0 && len(why) == 0 {
		why = was.granting
	}
	example := len(why) == 0 // the record alone says no
	for _, rule := range why {
		b.rules[rule].Changed++
		kind := rule + " " + string(was.verdict) + " " + string(is.verdict)
		if b.examples[kind] < b.options.Examples {
			b.examples[kind]++
			example = true
		}
	}
	if example && b.options.Examples > 0 && len(r.Examples) < b.options.Examples*max(1, len(b.rules)) {
		r.Examples = append(r.Examples, Example{Tx: p.Tx, Step: p.Header.Step, From: was.verdict, To: is.verdict, Rules: append([]string{}, why...)})
	}
	b.tally("platform", p.Header.Platform, is.verdict)
	b.tally("originator", b.originators[id], is.verdict)
	b.tally("producer", p.Facts.Producer, is.verdict)
	seen := make(map[string]bool)
	for _, i := range p.Facts.Items {
		if !seen[i.Item] {
			seen[i.Item] = true
			b.tally("item", i.Item, is.verdict)
		}
	}
}

func (b *backtest) tally(sort, name string, to flow.Verdict) {
	if name == "" {
		return
	}
	t := b.tallies[[2]string{sort, name}]
	if t == nil {
		t = &Tally{Sort: sort, Name: name}
		b.tallies[[2]string{sort, name}] = t
	}
	switch to {
	case flow.Refused:
		t.Refused++
	case flow.Held:
		t.Held++
	default:
		t.Granted++
	}
}

// finish sorts: the most changes first, then by name.
func (b *backtest) finish() Report {
	r := b.report
	r.Kinds, r.Rules, r.Institutions, r.Items = []KindOf{}, []RuleCount{}, []Tally{}, []Tally{}
	for k, n := range b.kinds {
		r.Kinds = append(r.Kinds, KindOf{k[0], k[1], n})
	}
	slices.SortFunc(r.Kinds, func(x, y KindOf) int {
		return cmp.Or(y.Count-x.Count, cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To))
	})
	for _, c := range b.rules {
		r.Rules = append(r.Rules, *c)
	}
	slices.SortFunc(r.Rules, func(x, y RuleCount) int { return cmp.Or(y.Changed-x.Changed, cmp.Compare(x.Rule, y.Rule)) })
	all := make(map[string][]Tally)
	for _, t := range b.tallies {
		all[t.Sort] = append(all[t.Sort], *t)
	}
	for sort, list := range all {
		slices.SortFunc(list, func(x, y Tally) int { return cmp.Or(y.all()-x.all(), cmp.Compare(x.Name, y.Name)) })
		all[sort] = list[:min(len(list), b.options.Top)]
	}
	r.Items = append(r.Items, all["item"]...)
	for _, sort := range []string{"platform", "originator", "producer"} {
		r.Institutions = append(r.Institutions, all[sort]...)
	}
	if r.Examples == nil {
		r.Examples = []Example{}
	}
	return r
}

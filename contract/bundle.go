package contract

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// Limits of a bundle. Together with the cost ceilings in rules.go they bound
// what deciding one submission can take.
const (
	maxBundle     = 256 << 10 // bytes of YAML
	maxRules      = 200
	maxCases      = 1000
	maxParameters = 100
	maxExpression = 2048 // code points of one `when`
	maxMessage    = 512  // bytes of one text
)

// Effect is what a rule does when it hits.
type Effect string

// The effects.
const (
	Refuse   Effect = "refuse"
	Hold     Effect = "hold"  // an officer of the authority decides
	Flag     Effect = "flag"  // granted, and shown
	Granting Effect = "grant" // asked for a batch grant that is lacking, and issues it
	Listing  Effect = "list"  // granted, shown, and the flow goes on the list of abnormal transactions
)

// Mode says whether a rule counts yet (R6.4).
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	Observe Mode = "observe" // evaluated and recorded, without effect
)

// Bundle is a rule contract (R6.1): parameters, the rules that use them, and
// the cases that the rules must pass before they take force.
type Bundle struct {
	Contract   string         // the kind of business it is for
	Parameters map[string]any // int64, bool, string or a list of one of them
	Counters   []Counter
	Rules      []Rule
	Cases      []Case

	at          places // where it stands in the YAML, if it was read from one
	parameterAt places
}

// Rule is one rule. When is a CEL expression of type bool over `facts`
// (Facts), `params` (the bundle's parameters), `counters` (Counter), `step`, and
// `today`: the authority's day at the block's time, in days since 1970-01-01.
type Rule struct {
	ID      string
	Steps   []flow.Step
	When    string
	Effect  Effect
	Mode    Mode
	Message Message
	Terms   Terms // with effect grant

	at    places
	lines []string // the YAML, to find places within When
}

// Message is what people read when a rule hits.
type Message struct {
	Zh string
	En string
}

// Case is an example that a bundle carries to prove itself.
type Case struct {
	Name  string
	Step  flow.Step
	Today int64          // the authority's day, in days since 1970-01-01
	Facts map[string]any // by the names that rules use; what is missing is zero
	// Counters are what the bundle's counters say before the step, by id: an
	// int64, or for a counter by item a map[string]any of one for each item.
	Counters map[string]any
	Want     Want

	at places
}

// Want is what the rules must make of a case: the verdict, and every rule that
// hits, whatever its effect and mode, in the bundle's order. Rules with effect
// grant are asked as if the institution had no batch grant.
type Want struct {
	Verdict flow.Verdict
	Rules   []string
}

var (
	ruleIDPattern    = regexp.MustCompile(`^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$`)
	parameterPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

func (b Bundle) validate() error {
	if err := flow.CheckName("contract", b.Contract); err != nil {
		return b.at.wrong("contract", err)
	}
	if len(b.Rules) > maxRules || len(b.Cases) > maxCases || len(b.Parameters) > maxParameters || len(b.Counters) > maxCounters {
		return fmt.Errorf("at most %d rules, %d cases, %d parameters and %d counters", maxRules, maxCases, maxParameters, maxCounters)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		what := "parameter " + name
		if !parameterPattern.MatchString(name) {
			return within(what, b.parameterAt.wrong(name, errors.New("want lower-case letters, digits and underscores")))
		}
		if _, err := parameterType(b.Parameters[name]); err != nil {
			return within(what, b.parameterAt.wrong(name, err))
		}
	}
	if err := b.validateCounters(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, r := range b.Rules {
		what := "rule " + r.ID
		if err := r.validate(); err != nil {
			return within(what, err)
		}
		if seen[r.ID] {
			return within(what, r.at.wrong("id", errors.New("stands twice")))
		}
		seen[r.ID] = true
	}
	return b.validateCases(seen)
}

func (b Bundle) validateCounters() error {
	seen := make(map[string]bool)
	for _, c := range b.Counters {
		what := "counter " + c.ID
		if err := c.validate(); err != nil {
			return within(what, err)
		}
		if seen[c.ID] {
			return within(what, c.at.wrong("id", errors.New("stands twice")))
		}
		seen[c.ID] = true
	}
	return nil
}

func (r Rule) validate() error {
	if len(r.ID) > 64 || !ruleIDPattern.MatchString(r.ID) {
		return r.at.wrong("id", errors.New("id: want capitals and digits in groups joined by '-', such as RX-QTY-01"))
	}
	if _, taken := listOfCode(r.ID); taken {
		return r.at.wrong("id", errors.New("id: stands for a restricted list"))
	}
	if err := validateSteps(r.Steps); err != nil {
		return r.at.wrong("steps", err)
	}
	if r.When == "" {
		return r.at.wrong("when", errors.New("when: missing"))
	}
	if !slices.Contains([]Effect{Refuse, Hold, Flag, Listing, Granting}, r.Effect) {
		return r.at.wrong("effect", errors.New("effect: want refuse, hold, flag, list or grant"))
	}
	if !slices.Contains([]Mode{Enforce, Observe}, r.Mode) {
		return r.at.wrong("mode", errors.New("mode: want enforce or observe"))
	}
	if err := r.validateTerms(); err != nil {
		return err
	}
	if r.Message.Zh == "" || r.Message.En == "" {
		return r.at.wrong("message", errors.New("message: want zh and en"))
	}
	if len(r.Message.Zh) > maxMessage || len(r.Message.En) > maxMessage {
		return r.at.wrong("message", fmt.Errorf("message: over %d bytes", maxMessage))
	}
	return nil
}

func validateSteps(steps []flow.Step) error {
	if len(steps) == 0 {
		return errors.New("steps: none")
	}
	for i, s := range steps {
		if !s.Known() {
			return fmt.Errorf("steps: %q is no step", s)
		}
		if slices.Contains(steps[:i], s) {
			return fmt.Errorf("steps: %s stands twice", s)
		}
	}
	return nil
}

func (b Bundle) validateCases(rules map[string]bool) error {
	names := make(map[string]bool)
	for _, c := range b.Cases {
		key, err := c.validate(b, rules)
		if names[c.Name] {
			key, err = "name", errors.New("wants a name of its own")
		}
		if err != nil {
			return within(fmt.Sprintf("case %q", c.Name), c.at.wrong(key, err))
		}
		names[c.Name] = true
	}
	return nil
}

// validate says what is wrong with c, and under which key.
func (c Case) validate(b Bundle, rules map[string]bool) (string, error) {
	switch {
	case c.Name == "":
		return "name", errors.New("wants a name of its own")
	case !c.Step.Known():
		return "step", fmt.Errorf("%q is no step", c.Step)
	case c.Want.Verdict.Code() == 0:
		return "want", errors.New("want.verdict: granted, refused or held")
	}
	for _, id := range c.Want.Rules {
		if !rules[id] {
			return "want", fmt.Errorf("want.rules: no rule %q", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Counters)) {
		if err := b.validateGiven(id, c.Counters[id]); err != nil {
			return "counters", fmt.Errorf("counters: %s: %w", id, err)
		}
	}
	return "", nil
}

// validateGiven checks what a case says of one counter.
func (b Bundle) validateGiven(id string, value any) error {
	i := slices.IndexFunc(b.Counters, func(c Counter) bool { return c.ID == id })
	if i < 0 {
		return errors.New("there is no such counter")
	}
	if !b.Counters[i].PerItem() {
		if _, ok := value.(int64); !ok {
			return errors.New("want an integer")
		}
		return nil
	}
	items, ok := value.(map[string]any)
	if !ok {
		return errors.New("want a mapping of items to integers")
	}
	for _, v := range items {
		if _, ok := v.(int64); !ok {
			return errors.New("want a mapping of items to integers")
		}
	}
	return nil
}

// windowOf reads a window: whole days as "30d", or as hours, "720h".
func windowOf(text string) (int64, error) {
	unit, per := "h", int64(24)
	if strings.HasSuffix(text, "d") {
		unit, per = "d", 1
	}
	number, found := strings.CutSuffix(text, unit)
	n, err := strconv.ParseInt(number, 10, 32)
	if !found || err != nil || n <= 0 || n%per != 0 {
		return 0, errors.New("window: want whole days, such as 30d or 720h")
	}
	return n / per, nil
}

package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

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
	Refuse Effect = "refuse"
	Hold   Effect = "hold" // an officer of the authority decides
	Flag   Effect = "flag" // granted, and shown
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
	Rules      []Rule
	Cases      []Case
}

// Rule is one rule. When is a CEL expression of type bool over `facts`
// (Facts), `params` (the bundle's parameters) and `step`.
type Rule struct {
	ID      string
	Steps   []flow.Step
	When    string
	Effect  Effect
	Mode    Mode
	Message Message
}

// Message is what people read when a rule hits.
type Message struct {
	Zh string `yaml:"zh"`
	En string `yaml:"en"`
}

// Case is an example that a bundle carries to prove itself.
type Case struct {
	Name  string
	Step  flow.Step
	Facts map[string]any // by the names that rules use; what is missing is zero
	Want  Want
}

// Want is what the rules must make of a case: the verdict, and every rule that
// hits, whatever its effect and mode, in the bundle's order.
type Want struct {
	Verdict flow.Verdict `yaml:"verdict"`
	Rules   []string     `yaml:"rules"`
}

// The YAML form. Unknown keys are refused.
type bundleDocument struct {
	Contract   string               `yaml:"contract"`
	Parameters map[string]yaml.Node `yaml:"parameters"`
	Rules      []ruleDocument       `yaml:"rules"`
	Cases      []caseDocument       `yaml:"cases"`
}

type ruleDocument struct {
	ID      string      `yaml:"id"`
	Steps   []flow.Step `yaml:"steps"`
	When    string      `yaml:"when"`
	Effect  Effect      `yaml:"effect"`
	Mode    Mode        `yaml:"mode"`
	Message Message     `yaml:"message"`
}

type caseDocument struct {
	Name  string    `yaml:"name"`
	Step  flow.Step `yaml:"step"`
	Facts yaml.Node `yaml:"facts"`
	Want  Want      `yaml:"want"`
}

// ParseBundle reads a bundle strictly: unknown keys, duplicates, missing texts,
// anchors, aliases and more than one document are errors. It does not compile
// the rules; Compile and Admit do.
func ParseBundle(text []byte) (Bundle, error) {
	doc, err := decodeBundle(text)
	if err != nil {
		return Bundle{}, fmt.Errorf("reading rule bundle: %w", err)
	}
	b, err := doc.bundle()
	if err != nil {
		return Bundle{}, fmt.Errorf("reading rule bundle: %w", err)
	}
	if err := b.validate(); err != nil {
		return Bundle{}, fmt.Errorf("rule bundle: %w", err)
	}
	return b, nil
}

func decodeBundle(text []byte) (bundleDocument, error) {
	var doc bundleDocument
	if len(text) > maxBundle {
		return doc, fmt.Errorf("%d bytes, the limit is %d", len(text), maxBundle)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return doc, err
	}
	if err := plainTree(&tree); err != nil {
		return doc, err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return doc, errors.New("it is empty")
		}
		return doc, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return doc, errors.New("more than one document")
	}
	return doc, nil
}

// plainTree refuses what would let one text mean two things: aliases, anchors
// and merge keys.
func plainTree(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" {
		return fmt.Errorf("line %d: anchors, aliases and merge keys are not taken", n.Line)
	}
	for _, c := range n.Content {
		if err := plainTree(c); err != nil {
			return err
		}
	}
	return nil
}

func (d bundleDocument) bundle() (Bundle, error) {
	b := Bundle{Contract: d.Contract, Parameters: make(map[string]any, len(d.Parameters))}
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		node := d.Parameters[name]
		v, err := plainValue(&node)
		if err != nil {
			return Bundle{}, fmt.Errorf("parameter %s: %w", name, err)
		}
		b.Parameters[name] = v
	}
	for _, r := range d.Rules {
		if r.Mode == "" {
			r.Mode = Enforce
		}
		b.Rules = append(b.Rules, Rule(r))
	}
	for _, c := range d.Cases {
		facts := map[string]any{}
		if !c.Facts.IsZero() {
			v, err := plainValue(&c.Facts)
			if err != nil {
				return Bundle{}, fmt.Errorf("case %q: facts: %w", c.Name, err)
			}
			m, ok := v.(map[string]any)
			if !ok {
				return Bundle{}, fmt.Errorf("case %q: facts: want a mapping", c.Name)
			}
			facts = m
		}
		b.Cases = append(b.Cases, Case{Name: c.Name, Step: c.Step, Facts: facts, Want: c.Want})
	}
	return b, nil
}

// plainValue gives int64, bool, string, []any or map[string]any.
func plainValue(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return plainScalar(n)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := plainValue(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("line %d: %s stands twice", n.Content[i].Line, name)
			}
			v, err := plainValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[name] = v
		}
		return m, nil
	default:
		return nil, fmt.Errorf("line %d: want a value, a list or a mapping", n.Line)
	}
}

func plainScalar(n *yaml.Node) (any, error) {
	var err error
	switch n.ShortTag() {
	case "!!int":
		var i int64
		err = n.Decode(&i)
		if err == nil {
			return i, nil
		}
	case "!!bool":
		var b bool
		err = n.Decode(&b)
		if err == nil {
			return b, nil
		}
	case "!!str":
		return n.Value, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("line %d: want an integer, true, false or a text (in quotes if need be)", n.Line)
}

var (
	ruleIDPattern    = regexp.MustCompile(`^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$`)
	parameterPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

func (b Bundle) validate() error {
	if err := flow.CheckName("contract", b.Contract); err != nil {
		return err
	}
	if len(b.Rules) > maxRules || len(b.Cases) > maxCases || len(b.Parameters) > maxParameters {
		return fmt.Errorf("at most %d rules, %d cases and %d parameters", maxRules, maxCases, maxParameters)
	}
	for name, v := range b.Parameters {
		if !parameterPattern.MatchString(name) {
			return fmt.Errorf("parameter %q: want lower-case letters, digits and underscores", name)
		}
		if _, err := parameterType(v); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	seen := make(map[string]bool)
	for _, r := range b.Rules {
		if err := r.validate(); err != nil {
			return fmt.Errorf("rule %q: %w", r.ID, err)
		}
		if seen[r.ID] {
			return fmt.Errorf("rule %q: stands twice", r.ID)
		}
		seen[r.ID] = true
	}
	return validateCases(b.Cases, seen)
}

func (r Rule) validate() error {
	if len(r.ID) > 64 || !ruleIDPattern.MatchString(r.ID) {
		return errors.New("id: want capitals and digits in groups joined by '-', such as RX-QTY-01")
	}
	if _, taken := listOfCode(r.ID); taken {
		return errors.New("id: stands for a restricted list")
	}
	if len(r.Steps) == 0 {
		return errors.New("steps: none")
	}
	for i, s := range r.Steps {
		if !s.Known() {
			return fmt.Errorf("steps: %q is no step", s)
		}
		if slices.Contains(r.Steps[:i], s) {
			return fmt.Errorf("steps: %s stands twice", s)
		}
	}
	if r.When == "" {
		return errors.New("when: missing")
	}
	if !slices.Contains([]Effect{Refuse, Hold, Flag}, r.Effect) {
		return errors.New("effect: want refuse, hold or flag")
	}
	if !slices.Contains([]Mode{Enforce, Observe}, r.Mode) {
		return errors.New("mode: want enforce or observe")
	}
	if r.Message.Zh == "" || r.Message.En == "" {
		return errors.New("message: want zh and en")
	}
	if len(r.Message.Zh) > maxMessage || len(r.Message.En) > maxMessage {
		return fmt.Errorf("message: over %d bytes", maxMessage)
	}
	return nil
}

func validateCases(cases []Case, rules map[string]bool) error {
	names := make(map[string]bool)
	for _, c := range cases {
		switch {
		case c.Name == "" || names[c.Name]:
			return fmt.Errorf("case %q: wants a name of its own", c.Name)
		case !c.Step.Known():
			return fmt.Errorf("case %q: %q is no step", c.Name, c.Step)
		case c.Want.Verdict.Code() == 0:
			return fmt.Errorf("case %q: want.verdict: granted, refused or held", c.Name)
		}
		names[c.Name] = true
		for _, id := range c.Want.Rules {
			if !rules[id] {
				return fmt.Errorf("case %q: want.rules: no rule %q", c.Name, id)
			}
		}
	}
	return nil
}

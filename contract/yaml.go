package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"signalbox.dev/signalbox/flow"
)

// ParseBundle reads a bundle strictly: unknown keys, duplicates, missing texts,
// anchors, aliases and more than one document are errors, each with its line
// and column (PlaceError). It does not compile the rules; Compile and Admit do.
func ParseBundle(text []byte) (Bundle, error) {
	root, err := parseTree(text)
	if err != nil {
		return Bundle{}, fmt.Errorf("reading rule bundle: %w", err)
	}
	b, err := readBundle(root, strings.Split(string(text), "\n"))
	if err != nil {
		return Bundle{}, fmt.Errorf("reading rule bundle: %w", err)
	}
	if err := b.validate(); err != nil {
		return Bundle{}, fmt.Errorf("rule bundle: %w", err)
	}
	return b, nil
}

func parseTree(text []byte) (*yaml.Node, error) {
	if len(text) > maxBundle {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(text), maxBundle)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, wrongYAML(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	return document.Content[0], plainTree(&document)
}

// plainTree refuses what would let one text mean two things: aliases, anchors
// and merge keys.
func plainTree(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" {
		return wrongNode(n, "anchors, aliases and merge keys are not taken")
	}
	for _, c := range n.Content {
		if err := plainTree(c); err != nil {
			return err
		}
	}
	return nil
}

// keysOf gives the values of a mapping by key, and the mapping itself as "".
func keysOf(n *yaml.Node, known ...string) (places, error) {
	if n.Kind != yaml.MappingNode {
		return nil, wrongNode(n, "want a mapping")
	}
	all := places{"": n}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch name := key.Value; {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, name):
			return nil, wrongNode(key, "there is no key %q here; there are %s", name, strings.Join(known, ", "))
		case all[name] != nil:
			return nil, wrongNode(key, "%s stands twice", name)
		default:
			all[name] = n.Content[i+1]
		}
	}
	return all, nil
}

// text is a scalar as written; a missing one and null are empty.
func (p places) text(key string) (string, error) {
	n := p[key]
	switch {
	case n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return "", nil
	case n.Kind != yaml.ScalarNode:
		return "", wrongNode(n, "%s: want a text", key)
	}
	return n.Value, nil
}

// list gives the elements of a list; none when it is missing.
func (p places) list(key string) ([]*yaml.Node, error) {
	n := p[key]
	switch {
	case n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return nil, nil
	case n.Kind != yaml.SequenceNode:
		return nil, wrongNode(n, "%s: want a list", key)
	}
	return n.Content, nil
}

func (p places) texts(key string) ([]string, error) {
	nodes, err := p.list(key)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, n := range nodes {
		if n.Kind != yaml.ScalarNode {
			return nil, wrongNode(n, "%s: want texts", key)
		}
		all = append(all, n.Value)
	}
	return all, nil
}

func (p places) steps(key string) ([]flow.Step, error) {
	names, err := p.texts(key)
	var all []flow.Step
	for _, s := range names {
		all = append(all, flow.Step(s))
	}
	return all, err
}

// mapping gives the plain values of a mapping; an empty one when it is missing.
func (p places) mapping(key string) (map[string]any, error) {
	n := p[key]
	if n == nil {
		return map[string]any{}, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, wrongNode(n, "%s: want a mapping", key)
	}
	v, err := plainValue(n)
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

// fill sets texts by key.
func (p places) fill(texts map[string]*string) error {
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		var err error
		if *texts[key], err = p.text(key); err != nil {
			return err
		}
	}
	return nil
}

func readBundle(root *yaml.Node, lines []string) (Bundle, error) {
	p, err := keysOf(root, "contract", "parameters", "counters", "rules", "cases")
	if err != nil {
		return Bundle{}, err
	}
	b := Bundle{at: p}
	if b.Contract, err = p.text("contract"); err != nil {
		return Bundle{}, err
	}
	if b.Parameters, err = p.mapping("parameters"); err != nil {
		return Bundle{}, within("parameters", err)
	}
	b.parameterAt = keyNodes(p["parameters"])
	if b.Counters, err = readAll(p, "counters", readCounter); err != nil {
		return Bundle{}, err
	}
	if b.Rules, err = readAll(p, "rules", readRule); err != nil {
		return Bundle{}, err
	}
	for i := range b.Rules {
		b.Rules[i].lines = lines
	}
	for i := range b.Counters {
		b.Counters[i].lines = lines
	}
	b.Cases, err = readAll(p, "cases", readCase)
	return b, err
}

// keyNodes says where the keys of a mapping stand.
func keyNodes(n *yaml.Node) places {
	all := places{}
	if n != nil {
		all[""] = n
		for i := 0; i+1 < len(n.Content); i += 2 {
			all[n.Content[i].Value] = n.Content[i]
		}
	}
	return all
}

// readAll reads the elements of a list of parts.
func readAll[T any](p places, key string, read func(*yaml.Node) (T, error)) ([]T, error) {
	nodes, err := p.list(key)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, n := range nodes {
		part, err := read(n)
		if err != nil {
			return nil, within(strings.TrimSuffix(key, "s")+" "+nameOf(n), err)
		}
		all = append(all, part)
	}
	return all, nil
}

// nameOf is the id or name that a part goes by.
func nameOf(n *yaml.Node) string {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == "id" || k == "name" {
			return n.Content[i+1].Value
		}
	}
	return "?"
}

func readRule(n *yaml.Node) (Rule, error) {
	p, err := keysOf(n, "id", "steps", "when", "effect", "mode", "message", "grant")
	if err != nil {
		return Rule{}, err
	}
	r := Rule{at: p}
	var effect, mode string
	if err := p.fill(map[string]*string{"id": &r.ID, "when": &r.When, "effect": &effect, "mode": &mode}); err != nil {
		return Rule{}, err
	}
	if r.Effect, r.Mode = Effect(effect), Mode(mode); r.Mode == "" {
		r.Mode = Enforce
	}
	if r.Steps, err = p.steps("steps"); err != nil {
		return Rule{}, err
	}
	if r.Terms, err = readTerms(p["grant"]); err != nil {
		return Rule{}, err
	}
	if p["message"] == nil {
		return r, nil
	}
	words, err := keysOf(p["message"], "zh", "en")
	if err != nil {
		return Rule{}, err
	}
	return r, words.fill(map[string]*string{"zh": &r.Message.Zh, "en": &r.Message.En})
}

func readTerms(n *yaml.Node) (Terms, error) {
	if n == nil {
		return Terms{}, nil
	}
	p, err := keysOf(n, "days", "quota", "most")
	if err != nil {
		return Terms{}, err
	}
	var t Terms
	for _, key := range []string{"days", "quota", "most"} {
		if p[key] == nil {
			continue
		}
		var value int64
		if err := p[key].Decode(&value); err != nil || p[key].ShortTag() != "!!int" || value < 0 {
			return Terms{}, wrongNode(p[key], "%s: want a whole number", key)
		}
		switch key {
		case "days":
			t.Days = value
		case "quota":
			t.Quota = uint64(value)
		case "most":
			t.Most = uint64(value)
		}
	}
	return t, nil
}

func readCounter(n *yaml.Node) (Counter, error) {
	p, err := keysOf(n, "id", "count", "sum", "by", "window", "steps", "when")
	if err != nil {
		return Counter{}, err
	}
	c := Counter{at: p}
	var count, window string
	if err := p.fill(map[string]*string{"id": &c.ID, "count": &count, "sum": &c.Sum, "window": &window, "when": &c.When}); err != nil {
		return Counter{}, err
	}
	if (count == "true") == (c.Sum != "") || count != "" && count != "true" {
		return Counter{}, wrongNode(n, "want either count: true or sum: <fact>")
	}
	if c.Window, err = windowOf(window); err != nil {
		return Counter{}, p.wrong("window", err)
	}
	if c.By, err = p.texts("by"); err != nil {
		return Counter{}, err
	}
	c.Steps, err = p.steps("steps")
	return c, err
}

func readCase(n *yaml.Node) (Case, error) {
	p, err := keysOf(n, "name", "step", "today", "facts", "counters", "want")
	if err != nil {
		return Case{}, err
	}
	c := Case{at: p}
	if n := p["today"]; n != nil {
		if err := n.Decode(&c.Today); err != nil || n.ShortTag() != "!!int" {
			return Case{}, wrongNode(n, "today: want days since 1970-01-01")
		}
	}
	var step, verdict string
	if err := p.fill(map[string]*string{"name": &c.Name, "step": &step}); err != nil {
		return Case{}, err
	}
	if c.Facts, err = p.mapping("facts"); err != nil {
		return Case{}, err
	}
	if c.Counters, err = p.mapping("counters"); err != nil {
		return Case{}, err
	}
	if p["want"] != nil {
		want, err := keysOf(p["want"], "verdict", "rules")
		if err != nil {
			return Case{}, err
		}
		if verdict, err = want.text("verdict"); err != nil {
			return Case{}, err
		}
		if c.Want.Rules, err = want.texts("rules"); err != nil {
			return Case{}, err
		}
	}
	c.Step, c.Want.Verdict = flow.Step(step), flow.Verdict(verdict)
	return c, nil
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
				return nil, wrongNode(n.Content[i], "%s stands twice", name)
			}
			v, err := plainValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[name] = v
		}
		return m, nil
	default:
		return nil, wrongNode(n, "want a value, a list or a mapping")
	}
}

func plainScalar(n *yaml.Node) (any, error) {
	var err error
	switch n.ShortTag() {
	case "!!int":
		var i int64
		if err = n.Decode(&i); err == nil {
			return i, nil
		}
	case "!!bool":
		var b bool
		if err = n.Decode(&b); err == nil {
			return b, nil
		}
	case "!!str":
		return n.Value, nil
	}
	if err != nil {
		return nil, wrongNode(n, "%w", err)
	}
	return nil, wrongNode(n, "want an integer, true, false or a text (in quotes if need be)")
}

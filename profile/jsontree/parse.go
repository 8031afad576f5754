package jsontree

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"signalbox.dev/signalbox/profile"
)

// Limits of what Parse takes: a hostile document costs its reader a bounded
// amount of memory and stack. Real prescriptions stay below a tenth of each.
const (
	// MaxBytes is the longest document, in bytes.
	MaxBytes = 1 << 20
	// MaxDepth is how many arrays and objects may stand in each other.
	MaxDepth = 64
	// MaxNodes is how many values a document may hold.
	MaxNodes = 20_000
)

// Kind says what a Node is.
type Kind uint8

// The kinds of JSON value.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Node is one JSON value. Its text points into the document it was read from.
type Node struct {
	Kind Kind
	Name string // the member's name, when the node stands in an object
	Text string // a String's value; a Number as it was written; "true" or "false"
	Kids []Node // an Array's values in order; an Object's members by name, in the order of their bytes
}

// Get returns the member of an object, nil when there is none (or n is nil).
func (n *Node) Get(name string) *Node {
	if n == nil || n.Kind != Object {
		return nil
	}
	i, found := slices.BinarySearchFunc(n.Kids, name, func(k Node, name string) int { return cmp.Compare(k.Name, name) })
	if !found {
		return nil
	}
	return &n.Kids[i]
}

// Str is the value of a string member, empty when there is none.
func (n *Node) Str(name string) string {
	if m := n.Get(name); m != nil && m.Kind == String {
		return m.Text
	}
	return ""
}

// Parse reads one JSON document (RFC 8259). A byte order mark before it is
// passed over. The error is a *profile.Problem; "at byte N" counts from 1.
func Parse(data []byte) (*Node, error) {
	if len(data) > MaxBytes {
		return nil, &profile.Problem{
			Zh: fmt.Sprintf("超过 %d 字节的上限", MaxBytes),
			En: fmt.Sprintf("is over the limit of %d bytes", MaxBytes),
		}
	}
	p := parser{s: string(data)}
	if i := invalidUTF8(p.s); i >= 0 {
		return nil, &profile.Problem{
			Zh: fmt.Sprintf("不是 JSON：第 %d 字节不是 UTF-8", i+1),
			En: fmt.Sprintf("not JSON at byte %d: not UTF-8", i+1),
		}
	}
	if strings.HasPrefix(p.s, "\ufeff") {
		p.i = len("\ufeff")
	}
	var n Node
	p.space()
	if err := p.value(&n, 0); err != nil {
		return nil, err
	}
	p.space()
	if p.i < len(p.s) {
		return nil, p.fault()
	}
	return &n, nil
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return -1
}

type parser struct {
	s     string
	i     int
	nodes int
}

// fault says that the byte at hand fits nothing.
func (p *parser) fault() *profile.Problem {
	if p.i >= len(p.s) {
		return &profile.Problem{
			Zh: fmt.Sprintf("不是 JSON：在第 %d 字节后提前结束", len(p.s)),
			En: fmt.Sprintf("not JSON at byte %d: ends early", len(p.s)),
		}
	}
	return &profile.Problem{
		Zh: fmt.Sprintf("不是 JSON：第 %d 字节", p.i+1),
		En: fmt.Sprintf("not JSON at byte %d", p.i+1),
	}
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// take passes over c, and says whether it stood there.
func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// value reads one value into n. The pointer type of its result is never
// compared as an error interface, so a nil stays a nil.
func (p *parser) value(n *Node, depth int) *profile.Problem {
	if p.nodes++; p.nodes > MaxNodes {
		return &profile.Problem{
			Zh: fmt.Sprintf("超过 %d 个值的上限", MaxNodes),
			En: fmt.Sprintf("holds over %d values", MaxNodes),
		}
	}
	if p.i >= len(p.s) {
		return p.fault()
	}
	switch c := p.s[p.i]; {
	case c == '{' || c == '[':
		if depth >= MaxDepth {
			return &profile.Problem{
				Zh: fmt.Sprintf("第 %d 字节处嵌套超过 %d 层", p.i+1, MaxDepth),
				En: fmt.Sprintf("nested deeper than %d levels at byte %d", MaxDepth, p.i+1),
			}
		}
		if c == '{' {
			return p.object(n, depth+1)
		}
		return p.array(n, depth+1)
	case c == '"':
		n.Kind = String
		return p.text(&n.Text)
	case c == '-' || c >= '0' && c <= '9':
		return p.number(n)
	case c == 't':
		return p.word(n, Bool, "true")
	case c == 'f':
		return p.word(n, Bool, "false")
	case c == 'n':
		return p.word(n, Null, "null")
	}
	return p.fault()
}

func (p *parser) word(n *Node, kind Kind, word string) *profile.Problem {
	for i := range len(word) {
		if !p.take(word[i]) {
			return p.fault()
		}
	}
	n.Kind, n.Text = kind, word
	return nil
}

func (p *parser) array(n *Node, depth int) *profile.Problem {
	n.Kind = Array
	p.i++
	if p.space(); p.take(']') {
		return nil
	}
	for {
		n.Kids = append(n.Kids, Node{})
		p.space()
		if err := p.value(&n.Kids[len(n.Kids)-1], depth); err != nil {
			return within(err, fmt.Sprint(len(n.Kids)-1))
		}
		p.space()
		if p.take(']') {
			return nil
		}
		if !p.take(',') {
			return p.fault()
		}
	}
}

func (p *parser) object(n *Node, depth int) *profile.Problem {
	n.Kind = Object
	p.i++
	if p.space(); p.take('}') {
		return nil
	}
	for {
		n.Kids = append(n.Kids, Node{})
		kid := &n.Kids[len(n.Kids)-1]
		p.space()
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return p.fault()
		}
		if err := p.text(&kid.Name); err != nil {
			return err
		}
		if p.space(); !p.take(':') {
			return p.fault()
		}
		p.space()
		if err := p.value(kid, depth); err != nil {
			return within(err, kid.Name)
		}
		p.space()
		if p.take('}') {
			return sorted(n)
		}
		if !p.take(',') {
			return p.fault()
		}
	}
}

// sorted puts an object's members in the order of their names' bytes and
// refuses a name that stands twice: readers disagree about which one counts.
func sorted(n *Node) *profile.Problem {
	slices.SortFunc(n.Kids, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(n.Kids); i++ {
		if name := n.Kids[i].Name; name == n.Kids[i-1].Name {
			at := Pointer("", name)
			if !repeatable(name) {
				at = ""
			}
			return &profile.Problem{Path: at, Zh: "字段重复", En: "the field stands twice"}
		}
	}
	return nil
}

// within adds the step from an outer value to a problem that names a place.
func within(err *profile.Problem, token string) *profile.Problem {
	if err.Path != "" {
		err.Path = Pointer("", token) + err.Path
	}
	return err
}

// number reads a number by the grammar of RFC 8259 §6 and keeps it as written.
func (p *parser) number(n *Node) *profile.Problem {
	start := p.i
	p.take('-')
	if !p.take('0') && !p.digits() {
		return p.fault()
	}
	if p.take('.') && !p.digits() {
		return p.fault()
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return p.fault()
		}
	}
	n.Kind, n.Text = Number, p.s[start:p.i]
	return nil
}

func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

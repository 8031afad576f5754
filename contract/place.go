package contract

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common"
	"gopkg.in/yaml.v3"
)

// PlaceError is what is wrong at one place of a bundle.
type PlaceError struct {
	What   string // the part, such as "rule RX-DAYS-01"; empty for the bundle
	Line   int    // in the YAML, from 1; 0 when the bundle was not read from YAML
	Column int    // in code points, from 1; 0 when it is not known
	Err    error
}

func (e *PlaceError) Error() string {
	text := e.Err.Error()
	switch {
	case e.Column > 0:
		text = fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, text)
	case e.Line > 0:
		text = fmt.Sprintf("line %d: %s", e.Line, text)
	}
	if e.What != "" {
		text = e.What + ": " + text
	}
	return text
}

func (e *PlaceError) Unwrap() error { return e.Err }

// within puts an error from a part's inside under the part's name.
func within(what string, err error) error {
	if p, ok := err.(*PlaceError); ok && p.What == "" {
		return &PlaceError{What: what, Line: p.Line, Column: p.Column, Err: p.Err}
	}
	return &PlaceError{What: what, Err: err}
}

func wrongNode(n *yaml.Node, format string, args ...any) error {
	return &PlaceError{Line: n.Line, Column: n.Column, Err: fmt.Errorf(format, args...)}
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

// wrongYAML places an error of the YAML library, which knows the line alone.
func wrongYAML(err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil { // it leaves the first line out
		return &PlaceError{Line: 1, Err: err}
	}
	line, _ := strconv.Atoi(m[1]) // digits
	return &PlaceError{Line: line, Err: fmt.Errorf("yaml: %s", m[2])}
}

// places says where the keys of a part stand; "" is the part itself.
type places map[string]*yaml.Node

// wrong places an error at a key, at the part when it lacks the key, and
// nowhere when the part was not read from YAML.
func (p places) wrong(key string, err error) error {
	n := p[key]
	if n == nil {
		n = p[""]
	}
	if n == nil {
		return err
	}
	return &PlaceError{Line: n.Line, Column: n.Column, Err: err}
}

// offsetOf counts the code points of an expression before a place in it.
func offsetOf(expression string, at common.Location) int {
	offset := 0
	for n, line := range strings.SplitAfter(expression, "\n") {
		if n+1 >= at.Line() {
			return offset + max(at.Column(), 0)
		}
		offset += len([]rune(line))
	}
	return offset
}

var (
	containerNote = regexp.MustCompile(` \(in container '[^']*'\)`)
	lineBreaks    = regexp.MustCompile(`\s*\n\s*`)
)

// plainWords makes one line of CEL's message and drops what says nothing here.
func plainWords(message string) string {
	return lineBreaks.ReplaceAllString(containerNote.ReplaceAllString(message, ""), " ")
}

// placeIn finds the line and column in the YAML text of what stands offset code
// points after the beginning of the scalar's value. It walks value and text side
// by side, and so knows quotes, escapes, folded lines and indentation.
func placeIn(n *yaml.Node, lines []string, offset int) (line, column int) {
	w := &scalarWalk{lines: lines, line: n.Line - 1, column: n.Column - 1, style: n.Style}
	if n.Line < 1 || n.Line > len(lines) {
		return n.Line, n.Column
	}
	w.enter()
	for i, r := range []rune(n.Value) {
		if i == offset {
			break
		}
		w.pass(r)
	}
	w.skipBreaks()
	return w.line + 1, w.column + 1
}

// scalarWalk is a place in the YAML text, both from 0.
type scalarWalk struct {
	lines        []string
	line, column int
	style        yaml.Style
	indent       int // of a block scalar
}

func (w *scalarWalk) block() bool { return w.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 }

func (w *scalarWalk) text() []rune {
	if w.line >= len(w.lines) {
		return nil
	}
	return []rune(w.lines[w.line])
}

// enter goes to the first character of the value.
func (w *scalarWalk) enter() {
	switch {
	case w.block():
		w.line++
		for _, line := range w.lines[min(w.line, len(w.lines)):] {
			if strings.TrimSpace(line) != "" {
				w.indent = len(line) - len(strings.TrimLeft(line, " "))
				break
			}
		}
		w.column = w.indent
	case w.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.column++
	}
}

// pass goes over what the value's next character is written as.
func (w *scalarWalk) pass(r rune) {
	t := w.text()
	if w.column >= len(t) {
		w.nextLine() // a line break, kept or folded to a space
		return
	}
	switch c := t[w.column]; {
	case c == '\'' && w.style&yaml.SingleQuotedStyle != 0:
		w.column += 2
	case c == '\\' && w.style&yaml.DoubleQuotedStyle != 0:
		w.column += escapeLength(t[w.column:])
	case r == ' ' && !w.block() && strings.TrimSpace(string(t[w.column:])) == "":
		w.nextLine() // blanks before a folded break
	default:
		w.column++
	}
}

func (w *scalarWalk) nextLine() {
	w.line++
	w.column = w.indent
	if w.block() {
		return
	}
	t := w.text()
	for w.column = 0; w.column < len(t) && (t[w.column] == ' ' || t[w.column] == '\t'); w.column++ {
	}
}

// skipBreaks leaves the end of a line for the next one's beginning, where
// something follows.
func (w *scalarWalk) skipBreaks() {
	for w.column >= len(w.text()) && w.line+1 < len(w.lines) && w.block() {
		w.nextLine()
	}
}

// escapeLength is how many characters a double-quoted escape takes.
func escapeLength(t []rune) int {
	if len(t) < 2 {
		return 1
	}
	switch t[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

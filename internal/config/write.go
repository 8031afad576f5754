package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// width of comments, in columns.
const width = 100

// Write writes c, a pointer to a struct, as a complete file in which every key is
// explained, in Chinese or English. What is written decodes to c again.
func Write(w io.Writer, c any, zh bool) error {
	p := printer{zh: zh}
	p.section(reflect.ValueOf(c).Elem(), "")
	_, err := io.WriteString(w, p.out.String())
	return err
}

type printer struct {
	out   strings.Builder
	zh    bool
	entry bool // of a list: without empty lines
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

// section writes a struct's keys, with an empty line between those of the file
// itself.
func (p *printer) section(v reflect.Value, indent string) {
	for i, f := range fieldsOf(v.Type()) {
		if i > 0 && indent == "" && !p.entry {
			p.line("")
		}
		p.explain(f, indent)
		p.key(f, v.Field(f.index), indent)
	}
}

func (p *printer) explain(f field, indent string) {
	doc := f.en
	if p.zh {
		doc = f.zh
	}
	var more []string
	if a := f.allowed(); a != "" {
		more = append(more, a)
	}
	if f.required {
		more = append(more, p.of("required", "必填"))
	}
	if f.example != "" {
		more = append(more, p.of("such as ", "例如 ")+f.example)
	}
	if len(more) > 0 {
		doc += p.of(" (", "（") + strings.Join(more, "; ") + p.of(")", "）")
	}
	head := indent + "# "
	for _, l := range wrap(doc, width-len(head)) {
		p.line("%s%s", head, l)
	}
}

func (p *printer) of(en, zh string) string {
	if p.zh {
		return zh
	}
	return en
}

func (p *printer) key(f field, v reflect.Value, indent string) {
	head := indent + f.key + ":"
	switch f.kind {
	case kindSection:
		p.line("%s", head)
		p.section(v, indent+"  ")
	case kindStrings:
		p.line("%s %s", head, flowList(v))
	case kindSections:
		p.entries(v, head, indent)
	default:
		p.line("%s %s", head, scalar(v, f.kind))
	}
}

// entries writes a list of sections, explained in its first; an empty one shows
// in a comment what an entry holds.
func (p *printer) entries(v reflect.Value, head, indent string) {
	if v.Len() == 0 {
		p.line("%s []", head)
		p.line("%s", indent+"# "+p.of("An entry holds:", "每一项包含："))
		for l := range strings.Lines(p.inner(reflect.New(v.Type().Elem()).Elem())) {
			p.out.WriteString(indent + "#     " + l)
		}
		return
	}
	p.line("%s", head)
	for i := range v.Len() {
		bullet := "  - "
		for l := range strings.Lines(p.inner(v.Index(i))) {
			if i > 0 && strings.HasPrefix(strings.TrimSpace(l), "#") {
				continue
			}
			if bullet == "  - " && strings.HasPrefix(l, "#") {
				p.out.WriteString(indent + "    " + l)
				continue
			}
			p.out.WriteString(indent + bullet + l)
			bullet = "    "
		}
	}
}

// inner is an entry of a list by itself.
func (p *printer) inner(v reflect.Value) string {
	e := printer{zh: p.zh, entry: true}
	e.section(v, "")
	return e.out.String()
}

func flowList(v reflect.Value) string {
	var all []string
	for i := range v.Len() {
		all = append(all, quoted(v.Index(i).String()))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func scalar(v reflect.Value, k kind) string {
	if k == kindString {
		return quoted(v.String())
	}
	return text(v, k)
}

// quoted puts text in quotes where YAML could take it for something else.
func quoted(s string) string {
	plain := s != "" && unicode.IsLetter(rune(s[0])) && s != "true" && s != "false" && s != "null" &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./", r)
		})
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	return strconv.QuoteToGraphic(s)
}

// wrap breaks text into lines of so many columns: at spaces, and between
// characters of full width, which need none.
func wrap(s string, columns int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range pieces(s) {
		n := 0
		for _, r := range word {
			n += columnsOf(r)
		}
		if used > 0 && used+n > columns && !unicode.IsPunct([]rune(word)[0]) {
			lines = append(lines, strings.TrimRight(line, " "))
			line, used = "", 0
			if word = strings.TrimLeft(word, " "); word == "" {
				continue
			}
		}
		line += word
		used += n
	}
	return append(lines, strings.TrimRight(line, " "))
}

// pieces are what may begin a line: words with the space before them, and wide
// characters.
func pieces(s string) []string {
	var out []string
	fresh := true
	for _, r := range s {
		wide := columnsOf(r) == 2
		if fresh || wide || r == ' ' && !strings.HasSuffix(out[len(out)-1], " ") {
			out = append(out, "")
		}
		out[len(out)-1] += string(r)
		fresh = wide
	}
	return out
}

func columnsOf(r rune) int {
	if r >= 0x2E80 {
		return 2
	}
	return 1
}

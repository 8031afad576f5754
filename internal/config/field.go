package config

import (
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox.dev/signalbox/flow"
)

// Size is a number of bytes, as text: "512B", "64KiB", "16MiB" or "1GiB".
type Size int64

// units of sizes, the largest first.
var units = [...]struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String writes the size in the largest unit that leaves no rest.
func (s Size) String() string {
	for _, u := range units {
		if int64(s)%u.bytes == 0 && s != 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

func parseSize(text string) (Size, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		return Size(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%.40q is no size: write a whole number and its unit, such as 512KiB, 64MiB or 1GiB", text)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
)

// field is one key of a struct.
type field struct {
	index    int
	key      string
	kind     kind
	required bool
	enum     []string
	form     string
	min, max string
	en, zh   string
	example  string
}

// kind is what a key holds.
type kind string

const (
	kindString   kind = "string"
	kindBool     kind = "bool"
	kindInt      kind = "int"
	kindDuration kind = "duration"
	kindSize     kind = "size"
	kindStrings  kind = "list of strings"
	kindSection  kind = "section"
	kindSections kind = "list of sections"
)

// kindOf panics on a type that configurations do not have: that is a mistake in
// the program, which its first test finds.
func kindOf(t reflect.Type) kind {
	switch {
	case t == durationType:
		return kindDuration
	case t == sizeType:
		return kindSize
	case t.Kind() == reflect.String:
		return kindString
	case t.Kind() == reflect.Bool:
		return kindBool
	case t.Kind() == reflect.Int:
		return kindInt
	case t.Kind() == reflect.Struct:
		return kindSection
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return kindStrings
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return kindSections
	}
	panic("config: a configuration has no " + t.String())
}

// fieldsOf lists the keys of a struct in their order. Fields without a yaml tag
// are none.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("yaml")
		if key == "" {
			continue
		}
		f := field{
			index: i, key: key, kind: kindOf(t.Field(i).Type), required: tag.Get("required") == "true",
			form: tag.Get("form"), min: tag.Get("min"), max: tag.Get("max"),
			en: tag.Get("doc"), zh: tag.Get("zh"), example: tag.Get("example"),
		}
		if e := tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		out = append(out, f)
	}
	return out
}

// parse reads a scalar's text into v.
func (f field) parse(text string, v reflect.Value) error {
	switch f.kind {
	case kindString:
		v.SetString(text)
	case kindBool:
		v.SetBool(text == "true")
	case kindInt:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%.40q is no whole number that fits", text)
		}
		v.SetInt(int64(n))
	case kindDuration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%.40q is no duration: write a number and its unit, such as 500ms, 30s or 1h30m", text)
		}
		v.SetInt(int64(d))
	case kindSize:
		s, err := parseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(s))
	}
	return f.check(v)
}

// check holds a value against the field's bounds.
func (f field) check(v reflect.Value) error {
	if f.kind == kindString {
		return f.checkText(v.String())
	}
	for _, b := range []struct {
		text, word string
		outside    func(bound int64) bool
	}{
		{f.min, "at least", func(b int64) bool { return v.Int() < b }},
		{f.max, "at most", func(b int64) bool { return v.Int() > b }},
	} {
		if b.text == "" {
			continue
		}
		bound := reflect.New(v.Type()).Elem()
		if err := (field{kind: f.kind}).parse(b.text, bound); err != nil {
			panic("config: bound of " + f.key + ": " + err.Error())
		}
		if b.outside(bound.Int()) {
			return fmt.Errorf("%s is out of bounds: want %s %s", text(v, f.kind), b.word, b.text)
		}
	}
	return nil
}

func (f field) checkText(s string) error {
	if len(f.enum) > 0 && !slices.Contains(f.enum, s) {
		return fmt.Errorf("%.40q is none of %s", s, strings.Join(f.enum, ", "))
	}
	if s == "" {
		return nil // whether it may be is the field's required
	}
	switch f.form {
	case "host:port":
		if _, port, err := net.SplitHostPort(s); err != nil || !isPort(port) {
			return fmt.Errorf("%.80q is no address: write host:port, such as 127.0.0.1:4222", s)
		}
	case "name":
		return flow.CheckName("it", s)
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// text is a scalar as a file has it.
func text(v reflect.Value, k kind) string {
	switch k {
	case kindDuration:
		return shortDuration(time.Duration(v.Int()))
	case kindSize:
		return Size(v.Int()).String()
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	}
	return v.String()
}

// shortDuration leaves out units that are zero at the end: 10m, not 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

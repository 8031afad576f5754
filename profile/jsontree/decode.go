package jsontree

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"signalbox.dev/signalbox/profile"
)

// Mode says what Decode does with members that no field is for, and with null.
type Mode bool

// The modes.
const (
	// Strict refuses both: the form is ours.
	Strict Mode = true
	// Lenient passes over both: the form is a standard's, of which we read a part.
	Lenient Mode = false
)

// Value is a type that reads itself from a string or number. It returns what
// was expected, in both languages, when the value does not fit.
type Value interface {
	SetJSON(kind Kind, text string) (zh, en string)
}

// maxProblems bounds what one hostile document can make us say.
const maxProblems = 50

// maxToken is the longest member name that a pointer repeats, in bytes.
const maxToken = 64

// Decode fills v, a pointer to a struct, from n, by the json tags of its
// fields: strings, bools, int64s, structs, pointers, slices, *Node (kept as it
// is), Value and encoding.TextUnmarshaler. at is n's place in its document.
// It goes on after a problem, so that all are reported at once (at most 50).
func Decode(n *Node, at string, v any, mode Mode) []*profile.Problem {
	d := decoder{mode: mode}
	d.value(n, &place{token: at}, reflect.ValueOf(v).Elem())
	return d.problems
}

type decoder struct {
	mode     Mode
	problems []*profile.Problem
}

// place is where in the document the decoder is; it becomes a pointer only
// when there is something to say.
type place struct {
	up    *place
	token string // the root's token is a whole pointer
	index int    // used when token is empty and up is not nil
}

func (p *place) pointer() string {
	switch {
	case p.up == nil:
		return p.token
	case p.token == "":
		return Index(p.up.pointer(), p.index)
	default:
		return Pointer(p.up.pointer(), p.token)
	}
}

func (d *decoder) problem(at *place, zh, en string) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, &profile.Problem{Path: at.pointer(), Zh: zh, En: en})
	}
}

func (d *decoder) value(n *Node, at *place, v reflect.Value) {
	if v.Type() == reflect.TypeFor[*Node]() {
		v.Set(reflect.ValueOf(n))
		return
	}
	if n.Kind == Null {
		if d.mode == Strict {
			d.problem(at, "不能为 null，无值时请省略该字段", "must not be null: leave the field out")
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, at, v.Elem())
		return
	}
	switch t := v.Addr().Interface().(type) {
	case Value:
		if zh, en := t.SetJSON(n.Kind, n.Text); en != "" {
			d.problem(at, zh, en)
		}
		return
	case encoding.TextUnmarshaler:
		d.text(n, at, t)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, at, v)
	case reflect.Slice:
		d.array(n, at, v)
	case reflect.String:
		if d.kind(n, at, String) {
			v.SetString(n.Text)
		}
	case reflect.Bool:
		if d.kind(n, at, Bool) {
			v.SetBool(n.Text == "true")
		}
	case reflect.Int64:
		if d.kind(n, at, Number) {
			i, err := strconv.ParseInt(n.Text, 10, 64)
			if err != nil {
				d.problem(at, "应为整数", "want a whole number")
			}
			v.SetInt(i)
		}
	default:
		// A struct of ours with a field that no rule is for: the first test finds it.
		panic(fmt.Sprintf("jsontree: no rule for a field of type %s", v.Type()))
	}
}

func (d *decoder) text(n *Node, at *place, t encoding.TextUnmarshaler) {
	if !d.kind(n, at, String) {
		return
	}
	// The error may repeat the value, so it is not passed on.
	if err := t.UnmarshalText([]byte(n.Text)); err != nil {
		if _, isTime := t.(*time.Time); isTime {
			d.problem(at, "应为 RFC 3339 时间", "want a time by RFC 3339")
			return
		}
		d.problem(at, "格式不符", "does not have the form that belongs here")
	}
}

// kind says whether n is what is wanted, and reports it when not.
func (d *decoder) kind(n *Node, at *place, want Kind) bool {
	if n.Kind == want {
		return true
	}
	names := [...]struct{ zh, en string }{
		Null: {"null", "null"}, Bool: {"布尔值", "true or false"}, Number: {"数字", "a number"},
		String: {"字符串", "a string"}, Array: {"数组", "an array"}, Object: {"对象", "an object"},
	}
	d.problem(at, "应为"+names[want].zh, "want "+names[want].en)
	return false
}

func (d *decoder) array(n *Node, at *place, v reflect.Value) {
	if !d.kind(n, at, Array) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Kids), len(n.Kids)))
	for i := range n.Kids {
		d.value(&n.Kids[i], &place{up: at, index: i}, v.Index(i))
	}
}

func (d *decoder) object(n *Node, at *place, v reflect.Value) {
	if !d.kind(n, at, Object) {
		return
	}
	known := 0
	for i := range v.NumField() {
		name := fieldName(v.Type().Field(i))
		if name == "" {
			continue
		}
		if kid := n.Get(name); kid != nil {
			known++
			d.value(kid, &place{up: at, token: name}, v.Field(i))
		}
	}
	if d.mode == Strict && known < len(n.Kids) {
		d.unknown(n, at, v.Type())
	}
}

// unknown reports the members that no field is for. An absurd name is not
// repeated: the pointer then names the object.
func (d *decoder) unknown(n *Node, at *place, t reflect.Type) {
	names := make(map[string]bool, t.NumField())
	for i := range t.NumField() {
		names[fieldName(t.Field(i))] = true
	}
	for i := range n.Kids {
		name := n.Kids[i].Name
		switch {
		case name != "" && names[name]:
		case !repeatable(name):
			d.problem(at, "含有不认识的字段", "holds a field that is not known")
		default:
			d.problem(&place{up: at, token: name}, "不认识的字段", "is not a known field")
		}
	}
}

// repeatable says whether a member's name may stand in a pointer.
func repeatable(name string) bool {
	return name != "" && len(name) <= maxToken && !strings.ContainsFunc(name, unprintable)
}

func unprintable(r rune) bool { return r < 0x20 || r == 0x7f || r == utf8.RuneError }

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

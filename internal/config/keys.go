package config

import (
	"reflect"
	"strings"
)

// Key documents one key.
type Key struct {
	Key      string `json:"key"`               // with what it stands in: "nodes[].address"
	Kind     string `json:"kind"`              // "string", "duration", "section", …
	Default  string `json:"default"`           // as a file has it
	Required bool   `json:"required"`          // it must be given
	Allowed  string `json:"allowed,omitempty"` // what values are allowed, where that is bounded
	En       string `json:"en"`
	Zh       string `json:"zh"`
}

// Keys lists every key of c, a pointer to a struct that holds the defaults, in
// the order of a file.
func Keys(c any) []Key { return keys(reflect.ValueOf(c).Elem(), "") }

func keys(v reflect.Value, prefix string) []Key {
	var out []Key
	for _, f := range fieldsOf(v.Type()) {
		at, path := v.Field(f.index), join(prefix, f.key)
		k := Key{Key: path, Kind: string(f.kind), Required: f.required, Allowed: f.allowed(), En: f.en, Zh: f.zh}
		switch f.kind {
		case kindSection:
			out = append(append(out, k), keys(at, path)...)
		case kindSections:
			k.Default = "[]"
			out = append(append(out, k), keys(reflect.New(at.Type().Elem()).Elem(), path+"[]")...)
		case kindStrings:
			k.Default = flowList(at)
			out = append(out, k)
		default:
			if !f.required {
				k.Default = scalar(at, f.kind)
			}
			out = append(out, k)
		}
	}
	return out
}

// allowed says what values are, in words of no language.
func (f field) allowed() string {
	var all []string
	if len(f.enum) > 0 {
		all = append(all, strings.Join(f.enum, " | "))
	}
	if f.form == "host:port" {
		all = append(all, f.form)
	}
	if f.min != "" {
		all = append(all, "≥ "+f.min)
	}
	if f.max != "" {
		all = append(all, "≤ "+f.max)
	}
	return strings.Join(all, ", ")
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// KeyError says what is wrong with a key. A configuration's Validate gives it,
// and Decode adds where the key stands.
type KeyError struct {
	Key     string // as in "nodes[0].address"
	Problem string // what is wrong, and what is allowed
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Problem }

// Bad makes a KeyError.
func Bad(key, format string, args ...any) error {
	return &KeyError{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// Load reads a configuration file into c, a pointer to a struct that holds the
// defaults. Paths in it become relative to the file's folder. Errors name file,
// line, column and key.
func Load(file string, c any) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	if err := Decode(file, data, c); err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	anchor(reflect.ValueOf(c).Elem(), dir)
	return nil
}

// Decode reads data into c, a pointer to a struct that holds the defaults, and
// has c validate itself. name is what errors call the file. Paths stay as written.
func Decode(name string, data []byte, c any) error {
	d := decoder{name: name, places: map[string]*yaml.Node{}}
	if err := d.decode(data, reflect.ValueOf(c).Elem()); err != nil {
		return err
	}
	v, ok := c.(interface{ Validate() error })
	if !ok {
		return nil
	}
	err := v.Validate()
	var k *KeyError
	if errors.As(err, &k) {
		return d.bad(d.nearest(k.Key), k.Key, "%s", k.Problem)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// decoder walks a document and a struct side by side.
type decoder struct {
	name   string
	places map[string]*yaml.Node // of each key that was given
}

// bad is an error at a node; nil is the whole file.
func (d *decoder) bad(at *yaml.Node, key, format string, args ...any) error {
	place := d.name
	if at != nil {
		place = fmt.Sprintf("%s:%d:%d", d.name, at.Line, at.Column)
	}
	if key != "" {
		place += ": " + key
	}
	return fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...))
}

// nearest is where the key stands, or else what is around it.
func (d *decoder) nearest(key string) *yaml.Node {
	for key != "" {
		if n := d.places[key]; n != nil {
			return n
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return nil
}

func (d *decoder) decode(data []byte, v reflect.Value) error {
	if len(data) > maxFile {
		return d.bad(nil, "", "over %d bytes, which no configuration is", maxFile)
	}
	all := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := all.Decode(&document); {
	case errors.Is(err, io.EOF):
		return d.section(nil, "", v)
	case err != nil:
		return d.bad(nil, "", "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := all.Decode(&second); !errors.Is(err, io.EOF) {
		return d.bad(nil, "", "more than one document: leave out what follows the line ---")
	}
	return d.section(document.Content[0], "", v)
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// section reads a mapping into a struct; nil is an empty one.
func (d *decoder) section(n *yaml.Node, prefix string, v reflect.Value) error {
	fields := fieldsOf(v.Type())
	if n != nil {
		if n.Kind != yaml.MappingNode {
			return d.bad(n, prefix, "want keys and values, such as %s: …", fields[0].key)
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := d.entry(n.Content[i], n.Content[i+1], prefix, fields, v); err != nil {
				return err
			}
		}
	}
	for _, f := range fields {
		if f.required && v.Field(f.index).IsZero() {
			return d.bad(n, join(prefix, f.key), "missing: %s", f.en)
		}
	}
	return nil
}

func (d *decoder) entry(key, value *yaml.Node, prefix string, fields []field, v reflect.Value) error {
	if key.Kind != yaml.ScalarNode {
		return d.bad(key, prefix, "a key is a plain word")
	}
	path := join(prefix, key.Value)
	for _, f := range fields {
		if f.key != key.Value {
			continue
		}
		if d.places[path] != nil {
			return d.bad(key, path, "given twice; it stands in line %d already", d.places[path].Line)
		}
		d.places[path] = key
		return d.value(f, value, path, v.Field(f.index))
	}
	return d.bad(key, path, "unknown key; known here are %s", strings.Join(names(fields), ", "))
}

func names(fields []field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.key)
	}
	return out
}

// tags that a scalar of each kind may have.
func tagsOf(k kind) string {
	switch k {
	case kindBool:
		return "!!bool"
	case kindInt:
		return "!!int"
	}
	return "!!str"
}

func (d *decoder) value(f field, n *yaml.Node, path string, v reflect.Value) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return d.bad(n, path, "anchors and aliases are not taken: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		return d.bad(n, path, "tags are not taken: write the value alone")
	case n.ShortTag() == "!!null":
		return d.bad(n, path, "has no value: give one, or leave the line out")
	}
	switch f.kind {
	case kindSection:
		return d.section(n, path, v)
	case kindSections, kindStrings:
		return d.list(f, n, path, v)
	}
	if n.Kind != yaml.ScalarNode {
		return d.bad(n, path, "want one %s", f.kind)
	}
	if n.ShortTag() != tagsOf(f.kind) {
		if f.kind == kindString {
			return d.bad(n, path, "want text: put %s in quotes", n.Value)
		}
		return d.bad(n, path, "%.40q is no %s", n.Value, f.kind)
	}
	if err := f.parse(n.Value, v); err != nil {
		return d.bad(n, path, "%s", err)
	}
	return nil
}

// list reads a sequence. What is given replaces the default.
func (d *decoder) list(f field, n *yaml.Node, path string, v reflect.Value) error {
	if n.Kind != yaml.SequenceNode {
		return d.bad(n, path, "want a list, such as [a, b], or lines that begin with -")
	}
	element := field{key: f.key, kind: kindOf(v.Type().Elem()), enum: f.enum, form: f.form}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = c
		if err := d.value(element, c, at, out.Index(i)); err != nil {
			return err
		}
		if element.kind == kindString && out.Index(i).String() == "" {
			return d.bad(c, at, "is empty")
		}
	}
	v.Set(out)
	return nil
}

// anchor makes paths relative to dir.
func anchor(v reflect.Value, dir string) {
	fix := func(p reflect.Value) {
		if s := p.String(); s != "" && !filepath.IsAbs(s) {
			p.SetString(filepath.Join(dir, s))
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		at := v.Field(f.index)
		switch {
		case f.kind == kindSection:
			anchor(at, dir)
		case f.kind == kindSections:
			for i := range at.Len() {
				anchor(at.Index(i), dir)
			}
		case f.form == "path" && f.kind == kindString:
			fix(at)
		case f.form == "path":
			for i := range at.Len() {
				fix(at.Index(i))
			}
		}
	}
}

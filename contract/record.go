package contract

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// record is a Facts or ItemFacts as expressions see it, for one evaluation. It
// turns each field into a value of CEL when it is first read and keeps it: with
// CEL's own reflection every rule would do so anew, at half of the time of all.
// Which fields there are and of which types is still read from the structs.
type record struct {
	kind   *cel.Type
	value  reflect.Value // of the struct
	fields []ref.Val     // by index of the struct's field; nil: not read yet
}

func newRecord(kind *cel.Type, value reflect.Value) *record {
	return &record{kind: kind, value: value, fields: make([]ref.Val, value.NumField())}
}

// factRecord is the record of facts.
func (r *Rules) factRecord(f *Facts) *record {
	return newRecord(r.factsType, reflect.ValueOf(f).Elem())
}

func (r *Rules) itemRecords(items []ItemFacts) ref.Val {
	all := make([]ref.Val, len(items))
	for i := range items {
		all[i] = newRecord(r.itemType, reflect.ValueOf(&items[i]).Elem())
	}
	return types.NewRefValList(r.adapter, all)
}

// field gives a field of the record by the struct's index.
func (r *Rules) field(rec *record, index int) ref.Val {
	if v := rec.fields[index]; v != nil {
		return v
	}
	var v ref.Val
	switch f := rec.value.Field(index); f.Kind() {
	case reflect.String:
		v = types.String(f.String())
	case reflect.Int64:
		v = types.Int(f.Int())
	case reflect.Bool:
		v = types.Bool(f.Bool())
	default:
		switch list := f.Interface().(type) {
		case []string:
			v = types.NewStringList(r.adapter, list)
		case []ItemFacts:
			v = r.itemRecords(list)
		default:
			v = types.NewErr("field %d has no value in expressions", index)
		}
	}
	rec.fields[index] = v
	return v
}

// isSet says whether a field is other than its zero value; an empty list is not set.
func (rec *record) isSet(index int) bool {
	f := rec.value.Field(index)
	if f.Kind() == reflect.Slice {
		return f.Len() > 0
	}
	return !f.IsZero()
}

// ConvertToNative implements ref.Val.
func (rec *record) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s does not convert to %s", rec.kind, t)
}

// ConvertToType implements ref.Val.
func (rec *record) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("%s does not convert to %s", rec.kind, t.TypeName())
}

// Equal implements ref.Val. Admission refuses to compare records; this only
// keeps the answer the same everywhere.
func (rec *record) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(rec)) }

// Type implements ref.Val.
func (rec *record) Type() ref.Type { return rec.kind }

// Value implements ref.Val; it is what the getters of factFields are given.
func (rec *record) Value() any { return rec }

// factFields gives the fields of facts from records, and passes on all else.
type factFields struct {
	types.Provider
	rules *Rules
}

// FindStructFieldType implements types.Provider.
func (p factFields) FindStructFieldType(kind, name string) (*types.FieldType, bool) {
	field, ok := p.Provider.FindStructFieldType(kind, name)
	index := -1
	switch kind {
	case factsType:
		index = fieldIndex(reflect.TypeFor[Facts](), name)
	case itemType:
		index = fieldIndex(reflect.TypeFor[ItemFacts](), name)
	}
	if !ok || index < 0 {
		return field, ok
	}
	return &types.FieldType{
		Type: field.Type,
		IsSet: func(target any) bool {
			rec, ok := target.(*record)
			return ok && rec.isSet(index)
		},
		GetFrom: func(target any) (any, error) {
			rec, ok := target.(*record)
			if !ok {
				return nil, fmt.Errorf("no such field: %s", name)
			}
			return p.rules.field(rec, index), nil
		},
	}, true
}

// fieldIndex finds a field by its name in expressions; -1 for none.
func fieldIndex(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if n := factName(t.Field(i)); n == name && n != "-" {
			return i
		}
	}
	return -1
}

package prescription_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"signalbox.dev/signalbox/profile/prescription"
)

// The table of names in the national e-prescription interface is made from the
// struct's tags, so that it can't say anything else than the code.
func TestNationalNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Names in the national e-prescription interface

Made from the nhsa tags in form.go by ` + "`go test ./profile/prescription -update`" + `.
The left side is a place in the canonical form (a JSON pointer, with * for every
element of a list), the right side the name in the national health insurance
platform's interface. Fields without a line have no counterpart there. Values are
converted by whoever speaks that interface: it writes gender and kinds of id as
codes, and times where we have days.

| canonical form | national name |
|---|---|
`)
	tagged(&b, "", reflect.TypeFor[prescription.Prescription]())
	for _, name := range []string{"hosp_rxno", "hi_rxno", "rx_trace_code", "med_list_codg", "drug_cnt"} {
		if !strings.Contains(b.String(), "`"+name+"`") {
			t.Errorf("no field is tagged %s", name)
		}
	}
	golden(t, "../national.md", []byte(b.String()))
}

func tagged(b *strings.Builder, at string, typ reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := at + "/" + name
		if national := f.Tag.Get("nhsa"); national != "" {
			fmt.Fprintf(b, "| `%s` | `%s` |\n", path, national)
		}
		switch {
		case f.Type.Kind() == reflect.Struct:
			tagged(b, path, f.Type)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			tagged(b, path+"/*", f.Type.Elem())
		}
	}
}

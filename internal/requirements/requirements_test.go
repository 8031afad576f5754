package requirements

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	repository = "../.."
	document   = repository + "/docs/requirements.md"
)

var update = flag.Bool("update", false, "write docs/requirements.md")

// TestDocument holds table, tests and document together.
func TestDocument(t *testing.T) {
	citations, err := Citations(os.DirFS(repository))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range Check(Sections(), citations) {
		t.Error(err)
	}
	want := Document(Sections(), citations)
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("docs/requirements.md is stale: go test ./internal/requirements -update\nmissing in it:\n%s\nno longer so:\n%s",
			beside(want, got), beside(got, want))
	}
}

// beside gives the lines of a that b doesn't have.
func beside(a, b []byte) string {
	known := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		known[line] = true
	}
	var only strings.Builder
	for line := range strings.Lines(string(a)) {
		if !known[line] {
			only.WriteString(line)
		}
	}
	return only.String()
}

func TestTableIsWhole(t *testing.T) {
	parts := map[string]int{}
	var ids []string
	for _, s := range Sections() {
		parts[s.ID] = len(s.Rows)
		for _, r := range s.Rows {
			ids = append(ids, r.ID)
		}
	}
	want := map[string]int{"R1": 7, "R2": 7, "R3": 4, "R4": 6, "R5": 1, "R6": 4, "R7": 3, "R8": 4, "R9": 6, "R10": 4}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("rows by section (-want +got)\n%s", diff)
	}
	if !slices.IsSortedFunc(ids, compareRows) {
		t.Errorf("rows are out of order: %v", ids)
	}
}

func TestCheckFinds(t *testing.T) {
	row := Row{ID: "R1.1", State: Done}
	cited := Citation{Row: "R1.1", Test: "flow.TestToken"}
	cases := []struct {
		name      string
		rows      []Row
		citations []Citation
		want      string // "" is nothing
	}{
		{"all in order", []Row{row, {ID: "R1.2", State: Open}}, []Citation{cited}, ""},
		{"done without a test", []Row{row}, nil, "no test cites it"},
		{"partial needs no test", []Row{{ID: "R1.1", State: Partial}}, nil, ""},
		{"citation of an unknown row", []Row{row}, []Citation{cited, {Row: "R1.9", Test: "flow.TestToken"}}, "R1.9, which is no row"},
		{"row twice", []Row{row, row}, []Citation{cited}, "twice"},
		{"row in another section", []Row{row, {ID: "R11.1", State: Open}}, []Citation{cited}, "stands in section R1"},
		{"no state", []Row{{ID: "R1.1"}}, nil, "not open, partial or done"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wrong := Check([]Section{{ID: "R1", Rows: c.rows}}, c.citations)
			switch {
			case c.want == "" && len(wrong) > 0:
				t.Errorf("found %v", wrong)
			case c.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0].Error(), c.want)):
				t.Errorf("found %v, want one error with %q", wrong, c.want)
			}
		})
	}
}

func TestCitations(t *testing.T) {
	const test = `// Package one: R1.1 in a package comment.
package one

// TestA shows R2.3 and R3.3; R2.3 again.
func TestA(t *testing.T) {
	// R10.2
	t.Run("R4.2: a name", nil)
}

// R5
func FuzzB(f *testing.F) {}

var table = []string{"R6.1"}

// Not citations: FHIR R4, FHIR R5, HL7 R5, R4.0.1, R4, AR2.3, R123.4.
func TestC(t *testing.T) {}
`
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const one = "package p\n\n// R1.2\nfunc F() {}\n"
	found, err := Citations(fstest.MapFS{
		"one/one_test.go":                      file(test),
		"one/one.go":                           file(one),
		"ledger/ledgertest/suite.go":           file(one),
		"test/main.go":                         file(one),
		"contract/testdata/scenarios/list.txt": file("# R3.2\ngiven R3.2\n"),
		"contract/testdata/other.txt":          file("R3.1"),
		".git/x_test.go":                       file(one),
		"web/node_modules/x/x_test.go":         file(one),
		"internal/requirements/x_test.go":      file("package p\n// R99.9\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Citation{
		{"R1.1", "one/one_test.go"},
		{"R1.2", "ledger/ledgertest.F"},
		{"R2.3", "one.TestA"},
		{"R3.2", "contract/testdata/scenarios/list.txt"},
		{"R3.3", "one.TestA"},
		{"R4.2", "one.TestA"},
		{"R5", "one.FuzzB"},
		{"R6.1", "one/one_test.go"},
		{"R10.2", "one.TestA"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("citations (-want +got)\n%s", diff)
	}
	if _, err := Citations(fstest.MapFS{"a_test.go": file("package")}); err == nil {
		t.Error("a file that is not Go passes")
	}
}

func TestDocumentKeepsItsTable(t *testing.T) {
	sections := []Section{{ID: "R1", Title: "Title", Rows: []Row{{ID: "R1.1", State: Partial, Text: "a | b\nc", Note: "for d"}}}}
	got := string(Document(sections, []Citation{{"R1.1", "p.TestB"}, {"R1.1", "p.TestA"}, {"R1.1", "p.TestA"}}))
	for _, want := range []string{
		"0 done, 1 partial, 0 open.\n",
		"| R1.1 | a \\| b c | partial: for d | `p.TestA`<br>`p.TestB` |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

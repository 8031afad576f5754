// Package requirements keeps the table of what Signalbox must do, and finds the
// tests that cite each row.
//
// Tests cite a row by its number, in a comment or in a test's name: "R2.3". The
// package's test writes docs/requirements.md from the two and fails when that
// file is stale, when a test cites a row that doesn't exist, and when a row
// that is said to be done has no test that cites it. After adding a citation or
// changing a row, write the file again:
//
//	go test ./internal/requirements -update
//
// rows.go is the table, cite.go finds the citations, document.go writes.
package requirements

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// State says how far a row is met.
type State string

// The states.
const (
	Open    State = "open"
	Partial State = "partial"
	Done    State = "done"
)

// Row is one requirement.
type Row struct {
	ID    string // "R2.3"; a section without parts is a row by itself: "R5"
	Text  string // what must hold, in a sentence or two
	State State
	Note  string // what is missing, or what was decided; may be empty
}

// Section is a group of rows.
type Section struct {
	ID     string // "R2"
	Title  string
	Source string // claims, steps and embodiments of the source document
	Rows   []Row
}

// Check says what is wrong with the table and the citations together: rows
// numbered twice or in another section, an unknown state, a citation of an
// unknown row, a row that is done without a test that cites it.
func Check(sections []Section, citations []Citation) []error {
	var wrong []error
	cited := byRow(citations)
	known := map[string]bool{}
	for _, s := range sections {
		for _, r := range s.Rows {
			if known[r.ID] {
				wrong = append(wrong, fmt.Errorf("%s stands in the table twice", r.ID))
			}
			known[r.ID] = true
			if r.ID != s.ID && !strings.HasPrefix(r.ID, s.ID+".") {
				wrong = append(wrong, fmt.Errorf("%s stands in section %s", r.ID, s.ID))
			}
			if r.State != Open && r.State != Partial && r.State != Done {
				wrong = append(wrong, fmt.Errorf("%s: state %q is not open, partial or done", r.ID, r.State))
			}
			if r.State == Done && len(cited[r.ID]) == 0 {
				wrong = append(wrong, fmt.Errorf("%s is said to be done, but no test cites it", r.ID))
			}
		}
	}
	for _, c := range citations {
		if !known[c.Row] {
			wrong = append(wrong, fmt.Errorf("%s cites %s, which is no row", c.Test, c.Row))
		}
	}
	return wrong
}

// byRow gives the tests that cite each row, once and in order.
func byRow(citations []Citation) map[string][]string {
	tests := map[string][]string{}
	for _, c := range citations {
		tests[c.Row] = append(tests[c.Row], c.Test)
	}
	for row := range tests {
		slices.Sort(tests[row])
		tests[row] = slices.Compact(tests[row])
	}
	return tests
}

// compareRows orders "R2.3" before "R10.1".
func compareRows(a, b string) int {
	number := func(id string) (major, minor int) {
		first, second, _ := strings.Cut(strings.TrimPrefix(id, "R"), ".")
		major, _ = strconv.Atoi(first)
		minor, _ = strconv.Atoi(second)
		return major, minor
	}
	a1, a2 := number(a)
	b1, b2 := number(b)
	return cmp.Or(cmp.Compare(a1, b1), cmp.Compare(a2, b2))
}

// Package samples holds prescriptions for demonstrations and tests: most in the
// plain form, the fhir-* ones in FHIR R4. They read like those of a Chinese city
// and a county beside it, and nothing in them is real but the generic names of
// the medicines and the diagnoses.
//
// People are invented. A resident id is made of the area code 990101 or 990122,
// which no place has, a birth date, a sequence number (odd for men) and the check
// character of GB 11643, so that it passes every check and belongs to nobody. The
// passport is of UTO, the code kept for specimens. Phone numbers begin with 000,
// which no number does. Hospitals, physicians, streets and their codes (99…) are
// invented as well; 望川 and 青屿 are on no map.
//
// Codes of medicines ("nhsa|…") have the form of the national insurance
// catalogue's and are illustrative: don't look them up. ATC and ICD-10 codes are
// real classes; prices are plausible, and of no use beyond that.
//
// Pharmacies are named rx-pharmacy-001 to rx-pharmacy-003, as the demonstration
// has them.
package samples

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Sample is one prescription as an originator would send it.
type Sample struct {
	Name string // the file's name without ".json"
	Data []byte
}

// All returns the samples, sorted by name. The caller may change what it gets.
func All() ([]Sample, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("listing samples: %w", err)
	}
	all := make([]Sample, 0, len(entries))
	for _, e := range entries {
		data, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading sample %s: %w", e.Name(), err)
		}
		all = append(all, Sample{Name: strings.TrimSuffix(e.Name(), ".json"), Data: data})
	}
	slices.SortFunc(all, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

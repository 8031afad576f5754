package flow

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func admissions() Admissions {
	return Admissions{Version: 1, Chain: "chain", Sequence: 7, Issued: 1_770_000_000, Entries: []Admission{
		{ID: "node-1", Role: "node", Status: AdmissionActive, NotBefore: 1},
		{ID: "platform-1", Role: "platform", Status: "suspended", NotBefore: 2},
	}}
}

// R7.1: the list comes back as it was signed.
func TestAdmissions(t *testing.T) {
	want := admissions()
	list, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	s := SignedAdmissions{List: list}
	got, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Admissions{}, Admission{})); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if input := s.SigningInput(); !bytes.HasPrefix(input, []byte("signalbox/admissions/")) || !bytes.HasSuffix(input, list) {
		t.Errorf("signing input %q", input)
	}
	for _, data := range [][]byte{nil, list[:len(list)-1], append(bytes.Clone(list), 0)} {
		if _, err := (SignedAdmissions{List: data}).Open(); err == nil {
			t.Errorf("%x opens", data)
		}
	}
}

func TestAdmissionsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Admissions){
		"another version":  func(a *Admissions) { a.Version = 2 },
		"no chain":         func(a *Admissions) { a.Chain = "" },
		"an id twice":      func(a *Admissions) { a.Entries[1].ID = a.Entries[0].ID },
		"another order":    func(a *Admissions) { a.Entries[0], a.Entries[1] = a.Entries[1], a.Entries[0] },
		"an id of slashes": func(a *Admissions) { a.Entries[0].ID = "a/b" },
		"no role":          func(a *Admissions) { a.Entries[0].Role = "" },
		"a long status":    func(a *Admissions) { a.Entries[0].Status = strings.Repeat("a", 65) },
		"too many":         func(a *Admissions) { a.Entries = make([]Admission, MaxAdmissions+1) },
	} {
		a := admissions()
		spoil(&a)
		if err := a.Validate(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

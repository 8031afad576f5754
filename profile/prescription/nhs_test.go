package prescription_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
)

// nhsMessages finds the real messages of NHS England beside the repository.
func nhsMessages(t testing.TB) map[string][]byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Skip("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "..", "shared", "data", "nhs-eps", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("the NHS messages are not beside the repository")
	}
	all := map[string][]byte{}
	for _, f := range files {
		if all[strings.TrimSuffix(filepath.Base(f), ".json")], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The 22 real messages: 19 orders are taken, which name 16 records, and 3
// cancellations are refused by name. One number stands in four messages of
// different content.
func TestNHSMessages(t *testing.T) {
	p := newProfile(t, prescription.Config{Currency: "GBP"})
	records := map[string]map[string]bool{} // contents by record
	taken, refused := 0, 0
	for name, data := range nhsMessages(t) {
		r, err := p.Intake(data)
		var refusal *profile.Refusal
		switch {
		case errors.As(err, &refusal):
			refused++
			if refusal.Reason.Code != "cancellation_not_supported" || !strings.HasPrefix(name, "cancel-") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		taken++
		if parsed, err := p.Parse(r.Canonical); err != nil || cmp.Diff(r, parsed) != "" {
			t.Errorf("%s: Parse(Canonical): %v", name, err)
		}
		f, err := p.Facts(flow.Register, r.Canonical, named)
		if err != nil {
			t.Errorf("%s: facts: %v", name, err)
			continue
		}
		if f.Amount != 0 || f.Currency != "GBP" || f.DaysSupply == 0 || !strings.HasPrefix(f.Subject, "subject nhs-number:") {
			t.Errorf("%s: facts: %+v", name, f)
		}
		if records[f.Record] == nil {
			records[f.Record] = map[string]bool{}
		}
		records[f.Record][f.Content] = true
	}
	if taken != 19 || refused != 3 || len(records) != 16 {
		t.Errorf("%d taken, %d refused, %d records; want 19, 3, 16", taken, refused, len(records))
	}
	for record, contents := range records {
		want := 1
		if strings.HasSuffix(record, "\x0024F5DA-A83008-7EFE6Z") {
			want = 4
		}
		if len(contents) != want {
			t.Errorf("%q has %d contents, want %d", record, len(contents), want)
		}
	}
}

// What is read from one of them, in full.
func TestNHSMessage(t *testing.T) {
	data := nhsMessages(t)["acute_nominated-pharmacy_medical-prescriber-1"]
	r, err := newProfile(t, prescription.Config{Currency: "GBP"}).Intake(data)
	if err != nil {
		t.Fatal(err)
	}
	rx, err := prescription.Decode(r.Canonical)
	if err != nil {
		t.Fatal(err)
	}
	const ods = "https://fhir.nhs.uk/Id/ods-organization-code|"
	item := func(code, name, quantity, dosage string) prescription.Item {
		it := prescription.Item{
			Code: "http://snomed.info/sct|" + code, NameEn: name, Quantity: 20_000, Unit: "tablet", Days: 10, Dosage: dosage,
		}
		if quantity == "30" {
			it.Quantity = 30_000
		}
		return it
	}
	want := &prescription.Prescription{
		Number:     "24F5DA-A83008-7EFE6Z",
		Category:   prescription.General,
		Originator: prescription.Originator{ID: ods + "A83008", Name: "HALLGARTH SURGERY"},
		Issued:     "2022-10-21",
		Patient:    rx.Patient, // compared apart, so that it is not repeated here
		Prescriber: prescription.Prescriber{ID: "https://fhir.nhs.uk/Id/sds-user-id|555086689106", Name: "C BOIN"},
		Items: []prescription.Item{
			item("39732311000001104", "Amoxicillin 250mg capsules", "20", "2 times a day for 10 days"),
			item("322341003", "Co-codamol 30mg/500mg tablets", "20", "2 times a day for 10 days"),
			item("321080004", "Pseudoephedrine hydrochloride 60mg tablets", "30", "3 times a day for 10 days"),
			item("324252006", "Azithromycin 250mg capsules", "30", "3 times a day for 10 days"),
		},
		Currency: "GBP",
		Producer: ods + "FA565",
		Source:   prescription.FHIR, SourceDigest: rx.SourceDigest,
	}
	if d := cmp.Diff(want, rx); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if p := rx.Patient; p.IDType != "nhs-number" || p.Address != prescription.Masked || p.Name == "" || p.BirthDate == "" {
		t.Errorf("patient: %s, name %t, birth date %t, address masked %t", p.IDType, p.Name != "", p.BirthDate != "", p.Address == prescription.Masked)
	}
}

package samples_test

import (
	"slices"
	"strings"
	"testing"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// Every sample is taken, each is another record, and together they show what
// the demonstration is to show.
func TestSamplesAreTaken(t *testing.T) {
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 24 {
		t.Fatalf("%d samples, want 24 at least", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b samples.Sample) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("samples are not sorted by name")
	}
	p, err := prescription.New(prescription.Config{})
	if err != nil {
		t.Fatal(err)
	}
	plain := func(kind, id string) string { return kind + ":" + id }
	records := map[string]string{}
	originators, producers, tags := map[string]bool{}, map[string]bool{}, map[string]int{}
	var fhir, multi, selfPaid int
	for _, s := range all {
		r, err := p.Intake(s.Data)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		f, err := p.Facts(flow.Register, r.Canonical, plain)
		if err != nil {
			t.Errorf("%s: facts: %v", s.Name, err)
			continue
		}
		if other, twice := records[f.Record]; twice {
			t.Errorf("%s has the number of %s", s.Name, other)
		}
		records[f.Record] = s.Name
		originators[r.Originator] = true
		producers[r.Producer] = true
		for _, tag := range f.Tags {
			tags[tag]++
		}
		if strings.HasPrefix(s.Name, "fhir-") {
			fhir++
		}
		if len(r.Items) > 1 {
			multi++
		}
		if !slices.Contains(f.Tags, "insured") {
			selfPaid++
		}
		checkInvented(t, s.Name, r)
	}
	// One hospital is one originator, in whichever form it sends.
	for id := range originators {
		if strings.Contains(id, "|") {
			t.Errorf("originator %s is named by another system than the rest", id)
		}
	}
	if len(originators) < 5 || fhir < 4 || multi < 8 || selfPaid < 3 {
		t.Errorf("%d hospitals, %d in FHIR, %d of several items, %d self-paid: too few", len(originators), fhir, multi, selfPaid)
	}
	for _, id := range []string{"", "rx-pharmacy-001", "rx-pharmacy-002", "rx-pharmacy-003"} {
		if !producers[id] {
			t.Errorf("no sample names the pharmacy %q", id)
		}
	}
	for _, tag := range []string{"chronic", "insured", "narcotic", "psychotropic-2", "antibiotic", "paediatric", "tcm-pieces", "tcm-granules", "tcm-patent"} {
		if tags[tag] == 0 {
			t.Errorf("no sample is tagged %s", tag)
		}
	}
}

// checkInvented holds ids to the ranges that belong to nobody.
func checkInvented(t *testing.T, name string, r profile.Record) {
	t.Helper()
	for _, invented := range []string{"resident-id:9901", "passport:UTO-", "hk-macao-permit:H00000001"} {
		if strings.HasPrefix(r.SubjectID, invented) {
			return
		}
	}
	t.Errorf("%s: the patient's id is not of an invented range", name)
}

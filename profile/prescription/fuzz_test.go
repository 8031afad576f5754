package prescription_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench/reference"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// FuzzIntake: any input is taken, refused by name or called a problem with its
// place; what is taken reads back the same and has facts.
func FuzzIntake(f *testing.F) {
	all, err := samples.All()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range all {
		f.Add(s.Data)
	}
	f.Add([]byte(`{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"MessageHeader"}}]}`))
	f.Add([]byte(`{"resourceType":"MedicationRequest","status":"active","intent":"order","contained":[{"id":"a"},{"id":"a"}]}`))
	p := newProfile(f, prescription.Config{Mask: prescription.Maskable()})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := p.Intake(data)
		if err != nil {
			var problem *profile.Problem
			var refusal *profile.Refusal
			if !errors.As(err, &problem) && !errors.As(err, &refusal) {
				t.Fatalf("neither problem nor refusal: %v", err)
			}
			return
		}
		parsed, err := p.Parse(r.Canonical)
		if err != nil {
			t.Fatalf("Parse(Canonical): %v\n%s", err, r.Canonical)
		}
		if d := cmp.Diff(r, parsed); d != "" {
			t.Fatalf("Parse(Canonical) (-intake +parse):\n%s", d)
		}
		if _, err := p.Facts(flow.Register, r.Canonical, named); err != nil {
			t.Fatalf("facts: %v", err)
		}
	})
}

// FuzzFacts: any payload of any step gives facts or a problem with its place.
func FuzzFacts(f *testing.F) {
	f.Add(uint8(5), payload(f, purchase()))
	f.Add(uint8(6), payload(f, settlement()))
	f.Add(uint8(3), payload(f, flow.ReviewAsk{Flow: hashA, Reviewer: "pharmacist-1", AskedAt: noon}))
	p := newProfile(f, prescription.Config{})
	f.Fuzz(func(t *testing.T, code uint8, data []byte) {
		step, err := flow.StepOf(code)
		if err != nil || step == flow.Enrol {
			return
		}
		facts, err := p.Facts(step, data, named)
		if err != nil {
			var problem *profile.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		if facts.Amount < 0 || facts.Insured < 0 || facts.Insured > facts.Amount {
			t.Fatalf("amounts make no sense: %+v", facts)
		}
	})
}

// BenchmarkReference is what the others' time is compared with.
func BenchmarkReference(b *testing.B) { reference.Verify(b) }

func BenchmarkIntake(b *testing.B) {
	p := newProfile(b, prescription.Config{})
	for _, name := range []string{"coronary-after-stent", "fhir-message-bronchitis"} {
		data := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := p.Intake(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("nhs", func(b *testing.B) {
		data := nhsMessages(b)["acute_nominated-pharmacy_medical-prescriber-1"]
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := p.Intake(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkFacts(b *testing.B) {
	p := newProfile(b, prescription.Config{})
	r, err := p.Intake(sample(b, "coronary-after-stent"))
	if err != nil {
		b.Fatal(err)
	}
	for step, data := range map[flow.Step][]byte{flow.Register: r.Canonical, flow.Order: payload(b, purchase()), flow.Settle: payload(b, settlement())} {
		b.Run(string(step), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Facts(step, data, named); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package prescription_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
)

type testBundle struct {
	Type  string `json:"type"`
	Entry []struct {
		FullURL  string `json:"fullUrl"`
		Resource struct {
			ResourceType string `json:"resourceType"`
		} `json:"resource"`
	} `json:"entry"`
}

func bundleOf(t testing.TB, data []byte) testBundle {
	t.Helper()
	var b testBundle
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// What FHIR asks for that is not a new order is refused by name, with its place.
func TestFHIRRefusals(t *testing.T) {
	const (
		message    = "fhir-message-bronchitis"      // entry 0 the header, 1 and 2 the requests
		collection = "fhir-collection-hypertension" // entries 0 and 1 the requests
		request    = "fhir-request-contained"
	)
	cases := []struct {
		name, sample string
		changes      []change
		code, path   string
	}{
		{"a cancellation message", message, []change{{"/entry/0/resource/eventCoding/code", "prescription-order-update"}}, "cancellation_not_supported", "/entry/0/resource/eventCoding/code"},
		{"a cancelled request", collection, []change{{"/entry/1/resource/status", "cancelled"}}, "cancellation_not_supported", "/entry/1/resource/status"},
		{"a dispense message", message, []change{{"/entry/0/resource/eventCoding/code", "dispense-notification"}}, "message_event_not_supported", "/entry/0/resource/eventCoding/code"},
		{"an event by URI", message, []change{{"/entry/0/resource/eventUri", "urn:any"}}, "message_event_not_supported", "/entry/0/resource/eventUri"},
		{"a draft", request, []change{{"/status", "draft"}}, "status_not_active", "/status"},
		{"a completed request", collection, []change{{"/entry/0/resource/status", "completed"}}, "status_not_active", "/entry/0/resource/status"},
		{"no status", request, []change{{"/status", gone{}}}, "status_not_active", "/status"},
		{"a proposal", request, []change{{"/intent", "proposal"}}, "intent_not_an_order", "/intent"},
		{"a plan", collection, []change{{"/entry/1/resource/intent", "plan"}}, "intent_not_an_order", "/entry/1/resource/intent"},
		{"not to be done", request, []change{{"/doNotPerform", true}}, "do_not_perform", "/doNotPerform"},
		{"a modifier extension", request, []change{{"/modifierExtension", []any{map[string]any{"url": "urn:any"}}}}, "modifier_not_understood", ""},
		{"one on the dispense request", collection, []change{{"/entry/0/resource/dispenseRequest/modifierExtension", []any{map[string]any{"url": "urn:any"}}}}, "modifier_not_understood", "/entry/0/resource"},
		{"implicit rules", request, []change{{"/implicitRules", "urn:any"}}, "modifier_not_understood", ""},
		{"a search result", collection, []change{{"/type", "searchset"}}, "bundle_type_not_supported", "/type"},
		{"a bundle without type", collection, []change{{"/type", gone{}}}, "bundle_type_not_supported", "/type"},
		{"another resource", request, []change{{"/resourceType", "Observation"}}, "resource_not_supported", "/resourceType"},
		{"a resource type that is no text", request, []change{{"/resourceType", 7}}, "resource_not_supported", "/resourceType"},
		{"two prescriptions", collection, []change{{"/entry/1/resource/groupIdentifier/value", "RX-2"}}, "several_prescriptions", "/entry/1/resource/groupIdentifier/value"},
		{"one in the group and one not", collection, []change{{"/entry/1/resource/groupIdentifier", gone{}}, {"/entry/1/resource/identifier", []any{map[string]any{"value": "RX-2"}}}}, "several_prescriptions", "/entry/1/resource/identifier/0/value"},
		{"two patients", collection, []change{{"/entry/1/resource/subject/reference", "urn:uuid:other"}}, "several_subjects", "/entry/1/resource/subject"},
		{"two prescribers", collection, []change{{"/entry/1/resource/requester/reference", "urn:uuid:other"}}, "several_prescribers", "/entry/1/resource/requester"},
		{"two pharmacies", collection, []change{{"/entry/1/resource/dispenseRequest/performer/identifier/value", "rx-pharmacy-002"}}, "several_producers", "/entry/1/resource/dispenseRequest/performer"},
	}
	p := newProfile(t, prescription.Config{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.Intake(edit(t, sample(t, c.sample), c.changes...))
			var r *profile.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if r.Reason.Code != c.code || r.Reason.Path != c.path {
				t.Errorf("got %s at %q, want %s at %q", r.Reason.Code, r.Reason.Path, c.code, c.path)
			}
			if r.Reason.Zh == "" || r.Reason.En == "" {
				t.Errorf("a language is missing: %+v", r.Reason)
			}
		})
	}
}

// What is missing or wrong in FHIR is said with its place in the FHIR document.
func TestFHIRProblems(t *testing.T) {
	const (
		message    = "fhir-message-bronchitis"      // 0 header, 1-2 requests, 3-4 medications, 5 patient, 6 role, 7 doctor, 8 hospital, 9 condition, 10 pharmacy
		collection = "fhir-collection-hypertension" // 0-1 requests, 2 patient, 3 role, 4 doctor, 5 hospital
		request    = "fhir-request-contained"       // contained: 0 patient, 1 role, 2 doctor, 3 hospital, 4 medication
	)
	const secret = "绝密"
	nothing := map[string]any{}
	cases := []struct {
		name, sample string
		changes      []change
		want         []string
	}{
		{"an empty request", request, []change{{"", map[string]any{"resourceType": "MedicationRequest", "status": "active", "intent": "order"}}}, []string{
			"/subject: is missing, or is no reference", "/requester: is missing, or is no reference", "/medicationReference: is missing, or is no reference",
			"/groupIdentifier: is missing", "/dispenseRequest/quantity/unit: is missing", "/dosageInstruction: is missing",
			"/dispenseRequest/quantity/value: is missing, or not above 0",
		}},
		{"no entries", collection, []change{{"/entry", gone{}}}, []string{"/entry: holds no MedicationRequest"}},
		{"no requests", collection, []change{{"/entry/0/resource/resourceType", "Basic"}, {"/entry/1/resource/resourceType", "Basic"}}, []string{"/entry: holds no MedicationRequest"}},
		{"entries of another type", collection, []change{{"/entry", secret}}, []string{"/entry: want an array"}},
		{"an entry without resource", collection, []change{{"/entry/6", nothing}, {"/entry/7", map[string]any{"resource": nothing}}}, []string{
			"/entry/6/resource: is missing, or has no resourceType", "/entry/7/resource: is missing, or has no resourceType",
		}},
		{"a message without header", collection, []change{{"/type", "message"}}, []string{"/entry/0/resource: a message begins with a MessageHeader"}},
		{"a message without event", message, []change{{"/entry/0/resource/eventCoding", gone{}}}, []string{"/entry/0/resource/eventCoding/code: is missing"}},
		{"one URL for two", collection, []change{{"/entry/5/fullUrl", "urn:uuid:00000000-0000-4000-8000-000000000010"}}, []string{"/entry/5/fullUrl: is that of another entry", "/entry/0/resource/subject/reference: must lead to Patient"}},
		{"one id for two", "fhir-relative-paediatric", []change{{"/entry/4", map[string]any{"resource": map[string]any{"resourceType": "Patient", "id": "p1"}}}}, []string{
			"/entry/4/resource/id: is that of another resource of its type", "/entry/4/resource/name: is missing", "/entry/4/resource/identifier: is missing",
		}},
		{"one contained id for two", request, []change{{"/contained/3/id", "doctor"}}, []string{"/contained/3/id: is that of another contained resource"}},
		{"a lost patient", collection, []change{{"/entry/0/resource/subject/reference", "Patient/" + secret}, {"/entry/1/resource/subject/reference", "Patient/" + secret}}, []string{"/entry/0/resource/subject/reference: leads to nothing in the input"}},
		{"a lost contained patient", request, []change{{"/subject/reference", "#" + secret}}, []string{"/subject/reference: leads to nothing in the input"}},
		{"a patient without known id", collection, []change{{"/entry/2/resource/identifier/0/system", "urn:any"}}, []string{"/entry/2/resource/identifier: is missing"}},
		{"a wrong id", collection, []change{{"/entry/2/resource/identifier/0/value", secret}}, []string{"/entry/2/resource/identifier/0/value: want a resident id of 18 characters with a true birth date and check character (GB 11643)"}},
		{"no name", request, []change{{"/contained/0/name", gone{}}}, []string{"/contained/0/name: is missing"}},
		{"a birth date of a year", request, []change{{"/contained/0/birthDate", "1993"}}, []string{"/contained/0/birthDate: want a date such as 2026-01-31"}},
		{"a gender", request, []change{{"/contained/0/gender", secret}}, []string{"/contained/0/gender: want one of male, female, other, unknown"}},
		{"a requester that is a device", request, []change{{"/contained/1/resourceType", "Device"}}, []string{"/requester/reference: must lead to PractitionerRole, Practitioner"}},
		{"a role without person", request, []change{{"/contained/1/practitioner", gone{}}}, []string{"/contained/1/practitioner: is missing"}},
		{"a person without identifier", collection, []change{{"/entry/4/resource/identifier", gone{}}}, []string{"/entry/4/resource/identifier: is missing"}},
		{"no organisation", request, []change{{"/contained/1/organization", gone{}}, {"/contained/3/resourceType", "Basic"}}, []string{"/contained/1/organization: is missing"}},
		{"an organisation without identifier", request, []change{{"/contained/3/identifier", gone{}}}, []string{"/contained/3/identifier: is missing"}},
		{"no medication", request, []change{{"/medicationReference", gone{}}}, []string{"/medicationReference: is missing, or is no reference"}},
		{"a lost medication", message, []change{{"/entry/2/resource/medicationReference/reference", "Medication/1"}}, []string{"/entry/2/resource/medicationReference/reference: leads to nothing in the input"}},
		{"a medication in words alone", collection, []change{{"/entry/0/resource/medicationCodeableConcept/coding", gone{}}}, []string{"/entry/0/resource/medicationCodeableConcept/coding: is missing"}},
		{"a medication without words", collection, []change{{"/entry/0/resource/medicationCodeableConcept", map[string]any{"coding": []any{map[string]any{"code": "1"}}}}}, []string{"/entry/0/resource/medicationCodeableConcept: is missing"}},
		{"one medication twice", collection, []change{{"/entry/0/resource/medicationCodeableConcept/coding/0/code", "1"}, {"/entry/1/resource/medicationCodeableConcept/coding/0/code", "1"}}, []string{"/entry/1/resource/medicationCodeableConcept/coding: is that of an item before it"}},
		{"no quantity", collection, []change{{"/entry/1/resource/dispenseRequest/quantity", gone{}}}, []string{"/entry/1/resource/dispenseRequest/quantity/unit: is missing", "/entry/1/resource/dispenseRequest/quantity/value: is missing, or not above 0"}},
		{"no dispense request", request, []change{{"/dispenseRequest", gone{}}}, []string{"/dispenseRequest/quantity/unit: is missing", "/dispenseRequest/quantity/value: is missing, or not above 0"}},
		{"a quantity with an exponent", request, []change{{"/dispenseRequest/quantity/value", json.Number("1e2")}}, []string{`/dispenseRequest/quantity/value: want a decimal up to 1000000, with at most three decimals, such as "1.5"`}},
		{"about so many", request, []change{{"/dispenseRequest/quantity/comparator", "<"}}, []string{"/dispenseRequest/quantity/comparator: must be left out: a quantity to dispense is exact"}},
		{"hours of supply", request, []change{{"/dispenseRequest/expectedSupplyDuration/code", "h"}}, []string{"/dispenseRequest/expectedSupplyDuration: want whole days (d), weeks (wk) or months (mo)"}},
		{"half a day of supply", request, []change{{"/dispenseRequest/expectedSupplyDuration/value", 0.5}}, []string{"/dispenseRequest/expectedSupplyDuration: want whole days (d), weeks (wk) or months (mo)"}},
		{"years of supply", request, []change{{"/dispenseRequest/expectedSupplyDuration/value", 1000}}, []string{"/dispenseRequest/expectedSupplyDuration: want 1 to 366 days"}},
		{"no dosage", request, []change{{"/dosageInstruction/0/text", gone{}}}, []string{"/dosageInstruction: is missing"}},
		{"a month of issue", collection, []change{{"/entry/1/resource/authoredOn", "2026-11"}}, []string{"/entry/1/resource/authoredOn: want a date such as 2026-01-31"}},
		{"validity before issue", collection, []change{{"/entry/0/resource/dispenseRequest/validityPeriod/end", "2026-11-19T23:59:59+08:00"}}, []string{"/entry/0/resource/dispenseRequest/validityPeriod/end: is before the day of issue"}},
		{"a diagnosis without words", collection, []change{{"/entry/0/resource/reasonCode/0", nothing}}, []string{"/entry/0/resource/reasonCode/0: is missing"}},
		{"an unknown tag", request, []change{{"/category/1/coding/0/code", secret}}, []string{"/category/1: want one of antibiotic, antibiotic-restricted, antibiotic-special, anticancer, biologic, cold-chain, dual-channel, high-alert, hormone, injection, insulin, narcotic, psychotropic-1, psychotropic-2, radioactive, toxic, tcm-granules, tcm-patent, tcm-pieces"}},
		{"a narcotic on an ordinary form", request, []change{{"/category/1/coding/0/code", "narcotic"}}, []string{"/category: must be narcotic: an item is a narcotic or a psychotropic of class 1"}},
		{"an unknown category", "fhir-relative-paediatric", []change{{"/entry/0/resource/category/1/coding/0/code", secret}}, []string{"/entry/0/resource/category/1: want one of general, emergency, paediatric, narcotic, psychotropic-2"}},
		{"two categories", "fhir-relative-paediatric", []change{{"/entry/0/resource/category/2", map[string]any{"coding": []any{map[string]any{"system": "https://signalbox.dev/fhir/CodeSystem/prescription-category", "code": "general"}}}}}, []string{"/entry/0/resource/category/2: differs from the category before it"}},
		{"a price of a thousandth", request, []change{{"/extension/0/valueMoney/value", json.Number("17.255")}}, []string{"/extension/0/valueMoney/value: want a number with at most two decimals"}},
		{"a price as text", request, []change{{"/extension/0/valueMoney/value", "17.25"}}, []string{"/extension/0/valueMoney/value: want a number with at most two decimals"}},
		{"two currencies", collection, []change{{"/entry/1/resource/extension/0/valueMoney/currency", "HKD"}}, []string{"/entry/1/resource/extension/0/valueMoney/currency: differs from the currency before it"}},
		{"an unknown currency", request, []change{{"/extension/0/valueMoney/currency", secret}}, []string{"/extension/0/valueMoney/currency: want one of CNY, EUR, GBP, HKD, MOP, USD"}},
		{"a ratio without insurance", "fhir-request-statin", []change{{"/insurance", gone{}}}, []string{"/extension/1/valueInteger: has no place on a prescription that is not insured"}},
		{"a pharmacy without identifier", message, []change{{"/entry/10/resource/identifier", gone{}}}, []string{"/entry/10/resource/identifier: is missing"}},
		{"a lost pharmacy", request, []change{{"/dispenseRequest/performer", map[string]any{"reference": "Organization/9"}}}, []string{"/dispenseRequest/performer/reference: leads to nothing in the input"}},
		{"a phone number in the dosage", request, []change{{"/dosageInstruction/0/text", "送药前请拨 000-0000-0007"}}, []string{"/dosageInstruction: repeats a value that is to be masked"}},
	}
	p := newProfile(t, prescription.Config{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.Intake(edit(t, sample(t, c.sample), c.changes...))
			if d := cmp.Diff(c.want, said(t, err, secret, "990101", "000-0000")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What FHIR lets a sender say in several ways.
func TestFHIRForms(t *testing.T) {
	const request = "fhir-request-contained"
	org := func(value string) map[string]any {
		return map[string]any{"identifier": map[string]any{"system": "urn:any", "value": value}, "display": "某院"}
	}
	cases := []struct {
		name, sample string
		changes      []change
		got          func(*prescription.Prescription) any
		want         any
	}{
		{"groupIdentifier goes before identifier", request, []change{{"/groupIdentifier", map[string]any{"value": "G1"}}}, func(p *prescription.Prescription) any { return p.Number }, "G1"},
		{"the sender goes before the role's organisation", "fhir-message-bronchitis", []change{{"/entry/0/resource/sender", org("S1")}}, func(p *prescription.Prescription) any { return p.Originator }, prescription.Originator{ID: "urn:any|S1", Name: "某院"}},
		{"a sender without identifier leaves it to the role", "fhir-message-bronchitis", []change{{"/entry/0/resource/sender", gone{}}}, func(p *prescription.Prescription) any { return p.Originator.ID }, "H99012200101"},
		{"the role's organisation by identifier", request, []change{{"/contained/1/organization", org("S2")}}, func(p *prescription.Prescription) any { return p.Originator.ID }, "urn:any|S2"},
		{"the only organisation", request, []change{{"/contained/1/organization", gone{}}}, func(p *prescription.Prescription) any { return p.Originator }, prescription.Originator{ID: "H99010100101", Name: "望川市第一人民医院", Department: "皮肤科"}},
		{"the role's person by identifier", request, []change{{"/contained/1/practitioner", org("D1")}}, func(p *prescription.Prescription) any { return p.Prescriber }, prescription.Prescriber{ID: "urn:any|D1", Name: "某院"}},
		{"a role with an id of its own", request, []change{{"/contained/1/practitioner", gone{}}, {"/contained/1/identifier", []any{map[string]any{"value": "R1"}}}}, func(p *prescription.Prescription) any { return p.Prescriber }, prescription.Prescriber{ID: "R1"}},
		{"a requester who is a person", request, []change{{"/requester/reference", "#doctor"}}, func(p *prescription.Prescription) any { return p.Prescriber.ID }, "D990101000171"},
		{"a versioned reference", "fhir-relative-paediatric", []change{{"/entry/0/resource/subject/reference", "Patient/p1/_history/3"}}, func(p *prescription.Prescription) any { return p.Patient.Name }, "方一诺"},
		{"an absolute reference", "fhir-relative-paediatric", []change{{"/entry/0/resource/subject/reference", "https://signalbox.dev/example/Patient/p1"}}, func(p *prescription.Prescription) any { return p.Patient.Name }, "方一诺"},
		{"a name in parts", request, []change{{"/contained/0/name", []any{map[string]any{"use": "old", "text": "旧名"}, map[string]any{"family": "欧阳", "given": []any{"明", "远"}}}}}, func(p *prescription.Prescription) any { return p.Patient.Name }, "欧阳明远"},
		{"a Western name in parts", request, []change{{"/contained/0/name", []any{map[string]any{"family": "Doe", "given": []any{"Jane", "Q"}}}}}, func(p *prescription.Prescription) any { return p.Patient.Name }, "Jane Q Doe"},
		{"weeks", "fhir-relative-paediatric", nil, func(p *prescription.Prescription) any { return p.Items[0].Days }, int64(14)},
		{"months", request, []change{{"/dispenseRequest/expectedSupplyDuration", map[string]any{"value": 2, "code": "mo"}}}, func(p *prescription.Prescription) any { return p.Items[0].Days }, int64(60)},
		{"no duration", request, []change{{"/dispenseRequest/expectedSupplyDuration", gone{}}}, func(p *prescription.Prescription) any { return p.Items[0].Days }, int64(0)},
		{"a code for the unit", request, []change{{"/dispenseRequest/quantity", map[string]any{"value": 30, "code": "g"}}}, func(p *prescription.Prescription) any { return []any{p.Items[0].Quantity, p.Items[0].Unit} }, []any{prescription.Quantity(30000), "g"}},
		{"two names of a medicine", request, nil, func(p *prescription.Prescription) any { return []string{p.Items[0].NameZh, p.Items[0].NameEn} }, []string{"莫匹罗星软膏", "Mupirocin"}},
		{"several dosages", request, []change{{"/dosageInstruction", []any{map[string]any{"text": "早1片"}, map[string]any{"text": "晚2片"}}}}, func(p *prescription.Prescription) any { return p.Items[0].Dosage }, "早1片; 晚2片"},
		{"the day as its own calendar has it", request, []change{{"/authoredOn", "2026-11-20T00:30:00+08:00"}}, func(p *prescription.Prescription) any { return p.Issued }, "2026-11-20"},
		{"validity for the day of issue", request, []change{{"/authoredOn", gone{}}}, func(p *prescription.Prescription) any { return p.Issued }, "2026-11-20"},
		{"no day at all", request, []change{{"/authoredOn", gone{}}, {"/dispenseRequest/validityPeriod", gone{}}}, func(p *prescription.Prescription) any { return p.Issued + p.ValidUntil }, ""},
		{"the earliest end", "fhir-collection-hypertension", []change{{"/entry/1/resource/dispenseRequest/validityPeriod/end", "2026-11-22"}}, func(p *prescription.Prescription) any { return p.ValidUntil }, "2026-11-22"},
		{"a condition, once", "fhir-message-bronchitis", nil, func(p *prescription.Prescription) any { return p.Diagnosis }, []prescription.Diagnosis{{Code: "icd-10|J20.900", Name: "急性支气管炎"}}},
		{"a reason by name", request, []change{{"/reasonCode", gone{}}, {"/reasonReference", []any{map[string]any{"display": "脓疱疮"}}}}, func(p *prescription.Prescription) any { return p.Diagnosis }, []prescription.Diagnosis{{Name: "脓疱疮"}}},
		{"no reason", request, []change{{"/reasonCode", gone{}}}, func(p *prescription.Prescription) any { return len(p.Diagnosis) }, 0},
		{"a repeat prescription is for long", request, []change{{"/courseOfTherapyType", map[string]any{"coding": []any{map[string]any{"code": "continuous-repeat-dispensing"}}}}}, func(p *prescription.Prescription) any { return p.Chronic }, true},
		{"no price", request, []change{{"/extension", gone{}}}, func(p *prescription.Prescription) any { return []any{p.Items[0].Price, p.Currency} }, []any{prescription.Amount(0), "CNY"}},
		{"a pharmacy that one request names", "fhir-collection-hypertension", []change{{"/entry/0/resource/dispenseRequest/performer", gone{}}}, func(p *prescription.Prescription) any { return p.Producer }, "rx-pharmacy-001"},
		{"a pharmacy by reference", "fhir-message-bronchitis", nil, func(p *prescription.Prescription) any { return p.Producer }, "rx-pharmacy-003"},
		{"a contained request tells of another order", request, []change{{"/contained/5", map[string]any{"resourceType": "MedicationRequest", "id": "before", "status": "completed"}}}, func(p *prescription.Prescription) any { return len(p.Items) }, 1},
		{"unknown fields and nulls", request, []change{{"/note", []any{map[string]any{"text": "x"}}}, {"/encounter", nil}, {"/groupIdentifier", nil}}, func(p *prescription.Prescription) any { return len(p.Items) }, 1},
	}
	p := newProfile(t, prescription.Config{Mask: []string{}})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := p.Intake(edit(t, sample(t, c.sample), c.changes...))
			if err != nil {
				t.Fatal(err)
			}
			rx, err := prescription.Decode(r.Canonical)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, c.got(rx)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

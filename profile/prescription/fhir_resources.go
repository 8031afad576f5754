package prescription

import (
	"strings"
	"unicode"

	"signalbox.dev/signalbox/profile/jsontree"
)

// The parts of FHIR R4 resources (https://hl7.org/fhir/R4) that a prescription
// needs. What isn't here is passed over, and still counts in the content digest.

type fhirBundle struct {
	Type  string      `json:"type"`
	Entry []fhirEntry `json:"entry"`
}

type fhirEntry struct {
	FullURL  string         `json:"fullUrl"`
	Resource *jsontree.Node `json:"resource"`
}

type fhirMessageHeader struct {
	EventCoding *fhirCoding    `json:"eventCoding"`
	EventURI    string         `json:"eventUri"`
	Sender      *fhirReference `json:"sender"`
}

type fhirMedicationRequest struct {
	ImplicitRules     string           `json:"implicitRules"`
	ModifierExtension []*jsontree.Node `json:"modifierExtension"`
	Extension         []fhirExtension  `json:"extension"`
	Identifier        []fhirIdentifier `json:"identifier"`
	Status            string           `json:"status"`
	Intent            string           `json:"intent"`
	DoNotPerform      bool             `json:"doNotPerform"`
	Category          []fhirConcept    `json:"category"`
	MedicationConcept *fhirConcept     `json:"medicationCodeableConcept"`
	MedicationRef     *fhirReference   `json:"medicationReference"`
	Subject           *fhirReference   `json:"subject"`
	AuthoredOn        string           `json:"authoredOn"`
	Requester         *fhirReference   `json:"requester"`
	ReasonCode        []fhirConcept    `json:"reasonCode"`
	ReasonReference   []fhirReference  `json:"reasonReference"`
	GroupIdentifier   *fhirIdentifier  `json:"groupIdentifier"`
	CourseOfTherapy   *fhirConcept     `json:"courseOfTherapyType"`
	Insurance         []fhirReference  `json:"insurance"`
	Dosage            []fhirDosage     `json:"dosageInstruction"`
	Dispense          fhirDispense     `json:"dispenseRequest"`
}

type fhirDosage struct {
	Text string `json:"text"`
}

type fhirDispense struct {
	ModifierExtension []*jsontree.Node `json:"modifierExtension"`
	ValidityPeriod    fhirPeriod       `json:"validityPeriod"`
	Quantity          fhirQuantity     `json:"quantity"`
	Duration          *fhirQuantity    `json:"expectedSupplyDuration"`
	Performer         *fhirReference   `json:"performer"`
}

type fhirPeriod struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type fhirQuantity struct {
	Value      Quantity `json:"value"`
	Comparator string   `json:"comparator"`
	Unit       string   `json:"unit"`
	Code       string   `json:"code"`
}

type fhirExtension struct {
	URL          string     `json:"url"`
	ValueInteger int64      `json:"valueInteger"`
	ValueMoney   *fhirMoney `json:"valueMoney"`
}

type fhirMoney struct {
	Value    fhirMoneyValue `json:"value"`
	Currency string         `json:"currency"`
}

// fhirMoneyValue is an Amount that FHIR writes as a number.
type fhirMoneyValue Amount

// SetJSON implements jsontree.Value.
func (m *fhirMoneyValue) SetJSON(kind jsontree.Kind, text string) (zh, en string) {
	// In FHIR an amount is a number; it is kept as it was written, so nothing is
	// rounded on the way.
	if _, wrong := (*Amount)(m).SetJSON(jsontree.String, text); kind != jsontree.Number || wrong != "" {
		return "应为至多两位小数的数字", "want a number with at most two decimals"
	}
	return "", ""
}

type fhirMedication struct {
	Code fhirConcept `json:"code"`
}

type fhirCondition struct {
	Code fhirConcept `json:"code"`
}

type fhirPatient struct {
	Identifier []fhirIdentifier `json:"identifier"`
	Name       []fhirName       `json:"name"`
	Gender     string           `json:"gender"`
	BirthDate  string           `json:"birthDate"`
	Telecom    []fhirContact    `json:"telecom"`
	Address    []fhirAddress    `json:"address"`
}

type fhirPractitionerRole struct {
	Identifier   []fhirIdentifier `json:"identifier"`
	Practitioner *fhirReference   `json:"practitioner"`
	Organization *fhirReference   `json:"organization"`
	Specialty    []fhirConcept    `json:"specialty"`
}

type fhirPractitioner struct {
	Identifier []fhirIdentifier `json:"identifier"`
	Name       []fhirName       `json:"name"`
}

type fhirOrganization struct {
	Identifier []fhirIdentifier `json:"identifier"`
	Name       string           `json:"name"`
}

type fhirReference struct {
	Reference  string          `json:"reference"`
	Identifier *fhirIdentifier `json:"identifier"`
	Display    string          `json:"display"`
}

type fhirIdentifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// text is "system|value", the value alone where there is no system, and empty
// where there is no value.
func (i *fhirIdentifier) text() string {
	if i == nil || i.Value == "" {
		return ""
	}
	system := shortSystem(i.System)
	if system == "" {
		return i.Value
	}
	return system + "|" + i.Value
}

// shortSystem gives the name that the plain form has for a system, so that one
// hospital, physician or medicine has one id in whichever form it is named.
func shortSystem(system string) string {
	switch system {
	case fhirBase + "sid/medical-institution", fhirBase + "sid/physician":
		return ""
	case fhirBase + "CodeSystem/nhsa-drug":
		return "nhsa"
	case "http://hl7.org/fhir/sid/icd-10":
		return "icd-10"
	}
	return system
}

func (i *fhirIdentifier) value() string {
	if i == nil {
		return ""
	}
	return i.Value
}

// firstIdentifier is the first with a value, as text.
func firstIdentifier(list []fhirIdentifier) string {
	for i := range list {
		if s := list[i].text(); s != "" {
			return s
		}
	}
	return ""
}

type fhirConcept struct {
	Coding []fhirCoding `json:"coding"`
	Text   string       `json:"text"`
}

type fhirCoding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// code is the first coding's, "system|code".
func (c *fhirConcept) code() string {
	for _, k := range c.Coding {
		if k.Code != "" {
			return (&fhirIdentifier{System: k.System, Value: k.Code}).text()
		}
	}
	return ""
}

// has says whether one of the codings has the code, in any system.
func (c *fhirConcept) has(code string) bool {
	for _, k := range c.Coding {
		if k.Code == code {
			return true
		}
	}
	return false
}

// names gives the first Chinese and the first other name among the codings'
// displays and the text.
func (c *fhirConcept) names() (zh, en string) {
	for _, k := range c.Coding {
		zh, en = named(zh, en, k.Display)
	}
	return named(zh, en, c.Text)
}

func named(zh, en, name string) (string, string) {
	switch {
	case name == "":
	case hasHan(name) && zh == "":
		zh = name
	case !hasHan(name) && en == "":
		en = name
	}
	return zh, en
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

type fhirName struct {
	Use    string   `json:"use"`
	Text   string   `json:"text"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
}

// personName is the first name that is not an old one, in the order of its script.
func personName(list []fhirName) string {
	for _, n := range list {
		given := strings.Join(n.Given, " ")
		switch {
		case n.Use == "old" || n.Use == "maiden":
		case n.Text != "":
			return n.Text
		case hasHan(n.Family):
			return n.Family + strings.Join(n.Given, "")
		case n.Family != "" || given != "":
			return strings.TrimSpace(given + " " + n.Family)
		}
	}
	return ""
}

type fhirContact struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type fhirAddress struct {
	Text       string   `json:"text"`
	Line       []string `json:"line"`
	District   string   `json:"district"`
	City       string   `json:"city"`
	State      string   `json:"state"`
	PostalCode string   `json:"postalCode"`
}

func (a fhirAddress) text() string {
	if a.Text != "" {
		return a.Text
	}
	parts := make([]string, 0, len(a.Line)+4)
	for _, p := range append(append(parts, a.Line...), a.District, a.City, a.State, a.PostalCode) {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

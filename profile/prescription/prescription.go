package prescription

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// Config of the profile. The zero value works.
type Config struct {
	// Mask lists what Intake masks (R1.1), as JSON pointers into the canonical
	// form, of those that Maskable lists. nil is DefaultMask; empty but not nil
	// is nothing.
	Mask []string
	// Currency is what a FHIR prescription without prices is priced in; "" is CNY.
	Currency string
}

// Profile reads prescriptions. It has no state: safe for concurrent use.
type Profile struct {
	masked   []string
	currency string
}

var _ profile.Profile = (*Profile)(nil)

// New makes the profile.
func New(c Config) (*Profile, error) {
	if c.Mask == nil {
		c.Mask = DefaultMask()
	}
	if c.Currency == "" {
		c.Currency = "CNY"
	}
	if err := checkMask(c.Mask); err != nil {
		return nil, fmt.Errorf("prescription profile: %w", err)
	}
	if !slices.Contains(currencies(), c.Currency) {
		return nil, fmt.Errorf("prescription profile: currency: want one of %v", currencies())
	}
	return &Profile{masked: slices.Clone(c.Mask), currency: c.Currency}, nil
}

// Business implements profile.Profile.
func (*Profile) Business() string { return "prescription" }

// Intake implements profile.Profile: FHIR when the document has a resourceType,
// our plain form otherwise. A *profile.Problem among the errors names a place
// in the input.
func (p *Profile) Intake(input []byte) (profile.Record, error) {
	root, err := jsontree.Parse(input)
	if err != nil {
		return profile.Record{}, err
	}
	var rx Prescription
	var r problems
	if root.Get("resourceType") != nil {
		err = readFHIR(root, p.currency, &rx, &r)
	} else {
		readPlain(root, &rx, &r)
	}
	if err != nil {
		return profile.Record{}, err
	}
	check(&rx, false, &r)
	rx.mask(p.masked, &r)
	if err := r.err(); err != nil {
		return profile.Record{}, err
	}
	rx.SourceDigest = contentDigest(root, rx.Source)
	canonical, err := encode(&rx)
	if err != nil {
		return profile.Record{}, err
	}
	return record(&rx, canonical), nil
}

// Parse implements profile.Profile. It takes the canonical form alone, to the
// byte: another spelling of the same record is refused.
func (p *Profile) Parse(canonical []byte) (profile.Record, error) {
	rx, err := Decode(canonical)
	if err != nil {
		return profile.Record{}, err
	}
	return record(rx, slices.Clone(canonical)), nil
}

// Decode reads the canonical form, for those who show a prescription. It is as
// strict as Parse.
func Decode(canonical []byte) (*Prescription, error) {
	root, err := jsontree.Parse(canonical)
	if err != nil {
		return nil, err
	}
	var rx Prescription
	var r problems
	r.decoded(jsontree.Decode(root, "", &rx, jsontree.Strict))
	v := validator{problems: &r}
	v.oneOf("/source", string(rx.Source), string(Plain), string(FHIR))
	if _, err := flow.ParseHash(rx.SourceDigest); err != nil {
		r.add("/source_digest", "应为 64 位小写十六进制", "want 64 lower-case hexadecimal digits")
	}
	check(&rx, true, &r)
	if len(r.list) > 0 {
		return nil, r.err()
	}
	again, err := encode(&rx)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, canonical) {
		return nil, problem("", "不是规范形式", "is not in canonical form")
	}
	return &rx, nil
}

// encode writes the canonical form: the struct's fields in their order, no
// space, no HTML escapes.
func encode(rx *Prescription) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(rx); err != nil {
		return nil, fmt.Errorf("encoding a prescription: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func record(rx *Prescription, canonical []byte) profile.Record {
	r := profile.Record{
		Canonical:  canonical,
		Number:     rx.Number,
		Originator: rx.Originator.ID,
		SubjectID:  rx.Patient.IDType + ":" + rx.Patient.ID,
		Title:      rx.Items[0].Name(),
		Items:      make([]profile.Item, len(rx.Items)),
		Currency:   rx.Currency,
		Producer:   rx.Producer,
	}
	if more := len(rx.Items) - 1; more > 0 {
		r.Title += fmt.Sprintf(" (+%d)", more)
	}
	for i, it := range rx.Items {
		r.Items[i] = profile.Item{
			Code: it.Code, Name: it.Name(), Quantity: int64(it.Quantity), Unit: it.Unit,
			Price: int64(it.Price), Ratio: it.Ratio,
		}
	}
	return r
}

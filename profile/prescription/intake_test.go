package prescription_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// The canonical form and the facts of every sample, to the byte. Intake is
// deterministic and Parse is its inverse (package profile).
func TestGolden(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			r, err := p.Intake(s.Data)
			if err != nil {
				t.Fatal(err)
			}
			again, err := p.Intake(s.Data)
			if err != nil || !bytes.Equal(r.Canonical, again.Canonical) {
				t.Errorf("Intake is not deterministic: %v", err)
			}
			parsed, err := p.Parse(r.Canonical)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r, parsed); d != "" {
				t.Errorf("Parse(Canonical) (-intake +parse):\n%s", d)
			}
			golden(t, "canonical/"+s.Name+".json", append(r.Canonical, '\n'))
			f, err := p.Facts(flow.Register, r.Canonical, named)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(f, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "facts/"+s.Name+".json", append(text, '\n'))
		})
	}
}

func TestRecord(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	r, err := p.Intake(sample(t, "respiratory-antibiotic"))
	if err != nil {
		t.Fatal(err)
	}
	r.Canonical = nil
	want := profile.Record{
		Number:     "RX20261104-0108",
		Originator: "H99010100101",
		SubjectID:  "resident-id:990101198505061077",
		Title:      "阿莫西林克拉维酸钾片 (+1)",
		Items: []profile.Item{
			{Code: r.Items[0].Code, Name: "阿莫西林克拉维酸钾片", Quantity: 2000, Unit: "盒", Price: 4190, Ratio: 700},
			{Code: r.Items[1].Code, Name: "盐酸氨溴索口服溶液", Quantity: 1000, Unit: "瓶", Price: 1250, Ratio: 700},
		},
		Currency: "CNY",
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if p.Business() != "prescription" {
		t.Errorf("business %q", p.Business())
	}
}

// What is missing or wrong in a plain prescription is said with its place, all
// of it at once, and no value is repeated.
func TestPlainProblems(t *testing.T) {
	const secret = "绝密"
	long := strings.Repeat(secret, 1500)
	const tags = "antibiotic, antibiotic-restricted, antibiotic-special, anticancer, biologic, cold-chain, dual-channel, high-alert, hormone, injection, insulin, narcotic, psychotropic-1, psychotropic-2, radioactive, toxic, tcm-granules, tcm-patent, tcm-pieces"
	const residentID = "/patient/id: want a resident id of 18 characters with a true birth date and check character (GB 11643)"
	cases := []struct {
		name    string
		changes []change
		want    []string
	}{
		{"an empty document", []change{{"", map[string]any{}}}, []string{
			"/number: is missing", "/originator/id: is missing", "/originator/name: is missing", "/issued: is missing",
			"/patient/name: is missing", "/patient/id_type: is missing", "/patient/id: is missing",
			"/prescriber/id: is missing", "/prescriber/name: is missing", "/diagnosis: is missing", "/items: is missing", "/currency: is missing",
		}},
		{"not an object", []change{{"", []any{secret}}}, []string{": want an object"}},
		{"a misspelt field", []change{{"/item", []any{}}, {"/patient/nam", secret}}, []string{"/patient/nam: is not a known field", "/item: is not a known field"}},
		{"a null", []change{{"/producer", nil}}, []string{"/producer: must not be null: leave the field out"}},
		{"no number", []change{{"/number", gone{}}}, []string{"/number: is missing"}},
		{"a number's type", []change{{"/number", 7}}, []string{"/number: want a string"}},
		{"a long number", []change{{"/number", long}}, []string{"/number: is over 128 characters"}},
		{"a control character", []change{{"/number", secret + "\x00"}}, []string{"/number: holds control characters"}},
		{"a space of no width", []change{{"/number", "RX\u200b1"}}, []string{"/number: holds characters that can't be seen"}},
		{"space around", []change{{"/number", secret + " "}}, []string{"/number: must not begin or end with space"}},
		{"a category", []change{{"/category", secret}}, []string{"/category: want one of general, emergency, paediatric, narcotic, psychotropic-2"}},
		{"no day of issue", []change{{"/issued", gone{}}}, []string{"/issued: is missing"}},
		{"a day that is none", []change{{"/issued", "2026-02-30"}, {"/valid_until", secret}}, []string{"/issued: want a date such as 2026-01-31", "/valid_until: want a date such as 2026-01-31"}},
		{"validity before issue", []change{{"/valid_until", "2026-11-03"}}, []string{"/valid_until: is before the day of issue"}},
		{"a patient of another type", []change{{"/patient", secret}}, []string{"/patient: want an object"}},
		{"no patient id", []change{{"/patient/id", gone{}}}, []string{"/patient/id: is missing"}},
		{"an unknown kind of id", []change{{"/patient/id_type", secret}}, []string{"/patient/id_type: want one of resident-id, passport, hk-macao-permit, taiwan-permit, foreign-resident-id, nhs-number"}},
		{"a wrong check character", []change{{"/patient/id", "990101198505061079"}}, []string{residentID}},
		{"an old id of 15 digits", []change{{"/patient/id", "990101850506107"}}, []string{residentID}},
		{"another birth date", []change{{"/patient/birth_date", "1985-05-07"}}, []string{"/patient/birth_date: does not agree with the id's birth date"}},
		{"a gender", []change{{"/patient/gender", secret}}, []string{"/patient/gender: want one of male, female, other, unknown"}},
		{"a mask in an input", []change{{"/patient/gender", "***"}, {"/patient/birth_date", "***"}}, []string{"/patient/gender: want one of male, female, other, unknown", "/patient/birth_date: want a date such as 2026-01-31"}},
		{"no diagnosis", []change{{"/diagnosis", []any{}}}, []string{"/diagnosis: is missing"}},
		{"a diagnosis without name", []change{{"/diagnosis/0/name", gone{}}}, []string{"/diagnosis/0/name: is missing"}},
		{"no items", []change{{"/items", []any{}}}, []string{"/items: is missing"}},
		{"an empty item", []change{{"/items/1", map[string]any{}}}, []string{
			"/items/1/code: is missing", "/items/1/name_zh: is missing", "/items/1/unit: is missing", "/items/1/dosage: is missing",
			"/items/1/quantity: is missing, or not above 0", "/items/1/days: want 1 to 366 days",
		}},
		{"one code twice", []change{{"/items/0/code", "nhsa|" + secret}, {"/items/1/code", "nhsa|" + secret}}, []string{"/items/1/code: is that of an item before it"}},
		{"a quantity", []change{{"/items/0/quantity", "1.2345"}, {"/items/1/quantity", "-1"}}, []string{
			`/items/0/quantity: want a decimal up to 1000000, with at most three decimals, such as "1.5"`,
			`/items/1/quantity: want a decimal up to 1000000, with at most three decimals, such as "1.5"`,
		}},
		{"a quantity of nothing", []change{{"/items/0/quantity", "0.000"}}, []string{"/items/0/quantity: is missing, or not above 0"}},
		{"days", []change{{"/items/0/days", 367}, {"/items/1/days", 1.5}}, []string{"/items/1/days: want a whole number", "/items/0/days: want 1 to 366 days"}},
		{"a price as a number", []change{{"/items/0/price", 41.9}}, []string{`/items/0/price: want an amount as text, with at most two decimals, such as "12.50"`}},
		{"a price of a thousandth", []change{{"/items/0/price", "41.905"}}, []string{`/items/0/price: want an amount as text, with at most two decimals, such as "12.50"`}},
		{"prices beyond sense", []change{{"/items/0/price", "9999999999.99"}, {"/items/1/price", "0.02"}}, []string{"/items: sum to over 1000000000000 minor units"}},
		{"a ratio", []change{{"/items/0/ratio_permill", 1001}, {"/items/1/ratio_permill", -1}}, []string{"/items/0/ratio_permill: want 0 to 1000", "/items/1/ratio_permill: want 0 to 1000"}},
		{"a ratio without insurance", []change{{"/insured", false}}, []string{
			"/items/0/ratio_permill: has no place on a prescription that is not insured",
			"/items/1/ratio_permill: has no place on a prescription that is not insured",
		}},
		{"an unknown tag", []change{{"/items/0/tags", []any{"antibiotic", secret}}}, []string{"/items/0/tags/1: want one of " + tags}},
		{"a narcotic on an ordinary form", []change{{"/items/0/tags", []any{"narcotic"}}}, []string{"/category: must be narcotic: an item is a narcotic or a psychotropic of class 1"}},
		{"a psychotropic of class 1 on a form for class 2", []change{{"/category", "psychotropic-2"}, {"/items/0/tags", []any{"psychotropic-1"}}}, []string{"/category: must be narcotic: an item is a narcotic or a psychotropic of class 1"}},
		{"a psychotropic of class 2 on an ordinary form", []change{{"/items/1/tags", []any{"psychotropic-2"}}}, []string{"/category: must be psychotropic-2: an item is a psychotropic of class 2"}},
		{"no currency", []change{{"/currency", gone{}}}, []string{"/currency: is missing"}},
		{"a currency without cents", []change{{"/currency", "JPY"}}, []string{"/currency: want one of CNY, EUR, GBP, HKD, MOP, USD"}},
		{"a source", []change{{"/source", "plain"}, {"/source_digest", strings.Repeat("0", 64)}}, []string{"/source: is set at intake: leave it out", "/source_digest: is set at intake: leave it out"}},
		{"a phone number in the dosage", []change{{"/items/0/dosage", "送药前请拨 000-0000-0006"}}, []string{"/items/0/dosage: repeats a value that is to be masked"}},
	}
	p := newProfile(t, prescription.Config{})
	base := sample(t, "respiratory-antibiotic")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.Intake(edit(t, base, c.changes...))
			if d := cmp.Diff(c.want, said(t, err, secret, "990101", "1985", "000-0000")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTooManyItems(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	_, err := p.Intake(edit(t, sample(t, "respiratory-antibiotic"), change{"/items", make([]any, prescription.MaxItems+1)}))
	got := said(t, err)
	if len(got) != 50 { // one for each null, up to the limit of what is said
		t.Errorf("%d problems, want 50", len(got))
	}
	items := make([]any, prescription.MaxItems+1)
	for i := range items {
		items[i] = map[string]any{}
	}
	_, err = p.Intake(edit(t, sample(t, "respiratory-antibiotic"), change{"/items", items}))
	if d := cmp.Diff([]string{"/items: holds over 64"}, said(t, err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestGarbage(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	for in, want := range map[string]string{
		"":                             ": not JSON at byte 0: ends early",
		"<Bundle/>":                    ": not JSON at byte 1",
		`{"resourceType":"Bundle"`:     ": not JSON at byte 24: ends early",
		`{"number":"1","number":"2"}`:  "/number: the field stands twice",
		strings.Repeat("[", 1_000_000): ": nested deeper than 64 levels at byte 65",
		"7":                            ": want an object",
	} {
		_, err := p.Intake([]byte(in))
		if d := cmp.Diff([]string{want}, said(t, err)); d != "" {
			t.Errorf("%.30s (-want +got):\n%s", in, d)
		}
	}
}

// Several spellings of one thing become one.
func TestNormalised(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	r, err := p.Intake(edit(t, sample(t, "hepatitis-b-chronic"),
		change{"/patient", map[string]any{"id_type": "resident-id", "id": " 990101-19800101-105x", "name": "甲"}},
		change{"/items/0/quantity", json.Number("3.50")}, change{"/items/0/price", "15"},
		change{"/items/0/tags", []any{"high-alert", "antibiotic-special", "high-alert"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	rx, err := prescription.Decode(r.Canonical)
	if err != nil {
		t.Fatal(err)
	}
	if want := "resident-id:99010119800101105X"; r.SubjectID != want {
		t.Errorf("subject %q, want %q", r.SubjectID, want)
	}
	if rx.Items[0].Quantity != 3500 || rx.Items[0].Price != 1500 || rx.Category != prescription.General {
		t.Errorf("got %+v, category %s", rx.Items[0], rx.Category)
	}
	for _, part := range []string{`"quantity":"3.5"`, `"price":"15.00"`, `"tags":["antibiotic","antibiotic-special","high-alert"]`, `"category":"general"`} {
		if !strings.Contains(string(r.Canonical), part) {
			t.Errorf("the canonical form lacks %s", part)
		}
	}
}

// Parse takes the canonical form alone.
func TestParseRefuses(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	r, err := p.Intake(sample(t, "respiratory-antibiotic"))
	if err != nil {
		t.Fatal(err)
	}
	canonical := string(r.Canonical)
	swap := func(old, now string) string {
		if !strings.Contains(canonical, old) {
			t.Fatalf("no %s in the canonical form", old)
		}
		return strings.Replace(canonical, old, now, 1)
	}
	cases := []struct{ name, in, want string }{
		{"a space", canonical + " ", ": is not in canonical form"},
		{"another order", swap(`"insured":true,"chronic":false`, `"chronic":false,"insured":true`), ": is not in canonical form"},
		{"another spelling of an amount", swap(`"41.90"`, `"41.9"`), ": is not in canonical form"},
		{"a default left out", swap(`"category":"general",`, ``), ": is not in canonical form"},
		{"an escape", swap(`"盒"`, `"\u76d2"`), ": is not in canonical form"},
		{"an unknown field", swap(`"insured":true`, `"insured":true,"more":1`), "/more: is not a known field"},
		{"no source", swap(`"source":"plain"`, `"source":""`), "/source: want one of plain, fhir"},
		{"a digest in upper case", swap(`"source_digest":"`+digestOf(t, r), `"source_digest":"`+strings.ToUpper(digestOf(t, r))), "/source_digest: want 64 lower-case hexadecimal digits"},
		{"a wrong id", swap(`990101198505061077`, `990101198505061079`), "/patient/id: want a resident id of 18 characters with a true birth date and check character (GB 11643)"},
		{"garbage", "garbage", ": not JSON at byte 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.Parse([]byte(c.in))
			if d := cmp.Diff([]string{c.want}, said(t, err)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func digestOf(t testing.TB, r profile.Record) string {
	t.Helper()
	rx, err := prescription.Decode(r.Canonical)
	if err != nil {
		t.Fatal(err)
	}
	return rx.SourceDigest
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []prescription.Config{
		{Mask: []string{"/patient/id"}},
		{Mask: []string{"patient/phone"}},
		{Mask: []string{"/items/0/code"}},
		{Currency: "JPY"},
	} {
		if _, err := prescription.New(c); err == nil {
			t.Errorf("%+v gave no error", c)
		}
	}
}

// R1.1: a masked value is nowhere in the canonical form, the facts and the
// content digest stay as they are, and Parse takes what was masked.
func TestMask(t *testing.T) {
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	open, masked := newProfile(t, prescription.Config{Mask: []string{}}), newProfile(t, prescription.Config{Mask: prescription.Maskable()})
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			clear, err := open.Intake(s.Data)
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := masked.Intake(s.Data)
			if err != nil {
				t.Fatal(err)
			}
			rx, err := prescription.Decode(clear.Canonical)
			if err != nil {
				t.Fatal(err)
			}
			values := []string{rx.Patient.Name, rx.Patient.BirthDate, rx.Patient.Phone, rx.Patient.Address}
			for _, v := range values {
				if v == "" || !bytes.Contains(clear.Canonical, []byte(v)) {
					t.Fatalf("the test has no value to look for: %q", v)
				}
				if bytes.Contains(hidden.Canonical, []byte(v)) {
					t.Errorf("a masked value stands in the canonical form")
				}
			}
			if bytes.Contains(hidden.Canonical, []byte(`male"`)) {
				t.Error("the gender stands in the canonical form")
			}
			want, err := open.Facts(flow.Register, clear.Canonical, named)
			if err != nil {
				t.Fatal(err)
			}
			got, err := masked.Facts(flow.Register, hidden.Canonical, named)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("facts (-open +masked):\n%s", d)
			}
		})
	}
}

// R1.1: without configuration, how to reach the patient is masked, and nothing else.
func TestDefaultMask(t *testing.T) {
	base := sample(t, "respiratory-antibiotic")
	open, err := newProfile(t, prescription.Config{Mask: []string{}}).Intake(base)
	if err != nil {
		t.Fatal(err)
	}
	masked, err := newProfile(t, prescription.Config{}).Intake(base)
	if err != nil {
		t.Fatal(err)
	}
	want := edit(t, open.Canonical, change{"/patient/phone", prescription.Masked}, change{"/patient/address", prescription.Masked})
	if d := cmp.Diff(string(want), string(edit(t, masked.Canonical))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// R1.1: another of the patient's fields that repeats a masked value is masked
// there too; a short value is left, since it would be found by chance.
func TestMaskRepeated(t *testing.T) {
	p := newProfile(t, prescription.Config{Mask: []string{"/patient/name", "/patient/phone"}})
	r, err := p.Intake(edit(t, sample(t, "respiratory-antibiotic"),
		change{"/patient/address", "新桥路200号 唐若谷收 000-0000-0006"}, change{"/patient/phone", "1"}))
	if err != nil {
		t.Fatal(err)
	}
	rx, err := prescription.Decode(r.Canonical)
	if err != nil {
		t.Fatal(err)
	}
	if want := "新桥路200号 ***收 000-0000-0006"; rx.Patient.Address != want {
		t.Errorf("address %q, want %q", rx.Patient.Address, want)
	}
}

// The content digest is equal for what is the same record, and only for that.
func TestContentDigest(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	digest := func(doc []byte) string {
		t.Helper()
		r, err := p.Intake(doc)
		if err != nil {
			t.Fatal(err)
		}
		return digestOf(t, r)
	}
	plain, bundle := sample(t, "respiratory-antibiotic"), sample(t, "fhir-collection-hypertension")
	var patient string
	for i, e := range bundleOf(t, bundle).Entry {
		if e.Resource.ResourceType == "Patient" {
			patient = "/entry/" + string(rune('0'+i)) + "/resource"
		}
	}
	cases := []struct {
		name string
		base []byte
		to   []change
		same bool
	}{
		{"other spaces and order", plain, nil, true},
		{"another phone number", plain, []change{{"/patient/phone", "000-1111-1111"}}, true},
		{"no address", plain, []change{{"/patient/address", gone{}}}, true},
		{"another dosage", plain, []change{{"/items/0/dosage", "口服，一次2片"}}, false},
		{"another way to write a quantity", plain, []change{{"/items/0/quantity", "2.0"}}, false},
		{"another number", plain, []change{{"/number", "RX-2"}}, false},
		{"another pharmacy", plain, []change{{"/producer", "rx-pharmacy-003"}}, false},
		{"another patient", plain, []change{{"/patient/id", "99010119800101105X"}, {"/patient/birth_date", gone{}}}, false},
		{"a bundle sent again", bundle, []change{
			{"/id", "b2"},
			{"/timestamp", "2026-11-21T00:00:00Z"},
			{"/meta", map[string]any{"lastUpdated": "2026-11-21T00:00:00Z"}},
			{"/identifier", map[string]any{"value": "other"}},
		}, true},
		{"a patient's new name", bundle, []change{{patient + "/name/0/text", "另名"}, {patient + "/telecom", []any{}}}, true},
		{"what the canonical form has no field for", bundle, []change{{"/entry/0/resource/note", []any{map[string]any{"text": "另一句话"}}}}, false},
		{"another id of a request", bundle, []change{{"/entry/0/resource/id", "m7"}}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if same := digest(c.base) == digest(edit(t, c.base, c.to...)); same != c.same {
				t.Errorf("same record: %v, want %v", same, c.same)
			}
		})
	}
}

// Every kind of personal id, normalised, and what is none.
func TestNormalID(t *testing.T) {
	cases := []struct{ kind, number, want string }{
		{"resident-id", "99010119800101105X", "99010119800101105X"},
		{"resident-id", "99010119800101105x", "99010119800101105X"},
		{"resident-id", "9901 0119 8001 0110 5x", "99010119800101105X"},
		{"resident-id", "11010519491231002X", "11010519491231002X"}, // the example of GB 11643
		{"resident-id", "440524188001010014", "440524188001010014"}, // likewise
		{"resident-id", "990101198001011051", ""},                   // check character
		{"resident-id", "990101198013011006", ""},                   // month 13
		{"resident-id", "99010119800101105", ""},                    // short
		{"resident-id", "9901011980010110５X", ""},                   // a digit of full width
		{"passport", "uto-x00000001", "UTO-X00000001"},
		{"passport", "X00000001", ""}, // whose?
		{"hk-macao-permit", "h00000001", "H00000001"},
		{"hk-macao-permit", "K00000001", ""},
		{"taiwan-permit", "0000 0001", "00000001"},
		{"taiwan-permit", "0000001", ""},
		{"foreign-resident-id", "uto990000000001", "UTO990000000001"},
		{"foreign-resident-id", "990101198001011001", ""},
		{"nhs-number", "999 054 8609", "9990548609"},
		{"nhs-number", "999-054-8609", "9990548609"},
		{"nhs-number", "9990548608", ""}, // check digit
		{"nhs-number", "9990548600", ""},
		{"club-card", "1", ""},
	}
	for _, c := range cases {
		got, ok := prescription.NormalID(c.kind, c.number)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("NormalID(%q, %q) = %q, %v; want %q", c.kind, c.number, got, ok, c.want)
		}
	}
	if !slices.Contains(prescription.IDTypes(), "resident-id") {
		t.Error("no resident-id among the kinds")
	}
}

package prescription

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// Limits of a prescription.
const (
	// MaxItems is for decoctions; a form for other medicines has five at most by
	// the Chinese rules, which is a rule's to enforce.
	MaxItems     = 64
	maxDiagnoses = 32
	maxTags      = 16
	maxDays      = 366
	maxID        = 128 // characters of an identifier or code
	maxName      = 256 // characters of a name
	maxText      = 2000
)

// currencies are those a prescription may be priced in; all have two decimals.
func currencies() []string { return []string{"CNY", "EUR", "GBP", "HKD", "MOP", "USD"} }

// check reports everything that is missing or wrong in p and normalises what
// has several spellings. masked lets masked fields pass: the canonical form has
// them, an input must not.
func check(p *Prescription, masked bool, r *problems) {
	v := validator{problems: r, masked: masked}
	if p.Category == "" {
		p.Category = General
	}
	v.id("/number", p.Number, true)
	v.id("/hi_rxno", p.InsuranceNumber, false)
	v.id("/rx_trace_code", p.TraceCode, false)
	v.oneOf("/category", string(p.Category), string(General), string(Emergency), string(Paediatric), string(Narcotic), string(Psychotropic2))
	plain := p.Source != FHIR // a FHIR source may leave out what FHIR leaves optional
	v.id("/originator/id", p.Originator.ID, true)
	v.text("/originator/name", p.Originator.Name, maxName, plain)
	v.text("/originator/department", p.Originator.Department, maxName, false)
	v.dates(p, plain)
	v.patient(&p.Patient)
	v.id("/prescriber/id", p.Prescriber.ID, true)
	v.text("/prescriber/name", p.Prescriber.Name, maxName, plain)
	v.diagnoses(p.Diagnosis, plain)
	v.items(p, plain)
	if p.Currency == "" {
		r.missing("/currency")
	} else {
		v.oneOf("/currency", p.Currency, currencies()...)
	}
	v.id("/producer", p.Producer, false)
}

type validator struct {
	*problems
	masked bool
}

// text checks a text of at most limit characters.
func (v *validator) text(path, s string, limit int, required bool) {
	switch {
	case s == "" && required:
		v.missing(path)
	case s == "":
	case utf8.RuneCountInString(s) > limit:
		v.add(path, fmt.Sprintf("超过 %d 个字符", limit), fmt.Sprintf("is over %d characters", limit))
	case strings.ContainsFunc(s, unicode.IsControl):
		v.add(path, "含有控制字符", "holds control characters")
	case strings.TrimSpace(s) != s:
		v.add(path, "首尾不能有空白", "must not begin or end with space")
	}
}

// id checks an identifier or code. Characters that can't be seen are refused: two
// numbers that look alike would be two records.
func (v *validator) id(path, s string, required bool) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		v.add(path, "含有不可见字符", "holds characters that can't be seen")
		return
	}
	v.text(path, s, maxID, required)
}

func (v *validator) oneOf(path, s string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		list := strings.Join(allowed, ", ")
		v.add(path, "应为下列之一："+list, "want one of "+list)
	}
}

// date reports whether s is a day that later checks can use.
func (v *validator) date(path, s string, required bool) bool {
	switch {
	case s == "" && required:
		v.missing(path)
	case s != "" && !isDate(s):
		v.add(path, "应为日期，如 2026-01-31", "want a date such as 2026-01-31")
	}
	return isDate(s)
}

func (v *validator) dates(p *Prescription, plain bool) {
	issued := v.date("/issued", p.Issued, plain)
	if v.date("/valid_until", p.ValidUntil, false) && issued && p.ValidUntil < p.Issued {
		v.add("/valid_until", "早于开方日期", "is before the day of issue")
	}
}

func (v *validator) patient(p *Patient) {
	v.text("/patient/name", p.Name, maxName, true)
	v.text("/patient/phone", p.Phone, maxID, false)
	v.text("/patient/address", p.Address, maxText, false)
	if p.Gender != "" && !v.isMasked(p.Gender) {
		v.oneOf("/patient/gender", p.Gender, "male", "female", "other", "unknown")
	}
	born := !v.isMasked(p.BirthDate) && v.date("/patient/birth_date", p.BirthDate, false)
	kind := idKindOf(p.IDType)
	switch {
	case p.IDType == "":
		v.missing("/patient/id_type")
	case kind == nil:
		v.oneOf("/patient/id_type", p.IDType, IDTypes()...)
	}
	if p.ID == "" {
		v.missing("/patient/id")
		return
	}
	if kind == nil {
		return
	}
	normal, ok := NormalID(p.IDType, p.ID)
	if !ok {
		v.add("/patient/id", kind.zh, kind.en)
		return
	}
	p.ID = normal
	if born && kind.birth != nil && kind.birth(normal) != p.BirthDate {
		v.add("/patient/birth_date", "与证件号码中的出生日期不符", "does not agree with the id's birth date")
	}
}

func (v *validator) isMasked(s string) bool { return v.masked && s == Masked }

func (v *validator) diagnoses(list []Diagnosis, required bool) {
	if len(list) == 0 && required {
		v.missing("/diagnosis")
	}
	if len(list) > maxDiagnoses {
		v.add("/diagnosis", fmt.Sprintf("超过 %d 项", maxDiagnoses), fmt.Sprintf("holds over %d", maxDiagnoses))
		return
	}
	for i, d := range list {
		at := jsontree.Index("/diagnosis", i)
		v.id(at+"/code", d.Code, false)
		v.text(at+"/name", d.Name, maxName, true)
	}
}

func (v *validator) items(p *Prescription, plain bool) {
	switch {
	case len(p.Items) == 0:
		v.missing("/items")
		return
	case len(p.Items) > MaxItems:
		v.add("/items", fmt.Sprintf("超过 %d 项", MaxItems), fmt.Sprintf("holds over %d", MaxItems))
		return
	}
	seen := make(map[string]bool, len(p.Items))
	var sum int64
	for i := range p.Items {
		at, it := jsontree.Index("/items", i), &p.Items[i]
		v.item(at, it, plain)
		if seen[it.Code] && it.Code != "" {
			v.add(at+"/code", "与前面某项相同", "is that of an item before it")
		}
		seen[it.Code] = true
		if it.Ratio != 0 && !p.Insured {
			v.add(at+"/ratio_permill", "自费处方不应有报销比例", "has no place on a prescription that is not insured")
		}
		v.category(p.Category, it.Tags)
		sum += int64(it.Price) // at most MaxItems * MaxAmount, far from overflow
	}
	if sum > profile.MaxAmount {
		v.add("/items", "金额合计过大", fmt.Sprintf("sum to over %d minor units", int64(profile.MaxAmount)))
	}
}

func (v *validator) item(at string, it *Item, plain bool) {
	v.id(at+"/code", it.Code, true)
	v.text(at+"/name_zh", it.NameZh, maxName, it.NameEn == "")
	v.text(at+"/name_en", it.NameEn, maxName, false)
	v.text(at+"/spec", it.Spec, maxName, false)
	v.text(at+"/unit", it.Unit, maxName, true)
	v.text(at+"/dosage", it.Dosage, maxText, true)
	if it.Quantity <= 0 {
		v.add(at+"/quantity", "应大于 0", "is missing, or not above 0")
	}
	if it.Days < 0 || it.Days > maxDays || it.Days == 0 && plain {
		v.add(at+"/days", fmt.Sprintf("应为 1 至 %d 天", maxDays), fmt.Sprintf("want 1 to %d days", maxDays))
	}
	if it.Ratio < 0 || it.Ratio > profile.FullRatio {
		v.add(at+"/ratio_permill", "应为 0 至 1000", "want 0 to 1000")
	}
	v.tags(at+"/tags", it)
}

// tags checks an item's tags and sorts them. A graded antibiotic is an
// antibiotic: a rule that looks for those finds it.
func (v *validator) tags(at string, it *Item) {
	if len(it.Tags) == 0 {
		it.Tags = nil
		return
	}
	if len(it.Tags) > maxTags {
		v.add(at, fmt.Sprintf("超过 %d 个", maxTags), fmt.Sprintf("holds over %d", maxTags))
		return
	}
	for i, tag := range it.Tags {
		v.oneOf(jsontree.Index(at, i), tag, Tags()...)
	}
	if slices.Contains(it.Tags, "antibiotic-restricted") || slices.Contains(it.Tags, "antibiotic-special") {
		it.Tags = append(it.Tags, "antibiotic")
	}
	slices.Sort(it.Tags)
	it.Tags = slices.Compact(it.Tags)
}

// category holds a controlled medicine to its special form.
func (v *validator) category(c Category, tags []string) {
	switch {
	case (slices.Contains(tags, "narcotic") || slices.Contains(tags, "psychotropic-1")) && c != Narcotic:
		v.add("/category", "麻醉药品和第一类精神药品须用专用处方 (narcotic)", "must be narcotic: an item is a narcotic or a psychotropic of class 1")
	case slices.Contains(tags, "psychotropic-2") && c != Psychotropic2 && c != Narcotic:
		v.add("/category", "第二类精神药品须用专用处方 (psychotropic-2)", "must be psychotropic-2: an item is a psychotropic of class 2")
	}
}

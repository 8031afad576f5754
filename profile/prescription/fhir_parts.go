package prescription

import (
	"slices"
	"strings"

	"signalbox.dev/signalbox/profile/jsontree"
)

// item reads what one request orders into the i-th item.
func (f *fhirReader) item(i int, o *order) {
	it, place := &f.rx.Items[i], jsontree.Index("/items", i)
	f.places[place] = o.at
	f.medication(it, place, o)
	it.Quantity = f.quantity(o.Dispense.Quantity, o.at+"/dispenseRequest/quantity")
	f.places[place+"/quantity"] = o.at + "/dispenseRequest/quantity/value"
	if it.Unit = o.Dispense.Quantity.Unit; it.Unit == "" {
		it.Unit = o.Dispense.Quantity.Code
	}
	f.places[place+"/unit"] = o.at + "/dispenseRequest/quantity/unit"
	if d := o.Dispense.Duration; d != nil {
		f.places[place+"/days"] = o.at + "/dispenseRequest/expectedSupplyDuration"
		it.Days = f.days(*d, o.at+"/dispenseRequest/expectedSupplyDuration")
	}
	var texts []string
	for _, d := range o.Dosage {
		if d.Text != "" {
			texts = append(texts, d.Text)
		}
	}
	it.Dosage, f.places[place+"/dosage"] = strings.Join(texts, "; "), o.at+"/dosageInstruction"
	f.extensions(it, place, o)
	for k, c := range o.Category {
		for _, coding := range c.Coding {
			if coding.System == tagSystem {
				f.places[jsontree.Index(place+"/tags", len(it.Tags))] = jsontree.Index(o.at+"/category", k)
				it.Tags = append(it.Tags, coding.Code)
			}
		}
	}
}

func (f *fhirReader) medication(it *Item, place string, o *order) {
	c, at := o.MedicationConcept, o.at+"/medicationCodeableConcept"
	if c == nil {
		at = o.at + "/medicationReference"
		c = &fhirConcept{}
		if res := f.follow(o.resource, o.MedicationRef, at, "Medication"); res != nil {
			var m fhirMedication
			f.read(res, &m)
			c, at = &m.Code, res.at+"/code"
		}
	}
	it.Code = c.code()
	it.NameZh, it.NameEn = c.names()
	f.places[place+"/code"] = at + "/coding"
	f.places[place+"/name_zh"], f.places[place+"/name_en"] = at, at
}

// quantity refuses what is not one exact amount.
func (f *fhirReader) quantity(q fhirQuantity, at string) Quantity {
	if q.Comparator != "" {
		f.addAt(at+"/comparator", "数量须为确定值", "must be left out: a quantity to dispense is exact")
	}
	return q.Value
}

// days reads a duration in days, weeks or months of 30 days (UCUM d, wk, mo).
func (f *fhirReader) days(q fhirQuantity, at string) int64 {
	unit := q.Code
	if unit == "" {
		unit = q.Unit
	}
	factor := map[string]Quantity{"d": 1, "day": 1, "days": 1, "天": 1, "wk": 7, "mo": 30}[unit]
	thousandths := f.quantity(q, at) * factor
	if factor == 0 || thousandths <= 0 || thousandths%1000 != 0 {
		f.addAt(at, "应为整数天 (d)、周 (wk) 或月 (mo)", "want whole days (d), weeks (wk) or months (mo)")
		return 0
	}
	return int64(thousandths / 1000)
}

// extensions reads a line's price and ratio.
func (f *fhirReader) extensions(it *Item, place string, o *order) {
	for i, e := range o.Extension {
		at := jsontree.Index(o.at+"/extension", i)
		switch {
		case e.URL == priceExtension && e.ValueMoney != nil:
			it.Price = Amount(e.ValueMoney.Value)
			if c := e.ValueMoney.Currency; f.places["/currency"] != "" && c != f.rx.Currency {
				f.addAt(at+"/valueMoney/currency", "与前面的币种不同", "differs from the currency before it")
			}
			f.rx.Currency, f.places["/currency"] = e.ValueMoney.Currency, at+"/valueMoney/currency"
		case e.URL == ratioExtension:
			it.Ratio, f.places[place+"/ratio_permill"] = e.ValueInteger, at+"/valueInteger"
		}
	}
}

// follow finds the resource that ref, which stands at, must lead to. What the
// resource would have said is then not reported as missing at the same place.
func (f *fhirReader) follow(from *resource, ref *fhirReference, at string, kinds ...string) *resource {
	if ref == nil || ref.Reference == "" {
		f.addAt(at, "缺少引用", "is missing, or is no reference")
		return nil
	}
	res := f.g.find(from, ref.Reference)
	if res != nil && slices.Contains(kinds, res.kind) {
		return res
	}
	if res == nil {
		f.addAt(at+"/reference", "所引用的资源不在输入中", "leads to nothing in the input")
	} else {
		list := strings.Join(kinds, ", ")
		f.addAt(at+"/reference", "应指向 "+list, "must lead to "+list)
	}
	f.known[at] = true
	return nil
}

func (f *fhirReader) patient(o *order) {
	f.places["/patient"] = o.at + "/subject"
	res := f.follow(o.resource, o.Subject, o.at+"/subject", "Patient")
	if res == nil {
		return
	}
	var p fhirPatient
	f.read(res, &p)
	out := &f.rx.Patient
	for name, member := range map[string]string{
		"": "", "/id_type": "/identifier", "/id": "/identifier", "/name": "/name", "/gender": "/gender",
		"/birth_date": "/birthDate", "/phone": "/telecom", "/address": "/address",
	} {
		f.places["/patient"+name] = res.at + member
	}
	out.Name, out.Gender, out.BirthDate = personName(p.Name), p.Gender, p.BirthDate
	for i, id := range p.Identifier {
		if kind := personalKind(id.System); kind != "" && id.Value != "" {
			out.IDType, out.ID = kind, id.Value
			f.places["/patient/id"] = jsontree.Index(res.at+"/identifier", i) + "/value"
			break
		}
	}
	for _, t := range p.Telecom {
		if t.System == "phone" && out.Phone == "" {
			out.Phone = t.Value
		}
	}
	if len(p.Address) > 0 {
		out.Address = p.Address[0].text()
	}
}

// personalKind is the kind of personal id that an identifier system stands for.
func personalKind(system string) string {
	switch system {
	case nhsNumberSystem:
		return "nhs-number"
	case residentOID:
		return "resident-id"
	}
	if kind, ours := strings.CutPrefix(system, personalSystem); ours && idKindOf(kind) != nil {
		return kind
	}
	return ""
}

// prescriber reads who asks, and returns the PractitionerRole if that is what
// the requester is.
func (f *fhirReader) prescriber(o *order) *resource {
	at := o.at + "/requester"
	f.places["/prescriber"] = at
	f.places["/originator"] = at
	if o.Requester != nil && o.Requester.Reference == "" && o.Requester.Identifier.value() != "" {
		f.rx.Prescriber = Prescriber{ID: o.Requester.Identifier.text(), Name: o.Requester.Display}
		return nil
	}
	res := f.follow(o.resource, o.Requester, at, "PractitionerRole", "Practitioner")
	if res == nil {
		return nil
	}
	if res.kind == "Practitioner" {
		f.practitioner(res)
		return nil
	}
	var role fhirPractitionerRole
	f.read(res, &role)
	f.places["/prescriber"], f.places["/originator"] = res.at+"/practitioner", res.at+"/organization"
	if p := role.Practitioner; p != nil && p.Reference != "" {
		if who := f.follow(res, p, res.at+"/practitioner", "Practitioner"); who != nil {
			f.practitioner(who)
		}
	} else if p != nil {
		f.rx.Prescriber = Prescriber{ID: p.Identifier.text(), Name: p.Display}
	}
	if f.rx.Prescriber.ID == "" {
		f.rx.Prescriber.ID = firstIdentifier(role.Identifier)
	}
	return res
}

func (f *fhirReader) practitioner(res *resource) {
	var p fhirPractitioner
	f.read(res, &p)
	f.places["/prescriber"] = res.at
	f.places["/prescriber/id"], f.places["/prescriber/name"] = res.at+"/identifier", res.at+"/name"
	f.rx.Prescriber = Prescriber{ID: firstIdentifier(p.Identifier), Name: personName(p.Name)}
}

// originator is who sends the message; else the organisation of the requester's
// role; else the only organisation in the input.
func (f *fhirReader) originator(role *resource) {
	out := &f.rx.Originator
	if f.header != nil {
		var h fhirMessageHeader
		f.read(f.header, &h)
		f.organization(f.header, h.Sender, f.header.at+"/sender")
	}
	if role != nil {
		var r fhirPractitionerRole
		f.read(role, &r)
		if out.ID == "" {
			f.organization(role, r.Organization, role.at+"/organization")
		}
		if len(r.Specialty) > 0 {
			zh, en := r.Specialty[0].names()
			if out.Department = zh; zh == "" {
				out.Department = en
			}
			f.places["/originator/department"] = role.at + "/specialty/0"
		}
	}
	all := f.g.ofKind("Organization")
	if out.ID == "" && len(all) == 1 {
		f.organizationAt(all[0])
	}
	for _, res := range all {
		var org fhirOrganization
		if f.read(res, &org); out.Name == "" && firstIdentifier(org.Identifier) == out.ID {
			out.Name = org.Name
		}
	}
}

// organization reads the originator from a reference, by its target or its identifier.
func (f *fhirReader) organization(from *resource, ref *fhirReference, at string) {
	if ref == nil {
		return
	}
	f.places["/originator"] = at
	if res := f.g.find(from, ref.Reference); res != nil && res.kind == "Organization" {
		f.organizationAt(res)
	}
	if id := ref.Identifier.text(); id != "" {
		f.rx.Originator.ID = id
		f.places["/originator/id"] = at + "/identifier"
	}
	if f.rx.Originator.Name == "" {
		f.rx.Originator.Name = ref.Display
	}
}

func (f *fhirReader) organizationAt(res *resource) {
	var org fhirOrganization
	f.read(res, &org)
	f.places["/originator"], f.places["/originator/id"] = res.at, res.at+"/identifier"
	f.rx.Originator.ID, f.rx.Originator.Name = firstIdentifier(org.Identifier), org.Name
}

// producer reads the pharmacy that the request is meant for, if it names one.
func (f *fhirReader) producer(o *order) {
	ref := o.Dispense.Performer
	if ref == nil {
		return
	}
	at := o.at + "/dispenseRequest/performer"
	f.places["/producer"] = at
	f.rx.Producer = ref.Identifier.text()
	if f.rx.Producer != "" {
		return
	}
	if res := f.follow(o.resource, ref, at, "Organization"); res != nil {
		var org fhirOrganization
		f.read(res, &org)
		f.rx.Producer = firstIdentifier(org.Identifier)
		if f.rx.Producer == "" {
			f.addAt(res.at+"/identifier", "缺少该字段", "is missing")
		}
	}
}

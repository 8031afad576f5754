package prescription

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"signalbox.dev/signalbox/profile/jsontree"
)

// Masked stands in the canonical form where a value was masked (R1.1): a reader
// sees that there was one, and nothing of it.
const Masked = "***"

// DefaultMask is what is masked when Config names nothing: how to reach the
// patient is of no use to review, supervision or settlement.
func DefaultMask() []string { return []string{"/patient/phone", "/patient/address"} }

// Maskable lists what may be masked: what says who the patient is, but for the
// id. Facts, and what a reviewer judges by, must not change with a mask.
func Maskable() []string {
	return []string{"/patient/name", "/patient/gender", "/patient/birth_date", "/patient/phone", "/patient/address"}
}

func checkMask(mask []string) error {
	for _, m := range mask {
		if !slices.Contains(Maskable(), m) {
			return fmt.Errorf("mask: %q can't be masked; these can: %s", m, strings.Join(Maskable(), ", "))
		}
	}
	return nil
}

func (p *Prescription) maskable(pointer string) *string {
	switch pointer {
	case "/patient/name":
		return &p.Patient.Name
	case "/patient/gender":
		return &p.Patient.Gender
	case "/patient/birth_date":
		return &p.Patient.BirthDate
	case "/patient/phone":
		return &p.Patient.Phone
	case "/patient/address":
		return &p.Patient.Address
	}
	return nil
}

// shortest is the least length, in bytes, at which a masked value that another
// text holds is more than chance: two Chinese characters, six digits.
const shortest = 6

// mask masks the named fields, also where another of the patient's own fields
// repeats their value. Where a text that people treat by repeats one ("call
// 138… before delivery"), it is not ours to change: that is a problem.
func (p *Prescription) mask(pointers []string, r *problems) {
	for _, pointer := range pointers {
		f := p.maskable(pointer)
		if f == nil || *f == "" || *f == Masked {
			continue
		}
		value := *f
		*f = Masked
		if len(value) < shortest {
			continue
		}
		for _, other := range Maskable() {
			o := p.maskable(other)
			*o = strings.ReplaceAll(*o, value, Masked)
		}
		for path, text := range p.treatedBy() {
			if strings.Contains(text, value) {
				r.add(path, "含有须脱敏的内容", "repeats a value that is to be masked")
			}
		}
	}
}

// treatedBy gives the free texts beside the patient's own fields, in order.
func (p *Prescription) treatedBy() iter.Seq2[string, string] {
	return func(yield func(path, text string) bool) {
		if !yield("/originator/department", p.Originator.Department) {
			return
		}
		for i, d := range p.Diagnosis {
			if !yield(jsontree.Index("/diagnosis", i)+"/name", d.Name) {
				return
			}
		}
		for i, it := range p.Items {
			at := jsontree.Index("/items", i)
			if !yield(at+"/spec", it.Spec) || !yield(at+"/dosage", it.Dosage) {
				return
			}
		}
	}
}

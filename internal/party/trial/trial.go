// Package trial has the invented people of trials: reviewers, officers, producers
// and prices, for `signalbox up`, `signalbox demo` and platforms on trial.
package trial

import (
	"context"
	"hash/fnv"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/sandbox"
	"signalbox.dev/signalbox/profile"
)

// Person is someone who takes part in flows beside the platform.
type Person struct {
	ID          string
	Name        string
	Role        contract.Role
	Licence     string   // reviewers
	Specialties []string // reviewers
}

// People are those of the all-in-one.
func People() []Person {
	return []Person{
		{ID: "rx-reviewer-001", Name: "沈知远", Role: contract.RoleReviewer, Licence: "YS-990001-0001", Specialties: []string{"general", "narcotic"}},
		{ID: "rx-reviewer-002", Name: "陆清和", Role: contract.RoleReviewer, Licence: "YS-990001-0002", Specialties: []string{"general", "narcotic", "paediatrics"}},
		{ID: "rx-officer-001", Name: "甄明察", Role: contract.RoleOfficer},
		{ID: "rx-officer-002", Name: "程秉公", Role: contract.RoleOfficer},
		{ID: "rx-pharmacy-001", Name: "百草堂大药房", Role: contract.RoleProducer},
		{ID: "rx-pharmacy-002", Name: "仁济连锁药店", Role: contract.RoleProducer},
		{ID: "rx-pharmacy-003", Name: "康宁社区药房", Role: contract.RoleProducer},
	}
}

// licencePrefix begins the licence numbers of a trial platform's people: no
// licence belongs to two people, so that each platform's have their own.
const licencePrefix = "TRIAL-"

// Of are the people of one platform on trial: ids and licences carry its name.
func Of(platform string) []Person {
	var out []Person
	for _, p := range People() {
		if p.Role == contract.RoleOfficer {
			continue
		}
		p.ID = platform + strings.TrimPrefix(p.ID, "rx")
		if p.Licence != "" {
			p.Licence = licencePrefix + p.ID
		}
		out = append(out, p)
	}
	return out
}

// Licences is the licence register of trials: the invented reviewers.
type Licences struct{}

// CheckLicence implements authority.Register.
func (Licences) CheckLicence(_ context.Context, a flow.Application) error {
	for _, p := range People() {
		if p.Licence != "" && p.Name == a.Name && (p.Licence == a.Licence || strings.HasPrefix(a.Licence, licencePrefix)) {
			return nil
		}
	}
	return authority.ErrLicence
}

// Prices is a price list for records that name no price: an amount that follows
// from the item's code.
type Prices struct{}

// Price implements process.Prices: 5.00 to 104.99 a line.
func (Prices) Price(_ context.Context, _ string, item profile.Item) (int64, error) {
	h := fnv.New32a()
	h.Write([]byte(item.Code))
	return 500 + int64(h.Sum32()%10_000), nil
}

// Reviewer is the person as one who enrols with a certificate (R2.1).
func (p Person) Reviewer(certificate []byte) sandbox.Reviewer {
	return sandbox.Reviewer{ID: p.ID, Application: flow.Application{
		Kind: string(p.Role), Name: p.Name, Licence: p.Licence, Specialties: p.Specialties, Certificate: certificate,
	}}
}

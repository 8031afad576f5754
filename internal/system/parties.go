package system

import (
	"time"

	"signalbox.dev/signalbox/contract"
)

// Settings are what a data directory was founded with. They don't change.
type Settings struct {
	Suite    string    `json:"suite"`    // "gm" or "intl"
	Chain    string    `json:"chain"`    // supervision chain id
	Network  string    `json:"network"`  // business chain's network id
	Platform string    `json:"platform"` // the platform's identity
	Begun    time.Time `json:"begun"`    // genesis time of both chains
}

const (
	chainID    = "rx-supervision"
	networkID  = "rx-network-1"
	platformID = "rx-platform-1"
	// zone is the authority's time zone, in which its day begins (R2.3).
	zoneName   = "Asia/Shanghai"
	zoneOffset = 8 * 60 * 60
)

// Participant is someone who takes part in flows beside the platform.
type Participant struct {
	ID          string
	Name        string
	Role        contract.Role
	Licence     string   // reviewers
	Specialties []string // reviewers
}

// participants are the built-in ones. They are invented.
func participants() []Participant {
	return []Participant{
		{ID: "rx-reviewer-001", Name: "沈知远", Role: contract.RoleReviewer, Licence: "YS-990001-0001", Specialties: []string{"general", "narcotic"}},
		{ID: "rx-reviewer-002", Name: "陆清和", Role: contract.RoleReviewer, Licence: "YS-990001-0002", Specialties: []string{"general", "paediatrics"}},
		{ID: "rx-officer-001", Name: "甄明察", Role: contract.RoleOfficer},
		{ID: "rx-officer-002", Name: "程秉公", Role: contract.RoleOfficer},
		{ID: "rx-pharmacy-001", Name: "百草堂大药房", Role: contract.RoleProducer},
		{ID: "rx-pharmacy-002", Name: "仁济连锁药店", Role: contract.RoleProducer},
		{ID: "rx-pharmacy-003", Name: "康宁社区药房", Role: contract.RoleProducer},
	}
}

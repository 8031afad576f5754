package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Genesis is what the contract starts from. It travels as JSON, in the
// supervision chain's own genesis.
type Genesis struct {
	Chain               string     `json:"chain"`                 // supervision chain id
	Suite               string     `json:"suite"`                 // "gm" or "intl"
	Zone                string     `json:"zone"`                  // name of the authority's time zone; empty, with offset 0: Asia/Shanghai at +08:00
	ZoneOffset          int64      `json:"zone_offset"`           // seconds east of UTC, a fixed one
	TokenGrace          int64      `json:"token_grace"`           // seconds that a token lasts at least; 0: 7200
	EnforceRecordExpiry bool       `json:"enforce_record_expiry"` // refuse review and order after the record's last day
	Businesses          []string   `json:"businesses,omitempty"`  // kinds of business admitted; none: all
	Networks            []string   `json:"networks,omitempty"`    // business networks admitted; none: all
	Identities          []Identity `json:"identities,omitempty"`  // platforms, producers, officers and others
	Lists               []Entry    `json:"lists,omitempty"`       // entries of restricted lists
	Bundle              []byte     `json:"bundle"`                // rule bundle, YAML

	ListDefinitions []Definition     `json:"list_definitions,omitempty"` // lists besides the five that every chain has
	Standing        []StandingChange `json:"standing,omitempty"`         // of institutions; those not named are neither
	Grants          []Grant          `json:"grants,omitempty"`           // batch grants
	RequireGrants   bool             `json:"require_grants"`             // refuse whoever is neither and has no batch grant (R6.3); false: rules alone decide
	HoldDeadline    int64            `json:"hold_deadline"`              // seconds that a held submission waits for an officer, then it is refused; 0: 86400
	SecondOfficer   []Kind           `json:"second_officer,omitempty"`   // kinds of order that two officers must sign

	Nodes     []NodeSeat      `json:"nodes,omitempty"`    // of the chain, in the order of their admission; none: one validator, for ever
	Committee committee.Terms `json:"committee,omitzero"` // with Nodes: how many sit, and how seats rotate
	LogKeys   string          `json:"log_keys,omitempty"` // with which the log's checkpoints are signed, vkey lines; none: the first hand-over names them
}

// Defaults of Genesis.
const (
	defaultZone       = "Asia/Shanghai"
	defaultZoneOffset = 8 * 60 * 60
	defaultTokenGrace = 2 * 60 * 60
	maxZoneOffset     = 14 * 60 * 60

	defaultHoldDeadline = secondsPerDay
	maxHoldDeadline     = 365 * secondsPerDay
)

// ParseGenesis reads the JSON form strictly and validates it.
func ParseGenesis(data []byte) (Genesis, error) {
	var g Genesis
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return Genesis{}, fmt.Errorf("reading genesis: %w", err)
	}
	if d.More() {
		return Genesis{}, errors.New("reading genesis: data after its end")
	}
	return g, g.Validate()
}

// Validate says what is wrong with g, naming the field. It admits the bundle.
func (g Genesis) Validate() error {
	if _, err := g.admit(); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	return nil
}

// admit validates everything but what only Init can see.
func (g Genesis) admit() (*Rules, error) {
	if err := flow.CheckName("chain", g.Chain); err != nil {
		return nil, err
	}
	if g.Suite != "gm" && g.Suite != "intl" {
		return nil, errors.New("suite: want gm or intl")
	}
	if g.ZoneOffset < -maxZoneOffset || g.ZoneOffset > maxZoneOffset {
		return nil, fmt.Errorf("zone_offset: want at most %d seconds either way", maxZoneOffset)
	}
	if g.TokenGrace < 0 || g.TokenGrace > secondsPerDay {
		return nil, fmt.Errorf("token_grace: want 0 to %d seconds", secondsPerDay)
	}
	for _, b := range g.Businesses {
		if err := flow.CheckName("businesses", b); err != nil {
			return nil, err
		}
	}
	for _, n := range g.Networks {
		if err := flow.CheckName("networks", n); err != nil {
			return nil, err
		}
	}
	if err := validateIdentities(g.Identities); err != nil {
		return nil, err
	}
	if err := g.validateLists(); err != nil {
		return nil, err
	}
	if err := g.validateOfficers(); err != nil {
		return nil, err
	}
	if err := g.validateNodes(); err != nil {
		return nil, err
	}
	if g.LogKeys != "" {
		keys, err := receipt.ParseKeys(g.LogKeys)
		if err != nil {
			return nil, fmt.Errorf("log_keys: %w", err)
		}
		if keys.Origin() != g.Chain || keys.Known() > 0 {
			return nil, errors.New("log_keys: want keys named by the chain, and no hand-overs")
		}
	}
	if len(g.Bundle) == 0 {
		return nil, errors.New("bundle: missing")
	}
	b, err := ParseBundle(g.Bundle)
	if err != nil {
		return nil, err
	}
	return b.Admit()
}

// validateLists checks the lists that genesis defines, and all entries.
func (g Genesis) validateLists() error {
	lists := make(map[List]Definition)
	for _, d := range builtin() {
		lists[d.Name] = d
	}
	steps := make(map[flow.Step]int)
	for i, d := range g.ListDefinitions {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("list_definitions: entry %d: %w", i+1, err)
		}
		if _, twice := lists[d.Name]; twice {
			return fmt.Errorf("list_definitions: entry %d: stands twice", i+1)
		}
		lists[d.Name] = d
		for _, s := range d.Steps {
			if steps[s]++; steps[s] > maxDefinitions {
				return fmt.Errorf("list_definitions: entry %d: %w", i+1, errTooManyLists)
			}
		}
	}
	for i, e := range g.Lists {
		d, ok := lists[e.List]
		if !ok {
			return fmt.Errorf("lists: entry %d: list: %q is no restricted list", i+1, e.List)
		}
		if err := e.validFor(d); err != nil {
			return fmt.Errorf("lists: entry %d: %w", i+1, err)
		}
	}
	return nil
}

// validateOfficers checks what officers can change later.
func (g Genesis) validateOfficers() error {
	for i, c := range g.Standing {
		if err := c.Validate(); err != nil {
			return fmt.Errorf("standing: entry %d: %w", i+1, err)
		}
	}
	held := make(map[string]int)
	for i, grant := range g.Grants {
		if err := grant.Validate(); err != nil {
			return fmt.Errorf("grants: entry %d: %w", i+1, err)
		}
		if held[grant.Institution]++; held[grant.Institution] > maxGrants {
			return fmt.Errorf("grants: entry %d: %w", i+1, errTooManyGrants)
		}
	}
	if g.HoldDeadline < 0 || g.HoldDeadline > maxHoldDeadline {
		return fmt.Errorf("hold_deadline: want 0 to %d seconds", maxHoldDeadline)
	}
	if err := (Policy{Second: g.SecondOfficer}).Validate(); err != nil {
		return fmt.Errorf("second_officer: %w", err)
	}
	officers := 0
	for _, i := range g.Identities {
		if i.Role == RoleOfficer && i.Status == Active {
			officers++
		}
	}
	if len(g.SecondOfficer) > 0 && officers < 2 {
		return errors.New("second_officer: there are not two active officers")
	}
	return nil
}

func (g Genesis) params() params {
	p := params{
		Chain: g.Chain, Suite: g.Suite, Zone: g.Zone, ZoneOffset: g.ZoneOffset, TokenGrace: g.TokenGrace,
		EnforceRecordExpiry: g.EnforceRecordExpiry, Businesses: g.Businesses, Networks: g.Networks,
		RequireGrants: g.RequireGrants, HoldDeadline: g.HoldDeadline,
	}
	if p.Zone == "" && p.ZoneOffset == 0 {
		p.Zone, p.ZoneOffset = defaultZone, defaultZoneOffset
	}
	if p.TokenGrace == 0 {
		p.TokenGrace = defaultTokenGrace
	}
	if p.HoldDeadline == 0 {
		p.HoldDeadline = defaultHoldDeadline
	}
	return p
}

// Init validates g and writes it into an empty state; the bundle takes force
// as version 1. A state that has a genesis already is an error.
func Init(s State, g Genesis) error {
	rules, err := g.admit()
	if err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if had, err := s.Get(paramsKey()); err != nil {
		return fmt.Errorf("reading state: %w", err)
	} else if had != nil {
		return errors.New("genesis: the state has one already")
	}
	if err := store(s, paramsKey(), g.params()); err != nil {
		return err
	}
	for _, i := range g.Identities {
		if err := putIdentity(s, i); err != nil {
			return err
		}
	}
	if err := g.initOfficers(s); err != nil {
		return err
	}
	if err := g.initNodes(s); err != nil {
		return err
	}
	if g.LogKeys != "" {
		if err := store(s, logKeysKey(), g.LogKeys); err != nil {
			return err
		}
	}
	for _, e := range g.Lists {
		if _, err := AddEntry(s, e); err != nil {
			return err
		}
	}
	return publish(s, rules.address, g.Bundle)
}

// initOfficers writes what officers can change later.
func (g Genesis) initOfficers(s State) error {
	for _, d := range g.ListDefinitions {
		d.Defined = 0
		if err := define(s, d); err != nil {
			return err
		}
	}
	for _, c := range g.Standing {
		if err := store(s, standingKey(c.Institution), standing{Standing: c.Standing}); err != nil {
			return err
		}
	}
	for i, grant := range g.Grants {
		grant.Code, grant.Rule, grant.Version = grantCode(g.Chain, 0, uint64(i)), "", 0
		if err := issue(s, grant, grant.From); err != nil {
			return err
		}
	}
	return store(s, policyKey(), Policy{Second: g.SecondOfficer})
}

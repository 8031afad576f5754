package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
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
	Identities          []Identity `json:"identities,omitempty"`  // platforms, producers and others
	Lists               []Entry    `json:"lists,omitempty"`       // restricted lists
	Bundle              []byte     `json:"bundle"`                // rule bundle, YAML
}

// Defaults of Genesis.
const (
	defaultZone       = "Asia/Shanghai"
	defaultZoneOffset = 8 * 60 * 60
	defaultTokenGrace = 2 * 60 * 60
	maxZoneOffset     = 14 * 60 * 60
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
	for i, e := range g.Lists {
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("lists: entry %d: %w", i+1, err)
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

func (g Genesis) params() params {
	p := params{
		Chain: g.Chain, Suite: g.Suite, Zone: g.Zone, ZoneOffset: g.ZoneOffset, TokenGrace: g.TokenGrace,
		EnforceRecordExpiry: g.EnforceRecordExpiry, Businesses: g.Businesses, Networks: g.Networks,
	}
	if p.Zone == "" && p.ZoneOffset == 0 {
		p.Zone, p.ZoneOffset = defaultZone, defaultZoneOffset
	}
	if p.TokenGrace == 0 {
		p.TokenGrace = defaultTokenGrace
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
	for _, e := range g.Lists {
		if _, err := AddEntry(s, e); err != nil {
			return err
		}
	}
	return publish(s, rules.address, g.Bundle)
}

// bundleRef names the bundle in force.
type bundleRef struct {
	_ struct{} `cbor:",toarray"`

	Address flow.Hash
	Version uint64
}

func bundleInForce(s State) (bundleRef, error) {
	var ref bundleRef
	_, err := load(s, currentBundleKey(), &ref)
	return ref, err
}

// publish puts a bundle in force as the next version.
func publish(s State, address flow.Hash, text []byte) error {
	ref, err := bundleInForce(s)
	if err != nil {
		return err
	}
	if err := store(s, bundleKey(address), text); err != nil {
		return err
	}
	return store(s, currentBundleKey(), bundleRef{Address: address, Version: ref.Version + 1})
}

// Publish admits a bundle and puts it in force as the next version, from the
// next decision of the returned contract on (R6.1).
func Publish(s State, text []byte) (*Contract, error) {
	b, err := ParseBundle(text)
	if err != nil {
		return nil, err
	}
	rules, err := b.Admit()
	if err != nil {
		return nil, err
	}
	if err := publish(s, rules.address, text); err != nil {
		return nil, err
	}
	return New(s)
}

package contract_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

func fullGenesis() contract.Genesis {
	g := genesis()
	g.Zone, g.ZoneOffset, g.TokenGrace, g.EnforceRecordExpiry = "Asia/Urumqi", 6*60*60, 600, true
	g.Businesses, g.Networks = []string{"prescription"}, []string{"net-1"}
	reviewer := identity(contract.RoleReviewer, "R1")
	reviewer.Licence, reviewer.Tags = "licence-1", []string{"oncology"}
	keyless := identity(contract.RoleOriginator, "H1")
	keyless.SPKI, keyless.Key = nil, flow.KeyID{}
	g.Identities = []contract.Identity{identity(contract.RolePlatform, "P1"), reviewer, keyless}
	g.Lists = []contract.Entry{{
		List: contract.RestrictedSubjects, Key: []string{"S1"}, From: since, To: until, Reason: "case 17", Basis: "article 3",
	}}
	return g
}

func TestGenesisTravelsAsJSON(t *testing.T) {
	want := fullGenesis()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := contract.ParseGenesis(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(contract.Identity{}, contract.Entry{})); d != "" {
		t.Errorf("genesis (-want +got):\n%s", d)
	}
	for name, bad := range map[string]string{
		"unknown field": strings.Replace(string(data), `"chain"`, `"name":"x","chain"`, 1),
		"trailing data": string(data) + "{}",
		"invalid":       strings.Replace(string(data), `"intl"`, `"none"`, 1),
		"not JSON":      "chain: x",
	} {
		if _, err := contract.ParseGenesis([]byte(bad)); err == nil {
			t.Errorf("%s: is taken", name)
		}
	}
}

func TestGenesisValidate(t *testing.T) {
	cases := []struct {
		name   string
		change func(*contract.Genesis)
		want   string
	}{
		{"chain", func(g *contract.Genesis) { g.Chain = "a b" }, "chain: want"},
		{"suite", func(g *contract.Genesis) { g.Suite = "rsa" }, "suite: want gm or intl"},
		{"zone", func(g *contract.Genesis) { g.ZoneOffset = 15 * 60 * 60 }, "zone_offset"},
		{"grace", func(g *contract.Genesis) { g.TokenGrace = -1 }, "token_grace"},
		{"long grace", func(g *contract.Genesis) { g.TokenGrace = 86401 }, "token_grace"},
		{"business", func(g *contract.Genesis) { g.Businesses = []string{""} }, "businesses"},
		{"network", func(g *contract.Genesis) { g.Networks = []string{"a/b"} }, "networks"},
		{"no bundle", func(g *contract.Genesis) { g.Bundle = nil }, "bundle: missing"},
		{"bad bundle", func(g *contract.Genesis) { g.Bundle = []byte("rules: 1") }, "reading rule bundle"},
		{"bundle that is not admitted", func(g *contract.Genesis) {
			g.Bundle = []byte(strings.Replace(oneRule, "days_supply: 31", "days_supply: 30", 1))
		}, "is granted, want refused"},
		{"identity's id", func(g *contract.Genesis) { g.Identities[0].ID = "P 1" }, "entry 1: id"},
		{"role", func(g *contract.Genesis) { g.Identities[0].Role = "king" }, "role"},
		{"status", func(g *contract.Genesis) { g.Identities[0].Status = "" }, "status"},
		{"platform without key", func(g *contract.Genesis) {
			g.Identities[0].SPKI, g.Identities[0].Key = nil, flow.KeyID{}
		}, "spki: missing"},
		{"key without key", func(g *contract.Genesis) { g.Identities[2].Key = flow.KeyID{1} }, "spki: missing"},
		{"key of another", func(g *contract.Genesis) { g.Identities[1].Key[0] ^= 1 }, "key: is not the key id"},
		{"key too long", func(g *contract.Genesis) { g.Identities[1].SPKI = make([]byte, 2049) }, "spki: over"},
		{"validity", func(g *contract.Genesis) { g.Identities[1].NotAfter = since }, "not_after"},
		{"licence", func(g *contract.Genesis) { g.Identities[1].Licence = strings.Repeat("x", 129) }, "licence, tags"},
		{"id twice", func(g *contract.Genesis) { g.Identities[1].ID = "P1" }, "stands twice"},
		{"key twice", func(g *contract.Genesis) {
			g.Identities[1].SPKI, g.Identities[1].Key = g.Identities[0].SPKI, g.Identities[0].Key
		}, "stands twice"},
		{"licence twice", func(g *contract.Genesis) { g.Identities[0].Licence = "licence-1" }, "stands twice"},
		{"list", func(g *contract.Genesis) { g.Lists[0].List = "red" }, "is no restricted list"},
		{"key of the list", func(g *contract.Genesis) { g.Lists[0].Key = []string{"S1", "I1"} }, "wants 1 parts"},
		{"empty part", func(g *contract.Genesis) { g.Lists[0].Key = []string{""} }, "key: part 1"},
		{"end before beginning", func(g *contract.Genesis) { g.Lists[0].To = since }, "to: ends"},
		{"no reason", func(g *contract.Genesis) { g.Lists[0].Reason = "" }, "reason: want"},
		{"no basis", func(g *contract.Genesis) { g.Lists[0].Basis = "" }, "basis: want"},
	}
	good := fullGenesis()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := fullGenesis()
			c.change(&g)
			if err := g.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			s := mapState{}
			if err := contract.Init(s, g); err == nil || len(s) > 0 {
				t.Errorf("Init takes it: error %v, %d values", err, len(s))
			}
		})
	}
}

func TestInitOnce(t *testing.T) {
	s, c := begin(t, fullGenesis())
	if err := contract.Init(s, fullGenesis()); err == nil {
		t.Error("a state takes a second genesis")
	}
	if c.Version() != 1 || c.Address().IsZero() {
		t.Errorf("version %d at address %s", c.Version(), c.Address())
	}
	if _, err := contract.New(mapState{}); err == nil {
		t.Error("a state without genesis gives a contract")
	}
	damaged := mapState{}
	for k, v := range s {
		damaged[k] = v
		if strings.HasPrefix(k, "bundle/") && k != "bundle/current" {
			damaged[k] = append([]byte(nil), v...)
			damaged[k][len(v)-2] ^= 1
		}
	}
	if _, err := contract.New(damaged); err == nil {
		t.Error("a damaged bundle gives a contract")
	}
}

// R6.1: a bundle that is not admitted leaves the one in force.
func TestPublish(t *testing.T) {
	s, first := begin(t, genesis())
	before := s.dump()
	if _, err := contract.Publish(s, []byte(strings.Replace(oneRule, "> params", "> 1.5 * params", 1))); err == nil {
		t.Error("a bundle with floating point takes force")
	}
	if s.dump() != before {
		t.Error("a refused bundle changes the state")
	}
	second, err := contract.Publish(s, []byte(oneRule))
	if err != nil {
		t.Fatal(err)
	}
	if second.Version() != 2 || second.Address() == first.Address() {
		t.Errorf("version %d at address %s", second.Version(), second.Address())
	}
	third, err := contract.Publish(s, genesis().Bundle) // back to the first one
	if err != nil {
		t.Fatal(err)
	}
	if third.Version() != 3 || third.Address() != first.Address() {
		t.Errorf("version %d at address %s", third.Version(), third.Address())
	}
	if again, err := contract.New(s); err != nil || again.Version() != 3 || again.Address() != third.Address() {
		t.Errorf("loaded anew: %v, %v", again, err)
	}
}

// R7.1
func TestSetIdentityStatus(t *testing.T) {
	s, _ := begin(t, fullGenesis())
	for _, status := range []contract.Status{contract.Suspended, contract.Active, contract.Revoked, contract.Revoked} {
		if err := contract.SetIdentityStatus(s, "R1", status); err != nil {
			t.Fatal(err)
		}
		if i, ok, err := contract.IdentityOf(s, "R1"); err != nil || !ok || i.Status != status {
			t.Errorf("R1 is %v, %t, %v, want %s", i.Status, ok, err, status)
		}
	}
	if err := contract.SetIdentityStatus(s, "R1", contract.Active); !errors.Is(err, contract.ErrRevoked) {
		t.Errorf("a revoked identity comes back: %v", err)
	}
	if err := contract.SetIdentityStatus(s, "R9", contract.Active); !errors.Is(err, contract.ErrUnknownIdentity) {
		t.Errorf("an identity that is not there: %v", err)
	}
	if err := contract.SetIdentityStatus(s, "P1", "asleep"); err == nil {
		t.Error("an unknown status is set")
	}
	if _, ok, err := contract.IdentityOf(s, "R9"); ok || err != nil {
		t.Errorf("an identity that is not there: %t, %v", ok, err)
	}
}

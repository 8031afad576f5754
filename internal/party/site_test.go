package party

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

func makeSite(t *testing.T, id, suite string) (Dir, Site) {
	t.Helper()
	d := Dir(t.TempDir())
	s, err := d.MakeSite(id, suite, d.Path("chain"), "127.0.0.1:7100", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// R7.1: a node file holds together: identity, vote, network id and address are
// what the identity's key has signed, and nothing of them can be changed on the
// way or taken from another's file.
func TestSite(t *testing.T) {
	d, s := makeSite(t, "site-1", "gm")
	_, other := makeSite(t, "site-1", "gm")
	read, r, err := ReadSite(d.Path(SiteFile))
	if err != nil || read.Fingerprint() != s.Fingerprint() || r.Subject.ID != "site-1" || s.Fingerprint() == other.Fingerprint() {
		t.Fatalf("reading what was made: %+v, %v", read, err)
	}
	stranger, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	fusion := Dir(t.TempDir())
	if _, err := fusion.Apply(Application{Card: Card{ID: "site-1", Role: "node", Suite: "gm"}, Transport: true}, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	linked, err := fusion.Read(RequestFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Site)
		want   string
	}{
		"another id":                {func(s *Site) { s.ID = "site-2" }, "the request is for node site-1"},
		"a stranger's vote":         {func(s *Site) { s.Vote = stranger }, "not signed"},
		"another's network id":      {func(s *Site) { s.Network = other.Network }, "not signed"},
		"another's request":         {func(s *Site) { s.Request = other.Request }, "not signed"},
		"another's signature":       {func(s *Site) { s.Signature = other.Signature }, "not signed"},
		"another address":           {func(s *Site) { s.Address = "127.0.0.1:7101" }, "not signed"},
		"an address of no machine":  {func(s *Site) { s.Address = "0.0.0.0:7100" }, "names no machine"},
		"no request":                {func(s *Site) { s.Request = nil }, "request"},
		"a fusion node's request":   {func(s *Site) { s.Request = linked }, "fusion node"},
		"a vote that is none":       {func(s *Site) { s.Vote = []byte("short") }, "vote"},
		"a network id that is none": {func(s *Site) { s.Network = strings.ToUpper(s.Network) }, "network"},
	} {
		forged := s
		c.change(&forged)
		if _, err := forged.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
	}
}

// A folder's node file must be of the keys that are in it.
func TestOpenSite(t *testing.T) {
	d, s := makeSite(t, "site-1", "gm")
	own, err := d.OpenSite(d.Path("chain"), []byte("secret"))
	if err != nil || own.ID != "site-1" || own.Key.Public().ID() != own.Request.Signing.ID() {
		t.Fatalf("opening: %v", err)
	}
	if _, err := d.OpenSite(d.Path("chain"), []byte("wrong")); err == nil {
		t.Error("opens with a wrong passphrase")
	}
	if _, err := d.OpenSite(d.Path("another"), []byte("secret")); err == nil || !strings.Contains(err.Error(), "not of the keys") {
		t.Errorf("another node's keys: %v", err)
	}
	_, other := makeSite(t, "site-1", "gm")
	data, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Path(SiteFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenSite(d.Path("chain"), []byte("secret")); err == nil || !strings.Contains(err.Error(), "not of the keys") {
		t.Errorf("another folder's file: %v", err)
	}
	if err := os.WriteFile(d.Path(SiteFile), append(data, `{"more":1}`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadSite(d.Path(SiteFile)); err == nil {
		t.Error("takes a file with more after its end")
	}
	if s.Seat(3).Weight != 3 {
		t.Error("the seat has another weight")
	}
}

// The fingerprint of genesis covers what the chain begins with, and not where its
// nodes are.
func TestGenesisFingerprint(t *testing.T) {
	g := Genesis{Chain: chain.Genesis{Authority: []byte("key")}, Peers: []Place{{ID: "site-1"}}}
	first := fingerprint(t, g)
	g.Peers = nil
	if fingerprint(t, g) != first {
		t.Error("it changes when a node moves")
	}
	for name, change := range map[string]func(*Genesis){
		"another time":      func(g *Genesis) { g.Begun = g.Begun.AddDate(0, 0, 1) },
		"another authority": func(g *Genesis) { g.Chain.Authority = []byte("other") },
		"another chain":     func(g *Genesis) { g.Chain.Contract.Chain = "other" },
		"more seats":        func(g *Genesis) { g.Chain.Contract.Committee.Seats++ },
	} {
		other := g
		change(&other)
		if fingerprint(t, other) == first {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

func fingerprint(t *testing.T, g Genesis) flow.Hash {
	t.Helper()
	h, err := g.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

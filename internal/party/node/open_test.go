package node

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

// site makes a node's folder with a passphrase in it.
func site(t *testing.T, id, suite string) (party.Dir, party.Site) {
	t.Helper()
	d := party.Dir(t.TempDir())
	must(t, d.Write([]byte("secret\n"), party.PassphraseFile))
	s, err := d.MakeSite(id, suite, ChainDir(d), "127.0.0.1:7100", []byte("secret"))
	must(t, err)
	return d, s
}

// begin founds an authority with those sites, and gives its genesis file.
func begin(t *testing.T, terms committee.Terms, sites ...party.Site) string {
	t.Helper()
	officer := party.Dir(t.TempDir())
	_, err := officer.Apply(party.Application{Card: party.Card{ID: "officer-1", Role: "officer", Suite: "gm"}}, []byte("secret"))
	must(t, err)
	r, err := authority.ReadRequest(officer.Path(party.RequestFile))
	must(t, err)
	f := authority.Founding{Chain: "chain-1", Suite: "gm", Begun: time.Now(), Officers: []envelope.Request{r}}
	if len(sites) > 0 {
		f.Nodes = &authority.Ceremony{ID: "authority-node", Address: "127.0.0.1:7101", Sites: sites, Terms: terms}
	}
	d := party.Dir(t.TempDir())
	_, err = authority.Found(d, f, []byte("secret"))
	must(t, err)
	return d.Path(party.GenesisFile)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(d party.Dir, genesis, fingerprint string) error {
	c := Default()
	c.Directory, c.PassphraseFile, c.Genesis, c.Fingerprint = string(d), d.Path(party.PassphraseFile), genesis, fingerprint
	c.Listen = "127.0.0.1:0"
	_, err := Open(c, time.Now, slog.New(slog.DiscardHandler))
	return err
}

// R7.1, R8.1: what a ceremony made, each site opens; a genesis that is not the one
// that the operator was told, or has other keys for this node, is refused.
func TestOpen(t *testing.T) {
	d, s := site(t, "site-1", "gm")
	twin, _ := site(t, "site-1", "gm")
	intl, _ := site(t, "site-9", "intl")
	late, _ := site(t, "site-8", "gm")
	file := begin(t, committee.Terms{Seats: 2}, s)
	g, err := party.ReadGenesis(file)
	must(t, err)
	is, err := g.Fingerprint()
	must(t, err)
	for name, c := range map[string]struct {
		dir                        party.Dir
		genesis, fingerprint, want string
	}{
		"another fingerprint":      {d, file, flow.SumHash([]byte("other")).String(), "it is not the authority's genesis"},
		"keys made anew":           {twin, file, "", "other keys for node site-1"},
		"another suite":            {intl, file, "", "--suite gm"},
		"a chain of one validator": {late, begin(t, committee.Terms{}), "", "one validator alone"},
		"no genesis":               {d, d.Path("none.json"), "", "reading genesis"},
	} {
		if err := open(c.dir, c.genesis, c.fingerprint); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
	}
	if err := open(d, file, is.String()); err != nil {
		t.Errorf("a node of genesis: %v", err)
	}
	if err := open(late, file, is.String()); err != nil {
		t.Errorf("a node that comes later: %v", err)
	}
}

// A forged node file is no part of a genesis.
func TestForgedSite(t *testing.T) {
	_, s := site(t, "site-1", "gm")
	_, other := site(t, "site-1", "gm")
	s.Vote = other.Vote
	officer := party.Dir(t.TempDir())
	_, err := officer.Apply(party.Application{Card: party.Card{ID: "officer-1", Role: "officer", Suite: "gm"}}, []byte("secret"))
	must(t, err)
	r, err := authority.ReadRequest(officer.Path(party.RequestFile))
	must(t, err)
	d := party.Dir(t.TempDir())
	_, err = authority.Found(d, authority.Founding{
		Chain: "chain-1", Suite: "gm", Begun: time.Now(), Officers: []envelope.Request{r},
		Nodes: &authority.Ceremony{ID: "authority-node", Address: "127.0.0.1:7101", Sites: []party.Site{s}, Terms: committee.Terms{Seats: 2}},
	}, []byte("secret"))
	if err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("a forged file: %v", err)
	}
	if _, err := os.Stat(d.Path(party.GenesisFile)); err == nil {
		t.Error("genesis was written")
	}
}

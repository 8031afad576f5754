package fusion

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// R7.1: a node goes by the newest list of its own authority and by no other.
func TestListsOfAdmissionsAreChecked(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{})
	authority := p.settled(t, n).Authority()
	admit := func(s flow.SignedAdmissions) error { return authority.Admit(t.Context(), n.name, s) }
	if err := admit(p.list(t, 5, north, south)); err != nil {
		t.Fatal(err)
	}
	another := newParties(t, envelope.GM())
	forged := p.list(t, 6, north)
	forged.List = another.list(t, 6, north, south).List
	elsewhere := flow.Admissions{Version: 1, Chain: "other", Sequence: 7}
	for name, s := range map[string]flow.SignedAdmissions{
		"an older one":            p.list(t, 4, north),
		"another of its number":   p.list(t, 5, north),
		"one of another's making": another.list(t, 6, north),
		"a changed one":           forged,
		"one of another chain":    p.sign(t, elsewhere),
		"one of another version":  p.sign(t, flow.Admissions{Version: 2, Chain: "chain", Sequence: 7}),
		"nothing":                 {},
	} {
		if err := admit(s); !errors.Is(err, ErrAdmissions) {
			t.Errorf("%s: %v, want ErrAdmissions", name, err)
		}
	}
	if err := admit(p.list(t, 5, north, south)); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if got := n.door.list.Sequence; got != 5 {
		t.Errorf("the node goes by number %d", got)
	}
	if err := authority.Admit(t.Context(), "other", p.list(t, 8)); err == nil {
		t.Error("a list for a node that is not there")
	}
}

// R7.1: nobody but the authority gets in without a list; with one, who is on it
// as active and with a certificate of its present admission. Who no longer is
// loses its link, others keep theirs.
func TestAdmissionsAreEnforced(t *testing.T) {
	p := newParties(t, envelope.GM())
	dir := t.TempDir()
	n := p.node(t, NodeConfig{Dir: dir})
	authority := sidesOf(t, p.remote(t, n, link.RoleAuthority, "authority")).Authority()
	try := func(i link.Identity) error {
		c, _, err := raw(t, n, i.Client(nil))
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := try(p.identity(t, link.RolePlatform, north)); err == nil {
		t.Error("a platform gets in before there is a list")
	}
	list := flow.Admissions{Version: 1, Chain: "chain", Sequence: 1, Entries: []flow.Admission{
		{ID: south, Role: link.RolePlatform, Status: flow.AdmissionActive, NotBefore: p.begun.Unix()},
		{ID: north, Role: link.RolePlatform, Status: flow.AdmissionActive, NotBefore: p.begun.Unix()},
	}}
	give := func(change func(north *flow.Admission)) {
		t.Helper()
		list.Sequence++
		change(&list.Entries[1])
		if err := authority.Admit(t.Context(), n.name, p.sign(t, list)); err != nil {
			t.Fatal(err)
		}
	}
	give(func(*flow.Admission) {})
	other := p.remote(t, n, link.RolePlatform, south)
	mine, _, err := raw(t, n, p.identity(t, link.RolePlatform, north).Client(nil))
	if err != nil {
		t.Fatal(err)
	}
	give(func(a *flow.Admission) { a.Status = "suspended" })
	eventually(t, mine.IsClosed)
	if err := try(p.identity(t, link.RolePlatform, north)); err == nil {
		t.Error("a suspended platform gets in")
	}
	give(func(a *flow.Admission) { a.Status, a.Role = flow.AdmissionActive, link.RoleNode })
	if err := try(p.identity(t, link.RolePlatform, north)); err == nil {
		t.Error("a platform that is admitted as a node gets in")
	}
	give(func(a *flow.Admission) { a.Role, a.NotBefore = link.RolePlatform, p.begun.Add(time.Second).Unix() })
	if err := try(p.identity(t, link.RolePlatform, north)); err == nil {
		t.Error("a certificate older than the admission gets in")
	}
	if err := try(p.identityFrom(t, link.RolePlatform, north, p.begun.Add(time.Second))); err != nil {
		t.Errorf("the admission's own certificate: %v", err)
	}
	list.Entries = list.Entries[:1]
	list.Sequence++
	if err := authority.Admit(t.Context(), n.name, p.sign(t, list)); err != nil {
		t.Fatal(err)
	}
	if err := try(p.identityFrom(t, link.RolePlatform, north, p.begun.Add(time.Second))); err == nil {
		t.Error("a platform that is not on the list gets in")
	}
	if err := other.Connected(); err != nil {
		t.Errorf("the other platform lost its link: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "admissions.cbor"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the list's file: %v, %v", info.Mode(), err)
	}
}

// R7.1: a list that the disk damaged counts as none, which lets no platform in.
func TestDamagedListLetsNobodyIn(t *testing.T) {
	p := newParties(t, envelope.GM())
	dir := t.TempDir()
	first := p.node(t, NodeConfig{Dir: dir})
	p.settled(t, first)
	first.stop(t)
	if err := os.WriteFile(filepath.Join(dir, "admissions.cbor"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := p.node(t, NodeConfig{Dir: dir})
	if _, _, err := raw(t, n, p.identity(t, link.RolePlatform, north).Client(nil)); err == nil {
		t.Error("a platform gets in")
	}
}

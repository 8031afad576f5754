package authority

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/party"
)

// Founding is what a new authority begins with. It does not change afterwards;
// what can change is changed by officers' orders.
type Founding struct {
	Chain      string
	Suite      string
	Zone       string // name of a time zone with the fixed offset that it has now
	Offset     int    // seconds east of UTC
	Networks   []string
	Businesses []string
	Officers   []envelope.Request // admitted at genesis; they admit everybody else
	Begun      time.Time
	Nodes      *Ceremony // nil: the authority's node is the only one, for good
}

// Ceremony is how a chain of several nodes begins: the authority's own node and
// those of the sites, whose files hold public parts alone.
type Ceremony struct {
	ID      string // of the authority's own node
	Address string // host:port at which the others reach it
	Sites   []party.Site
	Terms   committee.Terms
}

// certificateYears is how long the CA, and what it certifies at genesis, is valid.
const certificateYears = 10

// Files in the authority's folder beside keys.
const (
	trustFile   = "authority.json" // Admission without parties: what ledgers and auditors need
	logKeysFile = "authority.pub"
	linkFile    = "transport.der"
)

// NodeDir is where the identity of the authority's own chain node is, in a chain
// of several.
func NodeDir(dir party.Dir) party.Dir { return party.Dir(dir.Path("node")) }

// Found makes the authority's folder: keys, CA, its own certificate for links,
// the chain's genesis, and what it publishes. It gives the officers' admission.
func Found(dir party.Dir, f Founding, passphrase []byte) (party.Admission, error) {
	suite, err := envelope.ByName(f.Suite)
	if err != nil {
		return party.Admission{}, err
	}
	f.Begun = f.Begun.UTC().Truncate(time.Second)
	from, to := f.Begun.Add(-time.Minute), f.Begun.AddDate(certificateYears, 0, 0)
	keys := NewKeys(suite, f.Chain)
	if err := party.MakeKeys(suite, passphrase, keys.Slots(dir)); err != nil {
		return party.Admission{}, err
	}
	if err := keys.MakeSecrets(dir); err != nil {
		return party.Admission{}, err
	}
	ca, err := MakeCA(dir, f.Suite, passphrase, from, to)
	if err != nil {
		return party.Admission{}, err
	}
	if err := makeLink(dir, ca, f.Chain, passphrase, from, to); err != nil {
		return party.Admission{}, err
	}
	out := party.Admission{Authority: trust(f, keys, ca)}
	data, err := out.Encode()
	if err != nil {
		return party.Admission{}, err
	}
	for _, r := range f.Officers {
		if r.Subject.Role != string(contract.RoleOfficer) {
			return party.Admission{}, fmt.Errorf("the request of %s is a %s's: at genesis officers alone are admitted", r.Subject.ID, r.Subject.Role)
		}
		c, err := Certify(ca, r, from, to)
		if err != nil {
			return party.Admission{}, err
		}
		out.Parties = append(out.Parties, c)
	}
	sites, err := makeSites(dir, f, passphrase)
	if err != nil {
		return party.Admission{}, err
	}
	return out, errors.Join(
		writeGenesis(dir, f, keys, ca, slices.Clone(out.Parties), sites),
		dir.Write(data, trustFile),
		dir.Write([]byte(keys.Published()), logKeysFile),
		dir.WriteCard(party.Card{ID: f.Chain, Role: link.RoleAuthority, Suite: f.Suite}),
	)
}

// makeLink makes the authority's own key and certificate for links.
func makeLink(dir party.Dir, ca envelope.CA, id string, passphrase []byte, from, to time.Time) error {
	k, err := party.MakeTransport(dir.TransportFile(), passphrase)
	if err != nil {
		return err
	}
	der, err := ca.IssueTransport(rand.Reader, envelope.Subject{ID: id, Role: link.RoleAuthority}, k.Public(), nil, from, to)
	if err != nil {
		return err
	}
	return dir.Write(der, linkFile)
}

func trust(f Founding, keys *Keys, ca envelope.CA) party.Trust {
	return party.Trust{
		Chain: f.Chain, Suite: f.Suite, Zone: f.Zone, ZoneOffset: f.Offset, CA: ca.Certificate(),
		Signing: keys.Signing.Public().SPKI(), Sealing: keys.Sealing.Public().SPKI(), Log: keys.Published(),
	}
}

func writeGenesis(dir party.Dir, f Founding, keys *Keys, ca envelope.CA, officers []party.Certified, sites []party.Site) error {
	g := chain.Genesis{
		Authority: keys.Signing.Public().SPKI(), CA: ca.Certificate(),
		Contract: contract.Genesis{
			Chain: f.Chain, Suite: f.Suite, Zone: f.Zone, ZoneOffset: int64(f.Offset),
			Businesses: slices.Clone(f.Businesses), Networks: slices.Clone(f.Networks), Bundle: contracts.Prescription(),
			LogKeys: keys.Published(),
		},
	}
	g.MemberSignatures = len(sites) > 0
	out := party.Genesis{Begun: f.Begun}
	all := officers
	for _, s := range sites {
		given, err := certifySite(ca, f, s)
		if err != nil {
			return err
		}
		all = append(all, given)
		g.Contract.Nodes, g.Contract.Committee = append(g.Contract.Nodes, s.Seat(1)), f.Nodes.Terms
		out.Peers = append(out.Peers, party.Place{ID: s.ID, Network: s.Network, Address: s.Address})
	}
	for _, o := range all {
		c, err := envelope.CheckCertificate(g.CA, o.Signing, f.Begun)
		if err != nil {
			return fmt.Errorf("composing genesis: %w", err)
		}
		g.Certificates = append(g.Certificates, o.Signing)
		g.Contract.Identities = append(g.Contract.Identities, chain.IdentityOf(c))
	}
	if err := g.Validate(f.Begun); err != nil {
		return fmt.Errorf("composing genesis: %w", err)
	}
	out.Chain = g
	data, err := out.Encode()
	if err != nil {
		return err
	}
	return dir.Write(data, party.GenesisFile)
}

// makeSites makes the authority's own node and puts it before the others: nothing
// where the chain has one validator.
func makeSites(dir party.Dir, f Founding, passphrase []byte) ([]party.Site, error) {
	if f.Nodes == nil {
		return nil, nil
	}
	own, err := NodeDir(dir).MakeSite(f.Nodes.ID, f.Suite, ChainDir(dir), f.Nodes.Address, passphrase)
	if err != nil {
		return nil, err
	}
	return append([]party.Site{own}, f.Nodes.Sites...), nil
}

// certifySite issues the certificate of a node of genesis, once its file is found
// to hold together.
func certifySite(ca envelope.CA, f Founding, s party.Site) (party.Certified, error) {
	r, err := s.Check()
	if err != nil {
		return party.Certified{}, fmt.Errorf("node %s: %w", s.ID, err)
	}
	return Certify(ca, r, f.Begun.Add(-time.Minute), f.Begun.AddDate(certificateYears, 0, 0))
}

func readGenesis(dir party.Dir) (party.Genesis, error) {
	return party.ReadGenesis(dir.Path(party.GenesisFile))
}

// Certify issues the certificates that a request asks for: both begin at once,
// since links are refused whose certificate is older than the signing one.
func Certify(ca envelope.CA, r envelope.Request, from, to time.Time) (party.Certified, error) {
	if r.Subject.Role == link.RoleAuthority {
		return party.Certified{}, fmt.Errorf("certifying %s: nobody else is the authority", r.Subject.ID)
	}
	if s := r.Signing.Suite(); s != ca.Suite() {
		return party.Certified{}, fmt.Errorf("certifying %s: its keys are of suite %s, the authority's of %s: make them anew with --suite %s", r.Subject.ID, s, ca.Suite(), ca.Suite())
	}
	c := party.Certified{ID: r.Subject.ID, Role: r.Subject.Role}
	var err error
	if c.Signing, err = ca.Issue(rand.Reader, r.Subject, r.Signing, from, to); err != nil {
		return c, fmt.Errorf("certifying %s: %w", r.Subject.ID, err)
	}
	if r.Transport == nil {
		return c, nil
	}
	if c.Transport, err = ca.IssueTransport(rand.Reader, r.Subject, r.Transport, r.Hosts, from, to); err != nil {
		return c, fmt.Errorf("certifying %s: %w", r.Subject.ID, err)
	}
	return c, nil
}

// ReadTrust reads what the authority of the folder publishes about itself.
func ReadTrust(dir party.Dir) (party.Trust, error) {
	a, err := party.ReadAdmission(dir.Path(trustFile))
	return a.Authority, err
}

// TrustFile is where that is.
func TrustFile(dir party.Dir) string { return dir.Path(trustFile) }

// LogKeysFile is where its log keys are, for everyone who checks receipts.
func LogKeysFile(dir party.Dir) string { return dir.Path(logKeysFile) }

// ReadRequest reads a request file and checks its proofs of possession.
func ReadRequest(file string) (envelope.Request, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return envelope.Request{}, fmt.Errorf("reading a request: %w", err)
	}
	r, err := envelope.ParseRequest(data)
	if err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

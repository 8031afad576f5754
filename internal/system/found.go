package system

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/party/trial"
)

// certificateYears is how long the built-in certificates are valid.
const certificateYears = 10

// found makes a data directory's keys, certificates and settings, or reads them
// when it has been founded before. Settings are written last: what is left of a
// founding that was interrupted is made anew.
func found(dir, suiteName string, now time.Time) (Settings, *ring, error) {
	l := dataDir(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Settings{}, nil, fmt.Errorf("making the data directory: %w", err)
	}
	passphrase, err := party.NewPassphrase(l.passphrase())
	if err != nil {
		return Settings{}, nil, err
	}
	have, err := party.Exists(l.settings())
	if err != nil {
		return Settings{}, nil, fmt.Errorf("opening the data directory: %w", err)
	}
	if have {
		return reopen(l, suiteName, passphrase)
	}
	suite, err := envelope.ByName(suiteName)
	if err != nil {
		return Settings{}, nil, err
	}
	s := Settings{Suite: suiteName, Chain: chainID, Network: networkID, Platform: platformID, Begun: now.UTC().Truncate(time.Second)}
	r, err := establish(l, s, suite, passphrase)
	if err != nil {
		return Settings{}, nil, err
	}
	enc, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return Settings{}, nil, err
	}
	return s, r, l.Write(append(enc, '\n'), "signalbox.json")
}

// establish makes all keys and certificates of a new system.
func establish(l layout, s Settings, suite envelope.Suite, passphrase []byte) (*ring, error) {
	for _, part := range []string{"authority", "authority.pub", "platform", "business", "participants", "fusion"} {
		if err := os.RemoveAll(l.Path(part)); err != nil {
			return nil, fmt.Errorf("clearing an interrupted founding: %w", err)
		}
	}
	r := newRing(suite, s.Chain)
	if err := party.MakeKeys(suite, passphrase, r.slots(l)); err != nil {
		return nil, err
	}
	if err := r.authority.MakeSecrets(l.authority()); err != nil {
		return nil, err
	}
	var err error
	from, to := s.Begun.Add(-time.Minute), s.Begun.AddDate(certificateYears, 0, 0)
	if r.ca, err = authority.MakeCA(l.authority(), suite.Name(), passphrase, from, to); err != nil {
		return nil, err
	}
	certify := func(id string, role contract.Role, key envelope.PrivateKey, file string) ([]byte, error) {
		der, err := r.ca.Issue(rand.Reader, envelope.Subject{ID: id, Role: string(role)}, key.Public(), from, to)
		if err != nil {
			return nil, fmt.Errorf("certifying %s: %w", id, err)
		}
		return der, l.Write(der, file)
	}
	if r.certificate, err = certify(platformID, contract.RolePlatform, r.platform.Signing, "platform/certificate.der"); err != nil {
		return nil, err
	}
	for _, p := range trial.People() {
		k := r.people[p.ID]
		if k.certificate, err = certify(p.ID, p.Role, k.signing, certificateFile(p.ID)); err != nil {
			return nil, err
		}
	}
	return r, l.Write([]byte(r.authority.Published()), "authority.pub")
}

// LoadSettings reads the settings of a founded data directory.
func LoadSettings(dir string) (Settings, error) {
	b, err := os.ReadFile(dataDir(dir).settings())
	if err != nil {
		return Settings{}, fmt.Errorf("%s is not a Signalbox data directory: %w", dir, err)
	}
	var s Settings
	if err := json.Unmarshal(b, &s); err != nil {
		return Settings{}, fmt.Errorf("reading %s: %w", dataDir(dir).settings(), err)
	}
	return s, nil
}

// reopen reads the keys of a founded system.
func reopen(l layout, suiteName string, passphrase []byte) (Settings, *ring, error) {
	s, err := LoadSettings(string(l.Dir))
	if err != nil {
		return Settings{}, nil, err
	}
	if suiteName != "" && suiteName != s.Suite {
		return Settings{}, nil, fmt.Errorf("%s was founded with suite %s, not %s: choose another directory", l.Dir, s.Suite, suiteName)
	}
	suite, err := envelope.ByName(s.Suite)
	if err != nil {
		return Settings{}, nil, err
	}
	r := newRing(suite, s.Chain)
	if err := party.LoadKeys(passphrase, r.slots(l)); err != nil {
		return Settings{}, nil, err
	}
	if r.ca, err = authority.LoadCA(l.authority(), passphrase); err != nil {
		return Settings{}, nil, err
	}
	if err := r.readCertificates(l); err != nil {
		return Settings{}, nil, err
	}
	return s, r, r.authority.LoadSecrets(l.authority())
}

// genesis is what the supervision chain starts from. Reviewers are not in it:
// they enrol (R2.1).
func genesis(s Settings, r *ring) (chain.Genesis, error) {
	g := chain.Genesis{
		Authority: r.authority.Signing.Public().SPKI(),
		CA:        r.ca.Certificate(),
		Contract: contract.Genesis{
			Chain: s.Chain, Suite: s.Suite, Zone: zoneName, ZoneOffset: zoneOffset,
			Businesses: []string{"prescription"}, Networks: []string{s.Network}, Bundle: contracts.Prescription(),
		},
	}
	certificates := [][]byte{r.certificate}
	for _, p := range trial.People() {
		if p.Role == contract.RoleProducer || p.Role == contract.RoleOfficer {
			certificates = append(certificates, r.people[p.ID].certificate)
		}
	}
	for _, der := range certificates {
		c, err := envelope.CheckCertificate(g.CA, der, s.Begun)
		if err != nil {
			return chain.Genesis{}, fmt.Errorf("composing genesis: %w", err)
		}
		g.Certificates = append(g.Certificates, der)
		g.Contract.Identities = append(g.Contract.Identities, chain.IdentityOf(c))
	}
	return g, nil
}

package system

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
)

// certificateYears is how long the built-in certificates are valid.
const certificateYears = 10

// Found makes a data directory's keys, certificates and settings, or reads them
// when it has been founded before. Settings are written last: what is left of a
// founding that was interrupted is made anew.
func found(dir, suiteName string, now time.Time) (Settings, *ring, error) {
	l := layout{dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Settings{}, nil, fmt.Errorf("making the data directory: %w", err)
	}
	passphrase, err := l.passphrase()
	if err != nil {
		return Settings{}, nil, err
	}
	have, err := exists(l.settings())
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
	return s, r, l.write(append(enc, '\n'), "signalbox.json")
}

// establish makes all keys and certificates of a new system.
func establish(l layout, s Settings, suite envelope.Suite, passphrase []byte) (*ring, error) {
	for _, part := range []string{"authority", "authority.pub", "platform", "business", "participants", "fusion"} {
		if err := os.RemoveAll(l.path(part)); err != nil {
			return nil, fmt.Errorf("clearing an interrupted founding: %w", err)
		}
	}
	r := &ring{people: map[string]participantKeys{}}
	slots := r.slots(suite.Name())
	people := map[string]*participantKeys{}
	for _, p := range participants() {
		people[p.ID] = &participantKeys{}
		slots = append(slots, participantSlots(p, people[p.ID])...)
	}
	if err := makeKeys(l, suite, passphrase, slots); err != nil {
		return nil, err
	}
	if err := r.authority.makeSecrets(l, suite); err != nil {
		return nil, err
	}
	from, to := s.Begun.Add(-time.Minute), s.Begun.AddDate(certificateYears, 0, 0)
	ca, err := envelope.NewCA(rand.Reader, suite.Name(), "signalbox-authority", from, to)
	if err != nil {
		return nil, err
	}
	r.authority.ca = ca
	data, err := envelope.EncodeCA(rand.Reader, ca, passphrase)
	if err != nil {
		return nil, err
	}
	if err := l.write(data, "authority/keys/ca.pem"); err != nil {
		return nil, err
	}
	r.platform.certificate, err = certify(l, ca, platformID, contract.RolePlatform, r.platform.signing, "platform/certificate.der", from, to)
	if err != nil {
		return nil, err
	}
	for _, p := range participants() {
		k := people[p.ID]
		k.certificate, err = certify(l, ca, p.ID, p.Role, k.signing, filepath.Join("participants", p.ID, "certificate.der"), from, to)
		if err != nil {
			return nil, err
		}
		r.people[p.ID] = *k
	}
	return r, l.write([]byte(r.authority.published(suite)), "authority.pub")
}

func certify(l layout, ca envelope.CA, id string, role contract.Role, key envelope.PrivateKey, file string, from, to time.Time) ([]byte, error) {
	der, err := ca.Issue(rand.Reader, envelope.Subject{ID: id, Role: string(role)}, key.Public(), from, to)
	if err != nil {
		return nil, fmt.Errorf("certifying %s: %w", id, err)
	}
	return der, l.write(der, file)
}

// LoadSettings reads the settings of a founded data directory.
func LoadSettings(dir string) (Settings, error) {
	b, err := os.ReadFile(layout{dir}.settings())
	if err != nil {
		return Settings{}, fmt.Errorf("%s is not a Signalbox data directory: %w", dir, err)
	}
	var s Settings
	if err := json.Unmarshal(b, &s); err != nil {
		return Settings{}, fmt.Errorf("reading %s: %w", layout{dir}.settings(), err)
	}
	return s, nil
}

// reopen reads the keys of a founded system.
func reopen(l layout, suiteName string, passphrase []byte) (Settings, *ring, error) {
	s, err := LoadSettings(l.dir)
	if err != nil {
		return Settings{}, nil, err
	}
	if suiteName != "" && suiteName != s.Suite {
		return Settings{}, nil, fmt.Errorf("%s was founded with suite %s, not %s: choose another directory", l.dir, s.Suite, suiteName)
	}
	suite, err := envelope.ByName(s.Suite)
	if err != nil {
		return Settings{}, nil, err
	}
	r := &ring{people: map[string]participantKeys{}}
	slots := r.slots(s.Suite)
	people := map[string]*participantKeys{}
	for _, p := range participants() {
		people[p.ID] = &participantKeys{}
		slots = append(slots, participantSlots(p, people[p.ID])...)
	}
	if err := loadKeys(l, passphrase, slots); err != nil {
		return Settings{}, nil, err
	}
	for _, p := range participants() {
		k := people[p.ID]
		if k.certificate, err = l.read("participants", p.ID, "certificate.der"); err != nil {
			return Settings{}, nil, err
		}
		r.people[p.ID] = *k
	}
	return s, r, r.reopenAuthority(l, suite, passphrase)
}

func (r *ring) reopenAuthority(l layout, suite envelope.Suite, passphrase []byte) error {
	data, err := l.read("authority/keys/ca.pem")
	if err != nil {
		return err
	}
	if r.authority.ca, err = envelope.DecodeCA(data, passphrase); err != nil {
		return fmt.Errorf("reading the CA's key: %w", err)
	}
	if r.platform.certificate, err = l.read("platform/certificate.der"); err != nil {
		return err
	}
	logKey, err := r.authority.readSecret(l, suite, logFile)
	if err != nil {
		return err
	}
	r.authority.log, r.authority.logKey, _ = strings.Cut(string(logKey), "\n")
	r.authority.pseudonym, err = r.authority.readSecret(l, suite, pseudonymFile)
	return err
}

// genesis is what the supervision chain starts from. Reviewers are not in it:
// they enrol (R2.1).
func genesis(s Settings, r *ring) (chain.Genesis, error) {
	g := chain.Genesis{
		Authority: r.authority.signing.Public().SPKI(),
		CA:        r.authority.ca.Certificate(),
		Contract: contract.Genesis{
			Chain: s.Chain, Suite: s.Suite, Zone: zoneName, ZoneOffset: zoneOffset,
			Businesses: []string{"prescription"}, Networks: []string{s.Network}, Bundle: contracts.Prescription(),
		},
	}
	certificates := [][]byte{r.platform.certificate}
	for _, p := range participants() {
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

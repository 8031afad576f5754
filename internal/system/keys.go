package system

import (
	"errors"
	"fmt"
	"path/filepath"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/party/platform"
	"signalbox.dev/signalbox/internal/party/trial"
)

// ring is every private key of an all-in-one system, each party's apart.
type ring struct {
	authority *authority.Keys
	ca        envelope.CA
	platform  platform.Keys
	people    map[string]*participantKeys

	certificate []byte // the platform's
}

type participantKeys struct {
	signing     envelope.PrivateKey
	sealing     envelope.PrivateKey // producers alone (R4.1)
	certificate []byte
}

func newRing(suite envelope.Suite, chain string) *ring {
	r := &ring{authority: authority.NewKeys(suite, chain), people: map[string]*participantKeys{}}
	for _, p := range trial.People() {
		r.people[p.ID] = &participantKeys{}
	}
	return r
}

// slots lists all key files.
func (r *ring) slots(l layout) []party.Slot {
	all := append(r.authority.Slots(l.authority()), r.platform.Slots(l.platform(), l.network())...)
	for _, p := range trial.People() {
		all = append(all, participantSlots(l, p, r.people[p.ID])...)
	}
	return all
}

// participantSlots lists the key files of one participant.
func participantSlots(l layout, p trial.Person, k *participantKeys) []party.Slot {
	all := []party.Slot{{Key: &k.signing, Use: envelope.Signing, File: l.Path("participants", p.ID, "signing.pem")}}
	if p.Role == contract.RoleProducer {
		all = append(all, party.Slot{Key: &k.sealing, Use: envelope.Sealing, File: l.Path("participants", p.ID, "sealing.pem")})
	}
	return all
}

func certificateFile(id string) string { return filepath.Join("participants", id, "certificate.der") }

// readCertificates reads the platform's and the participants'.
func (r *ring) readCertificates(l layout) (err error) {
	if r.certificate, err = l.Read("platform/certificate.der"); err != nil {
		return err
	}
	for id, k := range r.people {
		var mine error
		k.certificate, mine = l.Read(certificateFile(id))
		err = errors.Join(err, mine)
	}
	return err
}

// OfficerKey reads the signing key of a built-in officer, for tools that give
// orders. It is the officer's own; the authority has no part in it (R7.3).
func OfficerKey(dir, id string) (envelope.PrivateKey, error) {
	l := dataDir(dir)
	for _, p := range trial.People() {
		if p.ID != id || p.Role != contract.RoleOfficer {
			continue
		}
		passphrase, err := party.Passphrase(l.passphrase())
		if err != nil {
			return envelope.PrivateKey{}, err
		}
		var k participantKeys
		err = party.LoadKeys(passphrase, participantSlots(l, p, &k))
		return k.signing, err
	}
	return envelope.PrivateKey{}, fmt.Errorf("%s is no built-in officer", id)
}

package system

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/receipt"
)

// ring is every private key of an all-in-one system, each party's apart.
type ring struct {
	authority authorityKeys
	platform  platformKeys
	people    map[string]participantKeys
}

type authorityKeys struct {
	ca        envelope.CA
	signing   envelope.PrivateKey
	sealing   envelope.PrivateKey
	logSM2    envelope.PrivateKey // suite gm alone
	log       string              // Ed25519, a signed note's skey text
	logKey    string              // its vkey line
	pseudonym []byte
}

type platformKeys struct {
	signing     envelope.PrivateKey
	sealing     envelope.PrivateKey
	network     envelope.PrivateKey // of the business network, which this platform operates (R8.4)
	certificate []byte
}

type participantKeys struct {
	signing     envelope.PrivateKey
	sealing     envelope.PrivateKey // producers alone (R4.1)
	certificate []byte
}

// slot is one key file: where the key goes, what it is for, and its file.
type slot struct {
	key  *envelope.PrivateKey
	use  envelope.Use
	file string
}

// slots lists the key files of a suite.
func (r *ring) slots(suite string) []slot {
	all := []slot{
		{&r.authority.signing, envelope.Signing, "authority/keys/signing.pem"},
		{&r.authority.sealing, envelope.Sealing, "authority/keys/sealing.pem"},
		{&r.platform.signing, envelope.Signing, "platform/keys/signing.pem"},
		{&r.platform.sealing, envelope.Sealing, "platform/keys/sealing.pem"},
		{&r.platform.network, envelope.Sealing, "business/keys/sealing.pem"},
	}
	if suite == "gm" {
		all = append(all, slot{&r.authority.logSM2, envelope.Signing, "authority/keys/log-sm2.pem"})
	}
	return all
}

// participantSlots lists the key files of one participant.
func participantSlots(p Participant, k *participantKeys) []slot {
	all := []slot{{&k.signing, envelope.Signing, filepath.Join("participants", p.ID, "signing.pem")}}
	if p.Role == "producer" {
		all = append(all, slot{&k.sealing, envelope.Sealing, filepath.Join("participants", p.ID, "sealing.pem")})
	}
	return all
}

// each runs fn on every slot, on all cores: RSA keys and scrypt take their time.
func each(slots []slot, fn func(slot) error) error {
	var g errgroup.Group
	for _, s := range slots {
		g.Go(func() error { return fn(s) })
	}
	return g.Wait()
}

func loadKeys(l layout, passphrase []byte, slots []slot) error {
	return each(slots, func(s slot) error {
		data, err := l.read(s.file)
		if err != nil {
			return err
		}
		k, err := envelope.DecodeKey(data, passphrase)
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.file, err)
		}
		if k.Public().Use() != s.use {
			return fmt.Errorf("reading %s: holds a %s key, want a %s key", s.file, k.Public().Use(), s.use)
		}
		*s.key = k
		return nil
	})
}

func makeKeys(l layout, suite envelope.Suite, passphrase []byte, slots []slot) error {
	return each(slots, func(s slot) error {
		k, err := suite.GenerateKey(rand.Reader, s.use)
		if err != nil {
			return fmt.Errorf("making %s: %w", s.file, err)
		}
		data, err := envelope.EncodeKey(rand.Reader, k, passphrase)
		if err != nil {
			return fmt.Errorf("making %s: %w", s.file, err)
		}
		*s.key = k
		return l.write(data, s.file)
	})
}

// Files of secrets that are no key pairs: sealed to the authority's own key.
const (
	logFile       = "authority/keys/log-ed25519.sealed"
	pseudonymFile = "authority/keys/pseudonym.sealed"
)

// secretContext binds a sealed secret to its file's name.
func secretContext(suite envelope.Suite, key envelope.PublicKey, name string, m envelope.Message) envelope.Context {
	return envelope.Context{
		Purpose: "secret", Suite: suite.Name(), Actor: name,
		Recipients: []flow.KeyID{key.ID()}, Commitment: envelope.Commit(suite, m),
	}
}

func (a *authorityKeys) writeSecret(l layout, suite envelope.Suite, name string, secret []byte) error {
	m := envelope.Message{Payload: secret}
	rand.Read(m.Salt[:])
	ctx := secretContext(suite, a.sealing.Public(), name, m)
	sealed, err := suite.Seal(rand.Reader, ctx, m, a.sealing.Public())
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	file, err := flow.Marshal(sealedSecret{Commitment: ctx.Commitment, Sealed: sealed})
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return l.write(file, name)
}

type sealedSecret struct {
	_ struct{} `cbor:",toarray"`

	Commitment flow.Hash
	Sealed     []byte
}

func (a *authorityKeys) readSecret(l layout, suite envelope.Suite, name string) ([]byte, error) {
	file, err := l.read(name)
	if err != nil {
		return nil, err
	}
	var s sealedSecret
	if err := flow.Unmarshal(file, &s); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	ctx := secretContext(suite, a.sealing.Public(), name, envelope.Message{})
	ctx.Commitment = s.Commitment
	m, err := suite.Open(ctx, s.Sealed, a.sealing)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return m.Payload, nil
}

// makeSecrets draws the authority's log key and pseudonym key.
func (a *authorityKeys) makeSecrets(l layout, suite envelope.Suite) error {
	var err error
	if a.log, a.logKey, err = receipt.NewLogKey(rand.Reader, chainID); err != nil {
		return err
	}
	a.pseudonym = make([]byte, authority.PseudonymKeySize)
	rand.Read(a.pseudonym)
	return errors.Join(
		a.writeSecret(l, suite, logFile, []byte(a.log+"\n"+a.logKey)),
		a.writeSecret(l, suite, pseudonymFile, a.pseudonym),
	)
}

// signers are the authority's log keys.
func (a *authorityKeys) signers(suite envelope.Suite) ([]note.Signer, error) {
	ed, err := note.NewSigner(a.log)
	if err != nil {
		return nil, fmt.Errorf("reading the log key: %w", err)
	}
	if suite.Name() != "gm" {
		return []note.Signer{ed}, nil
	}
	return []note.Signer{ed, receipt.SM2Signer(chainID, a.logSM2, rand.Reader)}, nil
}

// published is the text of authority.pub: vkey lines.
func (a *authorityKeys) published(suite envelope.Suite) string {
	text := a.logKey + "\n"
	if suite.Name() == "gm" {
		text += receipt.SM2Key(chainID, a.logSM2.Public()) + "\n"
	}
	return text
}

// OfficerKey reads the signing key of a built-in officer, for tools that give
// orders. It is the officer's own; the authority has no part in it (R7.3).
func OfficerKey(dir, id string) (envelope.PrivateKey, error) {
	l := layout{dir}
	for _, p := range participants() {
		if p.ID != id || p.Role != contract.RoleOfficer {
			continue
		}
		passphrase, err := l.passphrase()
		if err != nil {
			return envelope.PrivateKey{}, err
		}
		var k participantKeys
		err = loadKeys(l, passphrase, participantSlots(p, &k))
		return k.signing, err
	}
	return envelope.PrivateKey{}, fmt.Errorf("%s is no built-in officer", id)
}

package authority

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	role "signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/receipt"
)

// Keys are the authority's own (R7.3), without the CA's, which a running
// authority has no use for.
type Keys struct {
	Signing   envelope.PrivateKey
	Sealing   envelope.PrivateKey
	logSM2    envelope.PrivateKey // suite gm alone
	log       string              // Ed25519, a signed note's skey text
	logKey    string              // its vkey line
	pseudonym []byte

	suite envelope.Suite
	chain string
}

// NewKeys names what MakeSecrets or LoadSecrets, and the key files of Slots, fill.
func NewKeys(suite envelope.Suite, chain string) *Keys { return &Keys{suite: suite, chain: chain} }

// Slots are the key files in the authority's folder.
func (k *Keys) Slots(dir party.Dir) []party.Slot {
	all := []party.Slot{
		{Key: &k.Signing, Use: envelope.Signing, File: dir.Path("keys", "signing.pem")},
		{Key: &k.Sealing, Use: envelope.Sealing, File: dir.Path("keys", "sealing.pem")},
	}
	if k.suite.Name() == "gm" {
		all = append(all, party.Slot{Key: &k.logSM2, Use: envelope.Signing, File: dir.Path("keys", "log-sm2.pem")})
	}
	return all
}

// Secrets that are no key pairs: sealed to the authority's own key, in files of
// these names. The names are part of what is sealed.
const (
	logSecret       = "log-ed25519"
	pseudonymSecret = "pseudonym"
)

func secretFile(dir party.Dir, name string) string { return dir.Path("keys", name+".sealed") }

// secretContext binds a sealed secret to its file's name.
func (k *Keys) secretContext(name string, m envelope.Message) envelope.Context {
	return envelope.Context{
		Purpose: "secret", Suite: k.suite.Name(), Actor: "authority/keys/" + name + ".sealed",
		Recipients: []flow.KeyID{k.Sealing.Public().ID()}, Commitment: envelope.Commit(k.suite, m),
	}
}

type sealedSecret struct {
	_ struct{} `cbor:",toarray"`

	Commitment flow.Hash
	Sealed     []byte
}

func (k *Keys) writeSecret(dir party.Dir, name string, secret []byte) error {
	m := envelope.Message{Payload: secret}
	rand.Read(m.Salt[:])
	ctx := k.secretContext(name, m)
	sealed, err := k.suite.Seal(rand.Reader, ctx, m, k.Sealing.Public())
	if err != nil {
		return fmt.Errorf("making secret %s: %w", name, err)
	}
	file, err := flow.Marshal(sealedSecret{Commitment: ctx.Commitment, Sealed: sealed})
	if err != nil {
		return fmt.Errorf("making secret %s: %w", name, err)
	}
	return party.Write(secretFile(dir, name), file)
}

func (k *Keys) readSecret(dir party.Dir, name string) ([]byte, error) {
	file, err := dir.Read("keys", name+".sealed")
	if err != nil {
		return nil, err
	}
	var s sealedSecret
	if err := flow.Unmarshal(file, &s); err != nil {
		return nil, fmt.Errorf("reading secret %s: %w", name, err)
	}
	ctx := k.secretContext(name, envelope.Message{})
	ctx.Commitment = s.Commitment
	m, err := k.suite.Open(ctx, s.Sealed, k.Sealing)
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %w", name, err)
	}
	return m.Payload, nil
}

// MakeSecrets draws the log key and the pseudonym key. The key files are made before.
func (k *Keys) MakeSecrets(dir party.Dir) error {
	var err error
	if k.log, k.logKey, err = receipt.NewLogKey(rand.Reader, k.chain); err != nil {
		return err
	}
	k.pseudonym = make([]byte, role.PseudonymKeySize)
	rand.Read(k.pseudonym)
	return errors.Join(
		k.writeSecret(dir, logSecret, []byte(k.log+"\n"+k.logKey)),
		k.writeSecret(dir, pseudonymSecret, k.pseudonym),
	)
}

// LoadSecrets reads what MakeSecrets wrote. The key files are read before.
func (k *Keys) LoadSecrets(dir party.Dir) error {
	logKey, err := k.readSecret(dir, logSecret)
	if err != nil {
		return err
	}
	k.log, k.logKey, _ = strings.Cut(string(logKey), "\n")
	k.pseudonym, err = k.readSecret(dir, pseudonymSecret)
	return err
}

// signers are the log keys.
func (k *Keys) signers() ([]note.Signer, error) {
	ed, err := note.NewSigner(k.log)
	if err != nil {
		return nil, fmt.Errorf("reading the log key: %w", err)
	}
	if k.suite.Name() != "gm" {
		return []note.Signer{ed}, nil
	}
	return []note.Signer{ed, receipt.SuiteSigner(k.chain, k.logSM2, rand.Reader)}, nil
}

// Published are the keys that the log began with, vkey lines: authority.pub until they
// are handed over.
func (k *Keys) Published() string {
	text := k.logKey + "\n"
	if k.suite.Name() == "gm" {
		text += receipt.SuiteKey(k.chain, k.logSM2.Public()) + "\n"
	}
	return text
}

// caFile is where the CA's key and certificate are.
func caFile(dir party.Dir) string { return dir.Path("keys", "ca.pem") }

// MakeCA makes the authority's CA and its file.
func MakeCA(dir party.Dir, suite string, passphrase []byte, from, to time.Time) (envelope.CA, error) {
	ca, err := envelope.NewCA(rand.Reader, suite, "signalbox-authority", from, to)
	if err != nil {
		return envelope.CA{}, err
	}
	data, err := envelope.EncodeCA(rand.Reader, ca, passphrase)
	if err != nil {
		return envelope.CA{}, err
	}
	return ca, party.Write(caFile(dir), data)
}

// LoadCA reads the CA, with its key.
func LoadCA(dir party.Dir, passphrase []byte) (envelope.CA, error) {
	data, err := dir.Read("keys", "ca.pem")
	if err != nil {
		return envelope.CA{}, err
	}
	ca, err := envelope.DecodeCA(data, passphrase)
	if err != nil {
		return envelope.CA{}, fmt.Errorf("reading the CA's key: %w", err)
	}
	return ca, nil
}

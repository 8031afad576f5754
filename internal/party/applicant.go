package party

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// Card says whose a folder is: card.json.
type Card struct {
	ID    string `json:"id"`
	Role  string `json:"role"` // as certificates name it
	Suite string `json:"suite"`
}

const cardFile = "card.json"

// ReadCard reads whose the folder is, and wants the role.
func (d Dir) ReadCard(role string) (Card, error) {
	data, err := d.Read(cardFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Card{}, fmt.Errorf("%s is no folder that signalbox init made: %w", string(d), err)
	}
	if err != nil {
		return Card{}, err
	}
	var c Card
	if err := json.Unmarshal(data, &c); err != nil {
		return Card{}, fmt.Errorf("reading %s: %w", d.Path(cardFile), err)
	}
	if c.Role != role {
		return Card{}, fmt.Errorf("%s is the folder of a %s, not of a %s", string(d), c.Role, role)
	}
	return c, nil
}

// WriteCard says whose the folder is.
func (d Dir) WriteCard(c Card) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return d.Write(append(data, '\n'), cardFile)
}

// Found makes a new folder by fill, and takes it away again when fill fails. A
// folder that holds anything is refused: nothing is overwritten.
func Found(dir string, fill func(Dir) error) (err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("making %s: it holds %s already, and nothing is overwritten: choose another folder", dir, entries[0].Name())
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if err := fill(Dir(dir)); err != nil {
		return errors.Join(fmt.Errorf("making %s: %w", dir, err), os.RemoveAll(dir))
	}
	return nil
}

// Names of files in a party's folder.
const (
	PassphraseFile = "passphrase"
	RequestFile    = "request.pem"
	AdmissionFile  = "admission.json"
)

// SigningFile, SealingFile and TransportFile are the key files of the folder.
func (d Dir) SigningFile() string   { return d.Path("keys", "signing.pem") }
func (d Dir) SealingFile() string   { return d.Path("keys", "sealing.pem") }
func (d Dir) TransportFile() string { return d.Path("keys", "transport.pem") }

// Application is what an applicant's folder is made from.
type Application struct {
	Card
	Sealing   bool     // has a sealing key
	Transport bool     // opens links
	Hosts     []string // where it listens
}

// Apply makes the applicant's keys and its request in the folder, and says what
// the request's hash is. The keys stay there (R7.3).
func (d Dir) Apply(a Application, passphrase []byte) (flow.Hash, error) {
	suite, err := envelope.ByName(a.Suite)
	if err != nil {
		return flow.Hash{}, err
	}
	var keys envelope.RequestKeys
	var sealing envelope.PrivateKey
	slots := []Slot{{Key: &keys.Signing, Use: envelope.Signing, File: d.SigningFile()}}
	if a.Sealing {
		slots = append(slots, Slot{Key: &sealing, Use: envelope.Sealing, File: d.SealingFile()})
	}
	if err := MakeKeys(suite, passphrase, slots); err != nil {
		return flow.Hash{}, err
	}
	if a.Sealing {
		keys.Sealing = sealing.Public()
	}
	if a.Transport {
		if keys.Transport, err = MakeTransport(d.TransportFile(), passphrase); err != nil {
			return flow.Hash{}, err
		}
	}
	file, err := envelope.NewRequest(rand.Reader, envelope.Subject{ID: a.ID, Role: a.Role}, a.Hosts, keys)
	if err != nil {
		return flow.Hash{}, err
	}
	r, err := envelope.ParseRequest(file)
	if err != nil {
		return flow.Hash{}, err
	}
	return r.Hash, errors.Join(d.WriteCard(a.Card), d.Write(file, RequestFile))
}

// MakeTransport makes a transport key and its file.
func MakeTransport(file string, passphrase []byte) (envelope.TransportKey, error) {
	k, err := envelope.NewTransportKey(rand.Reader)
	if err != nil {
		return k, err
	}
	data, err := envelope.EncodeTransportKey(rand.Reader, k, passphrase)
	if err != nil {
		return k, err
	}
	return k, Write(file, data)
}

// LoadTransport reads a transport key.
func LoadTransport(file string, passphrase []byte) (envelope.TransportKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return envelope.TransportKey{}, fmt.Errorf("reading a key: %w", err)
	}
	k, err := envelope.DecodeTransportKey(data, passphrase)
	if err != nil {
		return k, fmt.Errorf("reading %s: %w", file, err)
	}
	return k, nil
}

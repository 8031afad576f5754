package party

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Trust is what a party believes about the authority: its public keys and the
// chain's fixed facts (R7.3). It comes to the party in a file and is compared by
// Fingerprint, over a channel that whoever carried the file does not hold.
type Trust struct {
	Chain      string `json:"chain"`       // supervision chain id
	Suite      string `json:"suite"`       // "gm" or "intl"
	Zone       string `json:"zone"`        // name of the authority's time zone
	ZoneOffset int    `json:"zone_offset"` // seconds east of UTC
	CA         []byte `json:"ca"`          // DER certificate
	Signing    []byte `json:"signing"`     // DER SubjectPublicKeyInfo
	Sealing    []byte `json:"sealing"`     // DER SubjectPublicKeyInfo: what submissions are sealed to
	Log        string `json:"log"`         // vkey lines: what receipts are checked with
}

// Fingerprint names everything that is trusted.
func (t Trust) Fingerprint() flow.Hash {
	return flow.SumHash(flow.Frame("signalbox/trust/v1\n", []byte(t.Chain), []byte(t.Suite), []byte(t.Zone),
		[]byte(strconv.Itoa(t.ZoneOffset)), t.CA, t.Signing, t.Sealing, []byte(t.Log)))
}

// Validate says what is unfit.
func (t Trust) Validate() error {
	if err := flow.CheckName("chain", t.Chain); err != nil {
		return err
	}
	if _, err := envelope.ByName(t.Suite); err != nil {
		return err
	}
	if _, err := envelope.ParsePublicKey(t.Suite, envelope.Signing, t.Signing); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if _, err := t.SealingKey(); err != nil {
		return err
	}
	if _, err := t.LogKeys(); err != nil {
		return err
	}
	if len(t.CA) == 0 {
		return errors.New("ca: missing")
	}
	return nil
}

// SealingKey is what submissions are sealed to.
func (t Trust) SealingKey() (envelope.PublicKey, error) {
	k, err := envelope.ParsePublicKey(t.Suite, envelope.Sealing, t.Sealing)
	if err != nil {
		return k, fmt.Errorf("sealing: %w", err)
	}
	return k, nil
}

// SigningKey is what the authority's lists of admissions are signed with.
func (t Trust) SigningKey() (envelope.PublicKey, error) {
	k, err := envelope.ParsePublicKey(t.Suite, envelope.Signing, t.Signing)
	if err != nil {
		return k, fmt.Errorf("signing: %w", err)
	}
	return k, nil
}

// LogKeys are what receipts are checked with.
func (t Trust) LogKeys() (receipt.Keys, error) {
	k, err := receipt.ParseKeys(t.Log)
	if err != nil {
		return k, fmt.Errorf("log: %w", err)
	}
	return k, nil
}

// Location is the authority's time zone.
func (t Trust) Location() *time.Location { return time.FixedZone(t.Zone, t.ZoneOffset) }

// Admission is what the authority hands to an applicant, as JSON. Nothing in it
// is secret, and its certificates alone give nothing: the chain must hold the
// identity too.
type Admission struct {
	Authority Trust       `json:"authority"`
	Parties   []Certified `json:"parties"`
}

// Certified is one party with its certificates, in DER.
type Certified struct {
	ID        string `json:"id"`
	Role      string `json:"role"`
	Signing   []byte `json:"signing"`
	Transport []byte `json:"transport,omitempty"` // of those who open links
}

// maxAdmission bounds an admission file, in bytes.
const maxAdmission = 4 << 20

// ReadAdmission reads an admission file, or one of Trust alone, strictly.
func ReadAdmission(file string) (Admission, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Admission{}, fmt.Errorf("reading the admission file: %w", err)
	}
	var a Admission
	if err := decodeStrictly(data, maxAdmission, &a); err != nil {
		return Admission{}, fmt.Errorf("reading the admission file %s: %w", file, err)
	}
	if err := a.Authority.Validate(); err != nil {
		return Admission{}, fmt.Errorf("reading the admission file %s: authority: %w", file, err)
	}
	return a, nil
}

// Encode gives the file.
func (a Admission) Encode() ([]byte, error) {
	if a.Parties == nil {
		a.Parties = []Certified{}
	}
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the admission: %w", err)
	}
	return append(data, '\n'), nil
}

// Of finds a party's certificates and checks that they are its own, by key.
func (a Admission) Of(id string, key envelope.PublicKey, at time.Time) (Certified, error) {
	for _, c := range a.Parties {
		if c.ID != id {
			continue
		}
		own, err := envelope.CheckCertificate(a.Authority.CA, c.Signing, at)
		if err != nil {
			return c, fmt.Errorf("certificate of %s: %w", id, err)
		}
		if own.ID != id || own.Key.ID() != key.ID() {
			return c, fmt.Errorf("certificate of %s: it is for another id or key: the request that was admitted is not this folder's", id)
		}
		return c, nil
	}
	return Certified{}, fmt.Errorf("the admission file names no %s: was another request admitted?", id)
}

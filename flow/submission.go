package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
)

// KeyID names a public key: the first 20 bytes of SHA-256 over its DER
// SubjectPublicKeyInfo (RFC 7093 method 4, cut). It is the CMS subject key
// identifier of a recipient and the sender's name in a header.
type KeyID [20]byte

// String gives 40 lower-case hexadecimal digits.
func (k KeyID) String() string { return fmt.Sprintf("%x", k[:]) }

// MarshalText implements encoding.TextMarshaler.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *KeyID) UnmarshalText(b []byte) error { return parseHex(k[:], string(b)) }

// Header is the clear part of a submission: what a fusion node needs to route
// it, and what every party may know. It never carries personal data.
type Header struct {
	_ struct{} `cbor:",toarray"`

	Version    uint8   // 1
	Suite      string  // "gm" or "intl"
	Chain      string  // supervision chain id
	Network    string  // business chain's network id
	Platform   string  // the platform's identity on the supervision chain
	Business   string  // kind of business, such as "prescription" (R1.3)
	Step       Step    //
	Flow       Hash    // zero for Register and Enrol
	ID         ID      //
	Actor      string  // who acts, as the platform names them: a reviewer's or producer's identity; may be empty
	Sender     KeyID   // the platform's signing key
	Recipients []KeyID // the authority's sealing keys
	Commitment Hash    // hash(salt || payload), see package envelope
	Record     Hash    // SHA-256 of the value that the business chain is to store; zero where the step leaves none
}

// Submission is a step as the platform pushes it to a fusion node. Header holds
// the encoded Header exactly as signed.
type Submission struct {
	_ struct{} `cbor:",toarray"`

	Header    []byte
	Sealed    []byte // CMS AuthEnvelopedData, to the authority
	Signature []byte // by the platform, over SigningInput
}

// maxName is the longest name (platform, network, actor) in a header, in bytes.
const maxName = 64

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// CheckName says whether s can name a chain, network, platform, kind of
// business or participant: 1 to 64 of letters, digits, dot, dash and underscore.
// NATS subjects, file names and URLs can then hold it as it is.
func CheckName(what, s string) error {
	if len(s) == 0 || len(s) > maxName || !namePattern.MatchString(s) {
		return fmt.Errorf("%s: want 1 to %d letters, digits, '.', '_' or '-'", what, maxName)
	}
	return nil
}

// Validate says what is wrong with h, naming the field.
func (h Header) Validate() error {
	if h.Version != 1 {
		return fmt.Errorf("header version %d: this software reads version 1", h.Version)
	}
	names := []struct{ what, value string }{
		{"suite", h.Suite},
		{"chain", h.Chain},
		{"network", h.Network},
		{"platform", h.Platform},
		{"business", h.Business},
	}
	for _, n := range names {
		if err := CheckName(n.what, n.value); err != nil {
			return err
		}
	}
	if h.Actor != "" {
		if err := CheckName("actor", h.Actor); err != nil {
			return err
		}
	}
	if !h.Step.Known() {
		return errors.New("step: not one of the known steps")
	}
	if first := h.Step == Register || h.Step == Enrol; first != h.Flow.IsZero() {
		return fmt.Errorf("flow: %s must%s name a flow", h.Step, map[bool]string{true: " not", false: ""}[first])
	}
	if h.Step.Recorded() == h.Record.IsZero() {
		return fmt.Errorf("record: %s must%s carry a record hash", h.Step, map[bool]string{false: " not", true: ""}[h.Step.Recorded()])
	}
	if len(h.Recipients) == 0 || len(h.Recipients) > 8 {
		return fmt.Errorf("recipients: want 1 to 8, have %d", len(h.Recipients))
	}
	return nil
}

// Open decodes and validates the header.
func (s Submission) Open() (Header, error) {
	var h Header
	if err := Unmarshal(s.Header, &h); err != nil {
		return Header{}, fmt.Errorf("reading submission header: %w", err)
	}
	if err := h.Validate(); err != nil {
		return Header{}, fmt.Errorf("submission header: %w", err)
	}
	return h, nil
}

// SigningInput is what the platform signs: a label, the header's length and
// bytes, and the sealed payload, so that nodes verify without opening.
func (s Submission) SigningInput() []byte {
	return Frame("signalbox/submission/v1\n", s.Header, s.Sealed)
}

// Frame composes what is signed: a label that says what it is, then each part
// with its length in 4 bytes, the last without. No byte can move from one part
// to another, and nothing signed as one thing can pass for another.
func Frame(label string, parts ...[]byte) []byte {
	size := len(label)
	for _, p := range parts {
		size += 4 + len(p)
	}
	b := append(make([]byte, 0, size), label...)
	for i, p := range parts {
		if i < len(parts)-1 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		}
		b = append(b, p...)
	}
	return b
}

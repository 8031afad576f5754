package authority

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/profile"
)

// SubjectKeyMode says how a subject's key is made (R1.2).
type SubjectKeyMode string

// The modes.
const (
	// SubjectKeyHMAC keys pseudonyms with the authority's secret: nobody else
	// can try national id numbers against them. The default.
	SubjectKeyHMAC SubjectKeyMode = "hmac"
	// SubjectKeySHA256 is the source's own form, SHA-256 of the id number. It
	// falls to trial in hours; for networks that need it.
	SubjectKeySHA256 SubjectKeyMode = "sha256"
)

// PseudonymKeySize is the size of the authority's pseudonym secret, in bytes.
const PseudonymKeySize = 32

// pseudonyms makes the keyed pseudonyms that stand on the supervision chain.
func pseudonyms(suite envelope.Suite, key []byte, mode SubjectKeyMode) (profile.Pseudonym, error) {
	if len(key) != PseudonymKeySize {
		return nil, fmt.Errorf("pseudonym key: want %d bytes, have %d", PseudonymKeySize, len(key))
	}
	switch mode {
	case "", SubjectKeyHMAC, SubjectKeySHA256:
	default:
		return nil, fmt.Errorf("subject_key %q: want %q or %q", mode, SubjectKeyHMAC, SubjectKeySHA256)
	}
	return func(kind, id string) string {
		if kind == "subject" && mode == SubjectKeySHA256 {
			_, number, _ := strings.Cut(id, ":")
			sum := sha256.Sum256([]byte(number))
			return hex.EncodeToString(sum[:])
		}
		return suite.MAC(key, []byte(kind), []byte{0}, []byte(id)).String()
	}, nil
}

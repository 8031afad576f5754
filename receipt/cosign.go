package receipt

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// typeCosignature is the signature type of a witness's line in a signed note:
// Ed25519 with the time of signing (c2sp.org/tlog-cosignature).
const typeCosignature = 0x04

// cosignatureSize is that of a line's signature: eight bytes of time, then Ed25519.
const cosignatureSize = 8 + ed25519.SignatureSize

// ErrCosigner is what errors about a witness's key wrap.
var ErrCosigner = errors.New("not a witness's key")

// Cosigned is a witness's word on a checkpoint: at that time, the log had no
// larger consistent tree that the witness knew of.
type Cosigned struct {
	Name string    // the witness, as its key names it
	At   time.Time // in UTC, by the witness's own clock
}

// Cosigner is a witness's public key. It implements note.Verifier.
type Cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// NewCosigner names a witness's public key. A name is best a URL without its
// scheme, such as witness.example/w1; spaces and + are not taken.
func NewCosigner(name string, key ed25519.PublicKey) (Cosigner, error) {
	if name == "" || !utf8.ValidString(name) || strings.Contains(name, "+") || strings.IndexFunc(name, unicode.IsSpace) >= 0 || len(name) > 255 {
		return Cosigner{}, fmt.Errorf("%w: the name %.80q is empty or long, or has a space or +", ErrCosigner, name)
	}
	if len(key) != ed25519.PublicKeySize {
		return Cosigner{}, fmt.Errorf("%w: %d bytes are no Ed25519 key", ErrCosigner, len(key))
	}
	sum := sha256.Sum256(slices.Concat([]byte(name), []byte{'\n', typeCosignature}, key))
	return Cosigner{name: name, hash: binary.BigEndian.Uint32(sum[:]), key: slices.Clone(key)}, nil
}

// ParseCosigner reads a witness's vkey line: an Ed25519 key that signs with the
// time (type 0x04). A log's key, which signs without it, is another kind and
// refused, since the same key must not do both.
func ParseCosigner(vkey string) (Cosigner, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, text, ok := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(raw) == 0 {
		return Cosigner{}, fmt.Errorf("%w: want name+hash+key", ErrCosigner)
	}
	if raw[0] != typeCosignature {
		return Cosigner{}, fmt.Errorf("%w: signature type 0x%02x; want 0x%02x, an Ed25519 key for cosignatures", ErrCosigner, raw[0], typeCosignature)
	}
	c, err := NewCosigner(name, raw[1:])
	if err != nil {
		return Cosigner{}, err
	}
	if c.String() != vkey {
		return Cosigner{}, fmt.Errorf("%w: the key's hash does not fit name and key", ErrCosigner)
	}
	return c, nil
}

// String is the vkey line.
func (c Cosigner) String() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.hash, base64.StdEncoding.EncodeToString(append([]byte{typeCosignature}, c.key...)))
}

// Name is the witness's.
func (c Cosigner) Name() string { return c.name }

// KeyHash is the signed note's key id.
func (c Cosigner) KeyHash() uint32 { return c.hash }

// Verify checks one line's signature on a checkpoint's text.
func (c Cosigner) Verify(text, sig []byte) bool {
	if len(sig) != cosignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return at > 0 && at <= math.MaxInt64 && ed25519.Verify(c.key, cosigned(text, at), sig[8:])
}

// cosigned is what a witness signs.
func cosigned(text []byte, at uint64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}

// Cosign gives a witness's line for a checkpoint's text (the note without its
// signatures). Who calls it has seen to it that the witness may sign: package
// internal/witness.
func Cosign(name string, key ed25519.PrivateKey, text []byte, at time.Time) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok || at.Unix() <= 0 {
		return nil, errors.New("cosigning: the time is before 1970")
	}
	c, err := NewCosigner(name, pub)
	if err != nil {
		return nil, fmt.Errorf("cosigning: %w", err)
	}
	sig := binary.BigEndian.AppendUint32(nil, c.hash)
	sig = binary.BigEndian.AppendUint64(sig, uint64(at.Unix()))
	sig = append(sig, ed25519.Sign(key, cosigned(text, uint64(at.Unix())))...)
	return fmt.Appendf(nil, "— %s %s\n", name, base64.StdEncoding.EncodeToString(sig)), nil
}

// Cosignatures gives those of a checkpoint's lines that are valid and by one of
// the witnesses, one for each, and who they are. Lines of others are passed over;
// an invalid line of one of them is an error, and nothing is taken then.
func Cosignatures(signed []byte, by ...Cosigner) (lines []byte, who []Cosigned, err error) {
	verifiers := make([]note.Verifier, len(by))
	for i, c := range by {
		verifiers[i] = c
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	var none *note.UnverifiedNoteError
	if errors.As(err, &none) {
		return nil, nil, nil
	}
	if err != nil || !strictLines(signed) {
		return nil, nil, fmt.Errorf("%w: a cosignature is malformed or not valid for this checkpoint", ErrReceipt)
	}
	var out bytes.Buffer
	for _, s := range n.Sigs {
		fmt.Fprintf(&out, "— %s %s\n", s.Name, s.Base64)
		who = append(who, Cosigned{Name: s.Name, At: cosignedAt(s)})
	}
	return out.Bytes(), who, nil
}

// cosignedAt reads the time in a line that was verified.
func cosignedAt(s note.Signature) time.Time {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) != 4+cosignatureSize {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC()
}

// sortCosigned puts witnesses in the order of their names.
func sortCosigned(all []Cosigned) {
	slices.SortFunc(all, func(a, b Cosigned) int { return cmp.Compare(a.Name, b.Name) })
}

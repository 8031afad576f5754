package envelope

import (
	"errors"
	"io"

	"signalbox.dev/signalbox/flow"
)

// Suite is a set of algorithms (R8.3): "gm" (SM2, SM3, SM4-GCM) or "intl"
// (RSA-3072 OAEP and PSS, SHA-256, AES-256-GCM). A suite holds no keys and is
// safe for concurrent use.
type Suite interface {
	// Name is "gm" or "intl".
	Name() string
	// Sum is the suite's digest, SM3 or SHA-256, over the parts in turn.
	Sum(parts ...[]byte) flow.Hash
	// MAC is HMAC over the suite's digest.
	MAC(key []byte, parts ...[]byte) flow.Hash
	// GenerateKey draws a key pair for signing or for sealing; the two are
	// separate pairs and one is never used for the other (protocol, "Sealed payload").
	GenerateKey(random io.Reader, use Use) (PrivateKey, error)
	// Sign signs msg itself (not a digest of it).
	Sign(random io.Reader, key PrivateKey, msg []byte) ([]byte, error)
	// Verify returns nil only for a signature of msg by key; otherwise ErrSignature.
	Verify(key PublicKey, msg, signature []byte) error
	// Seal encrypts m to every recipient as CMS AuthEnvelopedData and binds ctx.
	Seal(random io.Reader, ctx Context, m Message, to ...PublicKey) ([]byte, error)
	// Open decrypts with the recipient's key, and checks ctx and the
	// commitment in it. Any failure of those wraps ErrOpen and says no more
	// than it must; a message that is not for this key is ErrNotRecipient.
	Open(ctx Context, sealed []byte, key PrivateKey) (Message, error)
}

// Use is what a key pair is for.
type Use string

// The uses.
const (
	Signing Use = "signing"
	Sealing Use = "sealing"
)

// Errors of this package.
var (
	ErrOpen         = errors.New("sealed payload does not open")
	ErrNotRecipient = errors.New("sealed payload is not for this key")
	ErrSignature    = errors.New("signature is not valid")
	ErrMalformed    = errors.New("sealed payload is malformed")
	ErrKey          = errors.New("key is not fit for this use")
)

// SaltSize is the size of a message's salt in bytes.
const SaltSize = 32

// Message is what is sealed: a payload and the salt of its commitment. The
// authority's, the platform's and the producer's copies hold the same message,
// so one commitment ties them together.
type Message struct {
	Salt    [SaltSize]byte
	Payload []byte
}

// Commit is Sum(salt || payload): GCM does not commit to a key, this does.
func Commit(s Suite, m Message) flow.Hash { return s.Sum(m.Salt[:], m.Payload) }

// Context is what a sealed payload is bound to. The receiver rebuilds it from
// what it knows and never takes it from the sealed bytes. Its encoding is
// deterministic, so that two different contexts never look alike.
type Context struct {
	_ struct{} `cbor:",toarray"`

	Purpose    string // "submission" or "record"
	Suite      string
	Chain      string
	Network    string
	Platform   string
	Business   string
	Step       flow.Step
	Flow       flow.Hash // zero in a record's context: it is sealed before its flow has an id
	ID         flow.ID
	Actor      string
	Sender     flow.KeyID
	Recipients []flow.KeyID
	Commitment flow.Hash
}

// SubmissionContext is what a submission's payload is bound to.
func SubmissionContext(h flow.Header) Context {
	return Context{
		Purpose: "submission", Suite: h.Suite, Chain: h.Chain, Network: h.Network,
		Platform: h.Platform, Business: h.Business, Step: h.Step, Flow: h.Flow, ID: h.ID,
		Actor: h.Actor, Sender: h.Sender, Recipients: h.Recipients, Commitment: h.Commitment,
	}
}

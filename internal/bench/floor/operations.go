package floor

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	cometkeys "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/emmansun/gmsm/sm3"
)

// line is an operation and how often a step has it.
type line struct {
	name string
	per  float64
	do   func() error
}

// suite is one suite's operations, bare: what the envelope around them costs,
// encoding, contexts and checks, is not the floor's.
type suite struct {
	sign    func(msg []byte) ([]byte, error)
	verify  func(msg, signature []byte) bool
	wrap    func(key []byte) ([]byte, error)
	unwrap  func(wrapped []byte) ([]byte, error)
	encrypt func(plain []byte) ([]byte, error) // under a new key, as each message has
	decrypt func(sealed []byte) ([]byte, error)
	keySize int // of the content key, in bytes
}

var errInvalid = errors.New("what was just made doesn't hold")

// lines prepares a worker's operations on the mix's sizes.
func lines(name string, mix Mix) ([]line, error) {
	var s suite
	var err error
	switch name {
	case "gm":
		s, err = gm()
	case "intl":
		s, err = intl()
	default:
		err = fmt.Errorf("suite %.16q: want gm or intl", name)
	}
	if err != nil {
		return nil, err
	}
	all, err := s.lines(mix)
	if err != nil {
		return nil, err
	}
	log, err := logLines(mix)
	if err != nil {
		return nil, err
	}
	return append(append(all, log...), digestLines(mix)...), nil
}

func (s suite) lines(mix Mix) ([]line, error) {
	msg, known := make([]byte, mix.Signed), make([]byte, mix.Verified)
	plain, key := make([]byte, mix.Sealed), make([]byte, s.keySize)
	for _, b := range [][]byte{msg, known, plain, key} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	signature, err := s.sign(known)
	if err != nil {
		return nil, err
	}
	wrapped, err := s.wrap(key)
	if err != nil {
		return nil, err
	}
	sealed, err := s.encrypt(plain)
	if err != nil {
		return nil, err
	}
	return []line{
		{"signing", mix.Sign, func() error { _, err := s.sign(msg); return err }},
		{"verifying", mix.Verify, func() error { return holds(s.verify(known, signature)) }},
		{"wrapping", mix.Wrap, func() error { _, err := s.wrap(key); return err }},
		{"unwrapping", mix.Unwrap, func() error { _, err := s.unwrap(wrapped); return err }},
		{"encrypting", mix.Encrypt, func() error { _, err := s.encrypt(plain); return err }},
		{"decrypting", mix.Decrypt, func() error { _, err := s.decrypt(sealed); return err }},
	}, nil
}

func holds(ok bool) error {
	if !ok {
		return errInvalid
	}
	return nil
}

// What is signed with Ed25519, in bytes.
const (
	checkpointText = 120 // origin, size, root
	voteBytes      = 115 // CometBFT's canonical vote
)

// logLines are the Ed25519 operations: the log's by the standard library, as
// x/mod/sumdb/note does them, the votes' by CometBFT's own, which remembers keys.
func logLines(mix Mix) ([]line, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text := make([]byte, checkpointText)
	signed := ed25519.Sign(private, text)
	voter, ballot := cometkeys.GenPrivKey(), make([]byte, voteBytes)
	vote, err := voter.Sign(ballot)
	if err != nil {
		return nil, err
	}
	elector := voter.PubKey()
	return []line{
		{"signing a checkpoint", mix.LogSign, func() error { ed25519.Sign(private, text); return nil }},
		{"verifying a checkpoint", mix.LogVerify, func() error { return holds(ed25519.Verify(public, text, signed)) }},
		{"signing a vote", mix.VoteSign, func() error { _, err := voter.Sign(ballot); return err }},
		{"verifying a vote", mix.VoteVerify, func() error { return holds(elector.VerifySignature(ballot, vote)) }},
	}, nil
}

// digestBlocks is how many blocks are hashed in one call: what is hashed in the
// system is from one block to some dozens.
const digestBlocks = 16

// digestLines hash; one call's text is a block shorter for the padding.
func digestLines(mix Mix) []line {
	text := make([]byte, (digestBlocks-1)*sha256.BlockSize)
	return []line{
		{"hashing", mix.SHA256 / digestBlocks, func() error { sha256.Sum256(text); return nil }},
		{"hashing", mix.SM3 / digestBlocks, func() error { sm3.Sum(text); return nil }},
	}
}

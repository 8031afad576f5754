package envelope

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// The plaintext is context hash || salt || payload. The context stands inside
// and not in authenticated attributes, so that standard tools open the message
// too; the receiver rebuilds it and compares hashes.
const (
	contextLabel  = "signalbox/context/v1\n"
	plaintextHead = len(flow.Hash{}) + SaltSize
)

// hash is what stands inside the seal for c: Sum over a label and c's
// deterministic encoding.
func (c Context) hash(s Suite) (flow.Hash, error) {
	encoded, err := flow.Marshal(c)
	if err != nil {
		return flow.Hash{}, fmt.Errorf("encoding context: %w", err)
	}
	return s.Sum([]byte(contextLabel), encoded), nil
}

func (s suite) Seal(random io.Reader, ctx Context, m Message, to ...PublicKey) ([]byte, error) {
	if err := s.checkSealing(ctx, m, to); err != nil {
		return nil, err
	}
	bound, err := ctx.hash(s)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	random = source(random)
	a := s.algorithms()
	key := make([]byte, a.keySize)
	defer clear(key)
	nonce := make([]byte, nonceSize)
	if err := errors.Join(draw(random, key), draw(random, nonce)); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	env := authEnveloped{nonce: nonce}
	for _, k := range to {
		wrapped, err := s.wrap(random, k.key, key)
		if err != nil {
			return nil, fmt.Errorf("sealing to %s: %w", k, err)
		}
		env.recipients = append(env.recipients, recipient{id: k.id, wrapped: wrapped})
	}
	if env.ciphertext, env.tag, err = s.encrypt(key, nonce, bound, m); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	sealed, err := a.encode(env)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	if len(sealed) > flow.MaxMessage {
		return nil, tooLong(m)
	}
	return sealed, nil
}

// checkSealing refuses what no receiver could open: the receiver's context is
// the header's, and the header must say the truth about message and recipients.
func (s suite) checkSealing(ctx Context, m Message, to []PublicKey) error {
	if len(to) == 0 || len(to) > maxRecipients {
		return fmt.Errorf("sealing: want 1 to %d recipients, have %d", maxRecipients, len(to))
	}
	ids := make([]flow.KeyID, 0, len(to))
	for _, k := range to {
		if err := s.fits(k, Sealing); err != nil {
			return fmt.Errorf("sealing: %w", err)
		}
		if slices.Contains(ids, k.id) {
			return fmt.Errorf("sealing: %s is named twice", k)
		}
		ids = append(ids, k.id)
	}
	if !slices.Equal(ids, ctx.Recipients) {
		return errors.New("sealing: the context names other recipients, or in another order")
	}
	if ctx.Suite != s.name() {
		return fmt.Errorf("sealing: the context is of suite %.16q, this is %s", ctx.Suite, s.name())
	}
	if len(m.Payload) > flow.MaxMessage {
		return tooLong(m)
	}
	if ctx.Commitment != Commit(s, m) {
		return errors.New("sealing: the context commits to another message")
	}
	return nil
}

func tooLong(m Message) error {
	return fmt.Errorf("sealing: a payload of %d bytes does not fit into a message of %d", len(m.Payload), flow.MaxMessage)
}

// draw fills b with random bytes.
func draw(random io.Reader, b []byte) error {
	if _, err := io.ReadFull(random, b); err != nil {
		return fmt.Errorf("drawing random bytes: %w", err)
	}
	return nil
}

func (s suite) encrypt(key, nonce []byte, bound flow.Hash, m Message) (ciphertext, tag []byte, err error) {
	aead, err := s.aead(key)
	if err != nil {
		return nil, nil, err
	}
	plaintext := make([]byte, 0, plaintextHead+len(m.Payload)+tagSize)
	plaintext = append(plaintext, bound[:]...)
	plaintext = append(plaintext, m.Salt[:]...)
	plaintext = append(plaintext, m.Payload...)
	out := aead.Seal(plaintext[:0], nonce, plaintext, nil)
	end := len(out) - tagSize
	return out[:end], out[end:], nil
}

func (s suite) Open(ctx Context, sealed []byte, key PrivateKey) (Message, error) {
	if err := s.fits(key.public, Sealing); err != nil {
		return Message{}, fmt.Errorf("opening: %w", err)
	}
	env, err := s.algorithms().decode(sealed)
	if err != nil {
		return Message{}, fmt.Errorf("opening: %w", err)
	}
	i := slices.IndexFunc(env.recipients, func(r recipient) bool { return r.id == key.public.id })
	if i < 0 {
		return Message{}, fmt.Errorf("opening with %s: %w", key.public, ErrNotRecipient)
	}
	bound, err := ctx.hash(s)
	if err != nil {
		return Message{}, fmt.Errorf("opening: %w", err)
	}
	plaintext, ok := s.decrypt(env, env.recipients[i].wrapped, key)
	if !ok {
		return Message{}, ErrOpen
	}
	m := Message{Payload: plaintext[plaintextHead:]}
	copy(m.Salt[:], plaintext[len(bound):])
	commitment := Commit(s, m)
	same := subtle.ConstantTimeCompare(plaintext[:len(bound)], bound[:]) &
		subtle.ConstantTimeCompare(commitment[:], ctx.Commitment[:])
	if same != 1 || ctx.Suite != s.name() || !names(ctx.Recipients, env.recipients) {
		return Message{}, ErrOpen
	}
	return m, nil
}

// decrypt unwraps the content key and opens the content. When the key does not
// unwrap it goes on with a key of zeroes and fails at the end, so that a failed
// key and a failed tag look alike from outside (RFC 3218 has the reason).
func (s suite) decrypt(env authEnveloped, wrapped []byte, key PrivateKey) (plaintext []byte, ok bool) {
	size := s.algorithms().keySize
	contentKey, err := s.unwrap(key.private().decrypter, wrapped)
	unwrapped := err == nil && len(contentKey) == size
	if !unwrapped {
		contentKey = make([]byte, size)
	}
	defer clear(contentKey)
	aead, err := s.aead(contentKey)
	if err != nil {
		return nil, false
	}
	joined := slices.Concat(env.ciphertext, env.tag)
	plaintext, err = aead.Open(joined[:0], env.nonce, joined, nil)
	return plaintext, err == nil && unwrapped
}

// names says whether the context's recipients are the message's: a recipient
// that someone added or dropped on the way is noticed.
func names(ids []flow.KeyID, recipients []recipient) bool {
	return len(ids) == len(recipients) && !slices.ContainsFunc(recipients, func(r recipient) bool {
		return !slices.Contains(ids, r.id)
	})
}

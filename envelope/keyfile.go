package envelope

import (
	"bytes"
	"crypto/cipher"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

// A key file is a PEM block ENCRYPTED PRIVATE KEY: PKCS #8 EncryptedPrivateKeyInfo
// (RFC 5958) under PBES2 (RFC 8018) with scrypt (RFC 7914) and the suite's own
// GCM (RFC 5084). The key's use is inside, so the passphrase authenticates it: a
// signing key's file can't be made into a sealing key's.

// Errors of key files.
var (
	ErrKeyFile    = errors.New("key file is malformed")
	ErrPassphrase = errors.New("key file does not open with this passphrase")
)

// The cost of scrypt. A file may ask for more than ours, up to 128 MiB and
// about two seconds, and never for less.
const (
	scryptLogN    = 15 // 32 MiB, about 0.1 s
	scryptMaxLogN = 17
	scryptR       = 8
	scryptP       = 1
	scryptMaxP    = 4

	saltSize    = 16       // bytes
	maxSaltSize = 64       // bytes
	maxKeyFile  = 16 << 10 // bytes, a CA's certificate included
)

const (
	pemKey         = "ENCRYPTED PRIVATE KEY"
	pemCertificate = "CERTIFICATE"

	derPBES2  = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d" // 1.2.840.113549.1.5.13
	derScrypt = "\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x04\x0b" // 1.3.6.1.4.1.11591.4.11
)

// EncodeKey writes the key as a PEM key file under the passphrase, taken as the
// bytes that it is and not empty. A key that lives elsewhere is ErrKey.
func EncodeKey(random io.Reader, key PrivateKey, passphrase []byte) ([]byte, error) {
	info, err := encodeKeyInfo(key.public.use, key.held())
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", key, err)
	}
	defer clear(info)
	sc, err := schemeByName(key.public.suite)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", key, err)
	}
	return lock(random, sc, passphrase, info)
}

// DecodeKey reads what EncodeKey wrote: one PEM block and nothing else. What is
// no such file is ErrKeyFile, a wrong passphrase or damaged content
// ErrPassphrase, a CA's or a link's key ErrKey.
func DecodeKey(data, passphrase []byte) (PrivateKey, error) {
	sc, use, key, err := decodeKeyFile(data, passphrase)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("decoding key file: %w", err)
	}
	held, ok := key.(heldKey)
	if !ok || use == certifying || use == transport {
		return PrivateKey{}, fmt.Errorf("decoding key file: %w: it holds a %s key", ErrKey, use)
	}
	return newPrivateKey(sc.name(), use, held)
}

// decodeKeyFile reads a file of one key.
func decodeKeyFile(data, passphrase []byte) (scheme, Use, any, error) {
	der, rest, err := readBlock(data, pemKey)
	if err != nil {
		return nil, "", nil, err
	}
	if len(rest) != 0 {
		return nil, "", nil, fmt.Errorf("%w: data after the key", ErrKeyFile)
	}
	sc, info, err := unlock(der, passphrase)
	if err != nil {
		return nil, "", nil, err
	}
	defer clear(info)
	use, key, err := decodeKeyInfo(info)
	return sc, use, key, err
}

// held is the key itself, which may be no more than a way to where it lives.
func (k PrivateKey) held() any {
	if k.private == nil {
		return nil
	}
	if p := k.private(); p.signer != nil {
		return p.signer
	}
	return k.private().decrypter
}

// readBlock takes one PEM block of the kind, without headers, from the start.
func readBlock(data []byte, kind string) (der, rest []byte, err error) {
	if len(data) > maxKeyFile {
		return nil, nil, fmt.Errorf("%w: %d bytes are over the limit of %d", ErrKeyFile, len(data), maxKeyFile)
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN "+kind+"-----")) {
		return nil, nil, fmt.Errorf("%w: does not start with a PEM block %s", ErrKeyFile, kind)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || len(block.Headers) != 0 {
		return nil, nil, fmt.Errorf("%w: want a PEM block %s without headers", ErrKeyFile, kind)
	}
	return block.Bytes, bytes.TrimSpace(rest), nil
}

// lockParameters is what stands in clear in a key file.
type lockParameters struct {
	sc    scheme
	salt  []byte
	logN  int
	p     int
	nonce []byte
}

// lock encrypts info under the passphrase into a PEM block.
func lock(random io.Reader, sc scheme, passphrase, info []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("encrypting a key: the passphrase is empty")
	}
	random = source(random)
	params := lockParameters{sc: sc, salt: make([]byte, saltSize), logN: scryptLogN, p: scryptP, nonce: make([]byte, nonceSize)}
	if err := errors.Join(draw(random, params.salt), draw(random, params.nonce)); err != nil {
		return nil, fmt.Errorf("encrypting a key: %w", err)
	}
	aead, err := params.aead(passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypting a key: %w", err)
	}
	der, err := params.encode(aead.Seal(nil, params.nonce, info, nil))
	if err != nil {
		return nil, fmt.Errorf("encrypting a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// unlock is the inverse of lock, from the block's DER.
func unlock(der, passphrase []byte) (scheme, []byte, error) {
	params, ciphertext, err := decodeLock(der)
	if err != nil {
		return nil, nil, err
	}
	aead, err := params.aead(passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	info, err := aead.Open(nil, params.nonce, ciphertext, nil)
	if err != nil {
		return nil, nil, ErrPassphrase
	}
	return params.sc, info, nil
}

func (l lockParameters) encode(ciphertext []byte) ([]byte, error) {
	a := l.sc.algorithms()
	var b cryptobyte.Builder
	sequence := func(b *cryptobyte.Builder, f cryptobyte.BuilderContinuation) { b.AddASN1(asn1.SEQUENCE, f) }
	sequence(&b, func(b *cryptobyte.Builder) {
		sequence(b, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte(derPBES2))
			sequence(b, func(b *cryptobyte.Builder) {
				sequence(b, func(b *cryptobyte.Builder) {
					b.AddBytes([]byte(derScrypt))
					sequence(b, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(l.salt)
						b.AddASN1Uint64(1 << l.logN)
						b.AddASN1Uint64(scryptR)
						b.AddASN1Uint64(uint64(l.p))
						b.AddASN1Uint64(uint64(a.keySize))
					})
				})
				sequence(b, func(b *cryptobyte.Builder) { a.addCipher(b, l.nonce) })
			})
		})
		b.AddASN1OctetString(ciphertext)
	})
	return b.Bytes()
}

// decodeLock reads the clear part strictly and bounds what it asks for, before
// any memory is spent on it.
func decodeLock(der []byte) (lockParameters, []byte, error) {
	input := cryptobyte.String(der)
	var outer, algorithm, params, kdf, cost, encryption, ciphertext cryptobyte.String
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!outer.ReadASN1(&ciphertext, asn1.OCTET_STRING) || !outer.Empty() ||
		!take(&algorithm, derPBES2) ||
		!algorithm.ReadASN1(&params, asn1.SEQUENCE) || !algorithm.Empty() ||
		!params.ReadASN1(&kdf, asn1.SEQUENCE) ||
		!params.ReadASN1(&encryption, asn1.SEQUENCE) || !params.Empty() ||
		!take(&kdf, derScrypt) || !kdf.ReadASN1(&cost, asn1.SEQUENCE) || !kdf.Empty() {
		return lockParameters{}, nil, fmt.Errorf("%w: want PKCS #8 encrypted by PBES2 with scrypt", ErrKeyFile)
	}
	var l lockParameters
	for _, sc := range []scheme{gm{}, intl{}} {
		if nonce, ok := sc.algorithms().readCipher(encryption); ok {
			l.sc, l.nonce = sc, nonce
		}
	}
	if l.sc == nil {
		return lockParameters{}, nil, fmt.Errorf("%w: want SM4-GCM or AES-256-GCM", ErrKeyFile)
	}
	if !l.readCost(cost) {
		return lockParameters{}, nil, fmt.Errorf("%w: scrypt parameters are out of bounds", ErrKeyFile)
	}
	return l, ciphertext, nil
}

func (l *lockParameters) readCost(cost cryptobyte.String) bool {
	var salt cryptobyte.String
	var n, r, p, size uint64
	if !cost.ReadASN1(&salt, asn1.OCTET_STRING) || len(salt) < saltSize || len(salt) > maxSaltSize ||
		!cost.ReadASN1Integer(&n) || !cost.ReadASN1Integer(&r) || !cost.ReadASN1Integer(&p) ||
		!cost.ReadASN1Integer(&size) || !cost.Empty() {
		return false
	}
	l.salt = salt
	l.logN = bits.Len64(n) - 1
	l.p = int(min(p, scryptMaxP+1))
	return bits.OnesCount64(n) == 1 && l.logN >= scryptLogN && l.logN <= scryptMaxLogN &&
		r == scryptR && l.p >= scryptP && l.p <= scryptMaxP && size == uint64(l.sc.algorithms().keySize)
}

// aead derives the file's cipher from the passphrase.
func (l lockParameters) aead(passphrase []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase, l.salt, 1<<l.logN, scryptR, l.p, l.sc.algorithms().keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return l.sc.aead(key)
}

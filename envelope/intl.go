package envelope

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"hash"
	"io"
)

// intl is RSA-3072 with PSS and OAEP (RFC 8017), both over SHA-256, and
// AES-256-GCM.
type intl struct{}

const (
	rsaBits     = 3072
	rsaExponent = 65537
	// pssSalt is the salt's length in bytes, the digest's own.
	pssSalt = sha256.Size
	// maxRSASPKI is above the 422 bytes of a key of ours.
	maxRSASPKI = 512
)

// DER that suite intl writes into CMS messages.
const (
	// RSAES-OAEP (RFC 4055 §4.1) with SHA-256 and MGF1 over SHA-256, empty label.
	// The digests' own parameters are absent (RFC 8017 B.1), as OpenSSL has it.
	derOAEP = "\x30\x38\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x2b" +
		"\xa0\x0d" + derSHA256 +
		"\xa1\x1a\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" + derSHA256
	derSHA256    = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01" // 2.16.840.1.101.3.4.2.1
	derData      = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	derAES256GCM = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e"         // 2.16.840.1.101.3.4.1.46
)

const aesKeySize = 32 // bytes

var errNotRSA = errors.New("not an RSA key of 3072 bits with exponent 65537")

func (intl) name() string { return intlName }

func (intl) newHash() hash.Hash { return sha256.New() }

// generate leaves the source of randomness to crypto/rsa, which since Go 1.26
// takes the system's whatever it is given.
func (intl) generate(random io.Reader) (heldKey, error) { return rsa.GenerateKey(random, rsaBits) }

func (s intl) parse(spki []byte) (crypto.PublicKey, error) {
	if len(spki) > maxRSASPKI {
		return nil, errNotRSA
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, errNotRSA
	}
	canonical, err := s.marshal(key)
	if err != nil || !bytes.Equal(canonical, spki) {
		return nil, errNotRSA
	}
	return key, nil
}

func (intl) marshal(key crypto.PublicKey) ([]byte, error) {
	k, ok := key.(*rsa.PublicKey)
	if !ok || k.N == nil || k.N.BitLen() != rsaBits || k.N.Bit(0) == 0 || k.E != rsaExponent {
		return nil, errNotRSA
	}
	return x509.MarshalPKIXPublicKey(k)
}

func (intl) sign(random io.Reader, key crypto.Signer, msg []byte) ([]byte, error) {
	digest := sha256.Sum256(msg)
	return key.Sign(random, digest[:], &rsa.PSSOptions{SaltLength: pssSalt, Hash: crypto.SHA256})
}

func (intl) verify(key crypto.PublicKey, msg, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return false
	}
	digest := sha256.Sum256(msg)
	return rsa.VerifyPSS(k, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: pssSalt}) == nil
}

func (s intl) algorithms() algorithms {
	return algorithms{
		transport:   derOAEP,
		contentType: derData,
		content:     derAES256GCM,
		keySize:     aesKeySize,
		wellWrapped: s.wellWrapped,
	}
}

func (intl) wellWrapped(wrapped []byte) bool { return len(wrapped) == rsaBits/8 }

func (intl) aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (intl) wrap(random io.Reader, to crypto.PublicKey, key []byte) ([]byte, error) {
	k, ok := to.(*rsa.PublicKey)
	if !ok {
		return nil, errNotRSA
	}
	return rsa.EncryptOAEP(sha256.New(), random, k, key, nil)
}

func (intl) unwrap(key crypto.Decrypter, wrapped []byte) ([]byte, error) {
	return key.Decrypt(nil, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
}

package envelope

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/ecdsa"
	"errors"
	"hash"
	"io"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// gm is SM2 with SM3 (GB/T 32918, default user id), SM3 (GB/T 32905) and
// SM4-GCM with a 128-bit key (GB/T 32907).
type gm struct{}

// sm2SPKI starts every SM2 SubjectPublicKeyInfo: id-ecPublicKey, the curve
// 1.2.156.10197.1.301, and a bit string of 65 bytes: an uncompressed point.
const sm2SPKI = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00"

// DER that suite gm writes into CMS messages (GM/T 0010, GM/T 0006).
const (
	derSM2Transport = "\x30\x0d\x06\x09\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x05\x00" // 1.2.156.10197.1.301.3, NULL
	derGMData       = "\x06\x0a\x2a\x81\x1c\xcf\x55\x06\x01\x04\x02\x01"             // 1.2.156.10197.6.1.4.2.1
	derSM4GCM       = "\x06\x08\x2a\x81\x1c\xcf\x55\x01\x68\x08"                     // 1.2.156.10197.1.104.8
)

const (
	sm2Coordinate = 32                  // bytes
	sm2Point      = 1 + 2*sm2Coordinate // uncompressed
	sm4KeySize    = 16                  // bytes
)

var errNotSM2 = errors.New("not a key on the SM2 curve")

func (gm) name() string { return gmName }

func (gm) newHash() hash.Hash { return sm3.New() }

func (gm) generate(random io.Reader) (heldKey, error) { return sm2.GenerateKey(random) }

func (gm) parse(spki []byte) (crypto.PublicKey, error) {
	point, ok := bytes.CutPrefix(spki, []byte(sm2SPKI))
	if !ok || len(point) != sm2Point || point[0] != 4 {
		return nil, errNotSM2
	}
	key, err := sm2.NewPublicKey(bytes.Clone(point))
	if err != nil {
		return nil, errNotSM2
	}
	return key, nil
}

func (gm) marshal(key crypto.PublicKey) ([]byte, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || !sm2.IsSM2PublicKey(k) {
		return nil, errNotSM2
	}
	return smx509.MarshalPKIXPublicKey(k)
}

func (gm) sign(random io.Reader, key crypto.Signer, msg []byte) ([]byte, error) {
	return key.Sign(random, msg, sm2.DefaultSM2SignerOpts)
}

func (gm) verify(key crypto.PublicKey, msg, signature []byte) bool {
	k, ok := key.(*ecdsa.PublicKey)
	return ok && sm2.VerifyASN1WithSM2(k, nil, msg, signature)
}

func (s gm) algorithms() algorithms {
	return algorithms{
		transport:   derSM2Transport,
		contentType: derGMData,
		content:     derSM4GCM,
		keySize:     sm4KeySize,
		wellWrapped: s.wellWrapped,
	}
}

func (gm) aead(key []byte) (cipher.AEAD, error) {
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (gm) wrap(random io.Reader, to crypto.PublicKey, key []byte) ([]byte, error) {
	k, ok := to.(*ecdsa.PublicKey)
	if !ok {
		return nil, errNotSM2
	}
	return sm2.EncryptASN1(random, k, key)
}

func (gm) unwrap(key crypto.Decrypter, wrapped []byte) ([]byte, error) {
	return key.Decrypt(nil, wrapped, sm2.ASN1DecrypterOpts)
}

// wellWrapped takes the ASN.1 form of GM/T 0009: coordinates x and y, digest,
// ciphertext as long as the key. The library would take other forms as well.
func (gm) wellWrapped(wrapped []byte) bool {
	input := cryptobyte.String(wrapped)
	var inner, digest, ciphertext cryptobyte.String
	var x, y []byte
	return input.ReadASN1(&inner, asn1.SEQUENCE) && input.Empty() &&
		inner.ReadASN1Integer(&x) && len(x) <= sm2Coordinate &&
		inner.ReadASN1Integer(&y) && len(y) <= sm2Coordinate &&
		inner.ReadASN1(&digest, asn1.OCTET_STRING) && len(digest) == sm3.Size &&
		inner.ReadASN1(&ciphertext, asn1.OCTET_STRING) && len(ciphertext) == sm4KeySize &&
		inner.Empty()
}

package envelope

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Uses that no Suite takes: of a CA's key, and of a party's links.
const (
	certifying Use = "certifying"
	transport  Use = "transport"
)

// A key's use stands in its PrivateKeyInfo as the attribute keyUsage
// (RFC 5280 §4.2.1.3; RFC 5958 leaves attributes open), alone.
const (
	derUsageHead = "\xa0\x0d\x30\x0b\x06\x03\x55\x1d\x0f\x31\x04\x03\x02" // [0] { { 2.5.29.15, { BIT STRING of two bytes
	derSigning   = "\x07\x80"                                             // digitalSignature
	derSealing   = "\x05\x20"                                             // keyEncipherment
	derCertify   = "\x02\x04"                                             // keyCertSign
	derTransport = "\x03\x88"                                             // digitalSignature and keyAgreement
)

// usageBits gives the attribute's last two bytes, empty for an unknown use.
func usageBits(use Use) string {
	switch use {
	case Signing:
		return derSigning
	case Sealing:
		return derSealing
	case certifying:
		return derCertify
	case transport:
		return derTransport
	default:
		return ""
	}
}

// encodeKeyInfo gives the key's PrivateKeyInfo, use included.
func encodeKeyInfo(use Use, key any) ([]byte, error) {
	switch key.(type) {
	case *sm2.PrivateKey, *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return nil, fmt.Errorf("%w: the private key is not held here", ErrKey)
	}
	plain, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	var body cryptobyte.String
	if s := cryptobyte.String(plain); !s.ReadASN1(&body, asn1.SEQUENCE) {
		return nil, fmt.Errorf("%w: not a PrivateKeyInfo", ErrKey)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(body)
		b.AddBytes([]byte(derUsageHead + usageBits(use)))
	})
	return b.Bytes()
}

// decodeKeyInfo is the strict inverse: the key must be in the encoding that
// encodeKeyInfo gives it.
func decodeKeyInfo(info []byte) (Use, any, error) {
	input := cryptobyte.String(info)
	var body, algorithm, private cryptobyte.String
	var bits []byte
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() ||
		!take(&body, derVersion0) ||
		!body.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!body.ReadASN1Element(&private, asn1.OCTET_STRING) ||
		!take(&body, derUsageHead) || !body.ReadBytes(&bits, 2) || !body.Empty() {
		return "", nil, fmt.Errorf("%w: want a PrivateKeyInfo with a key usage", ErrKeyFile)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(derVersion0))
		b.AddBytes(algorithm)
		b.AddBytes(private)
	})
	plain, err := b.Bytes()
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer clear(plain)
	key, err := smx509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		// The library's error could quote what it read.
		return "", nil, fmt.Errorf("%w: the private key does not parse", ErrKeyFile)
	}
	for _, use := range []Use{Signing, Sealing, certifying, transport} {
		if usageBits(use) != string(bits) {
			continue
		}
		if again, err := encodeKeyInfo(use, key); err != nil || !bytes.Equal(again, info) {
			return "", nil, fmt.Errorf("%w: the private key is not in its canonical encoding", ErrKeyFile)
		}
		return use, key, nil
	}
	return "", nil, fmt.Errorf("%w: unknown key usage", ErrKeyFile)
}

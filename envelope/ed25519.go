package envelope

import (
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"io"
)

// EncodeEd25519 writes a log's or a witness's key as a PEM key file under the
// passphrase: the form of EncodeKey, AES-256-GCM, PKCS #8 inside (RFC 8410).
func EncodeEd25519(random io.Reader, key ed25519.PrivateKey, passphrase []byte) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("encoding an Ed25519 key: %w: %d bytes", ErrKey, len(key))
	}
	info, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding an Ed25519 key: %w", err)
	}
	defer clear(info)
	return lock(random, intl{}, passphrase, info)
}

// DecodeEd25519 reads what EncodeEd25519 wrote: one PEM block and nothing else.
// Its errors are those of DecodeKey; a key of another kind is ErrKey.
func DecodeEd25519(data, passphrase []byte) (ed25519.PrivateKey, error) {
	der, rest, err := readBlock(data, pemKey)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%w: data after the key", ErrKeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("decoding key file: %w", err)
	}
	_, info, err := unlock(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("decoding key file: %w", err)
	}
	defer clear(info)
	parsed, err := x509.ParsePKCS8PrivateKey(info)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("decoding key file: %w: it holds no Ed25519 key", ErrKey)
	}
	return key, nil
}

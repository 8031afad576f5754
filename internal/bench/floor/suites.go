package floor

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm4"
)

// The calls are those of package envelope, files gm.go and intl.go; a test holds
// them to making the same things.

const (
	sm4KeySize = 16
	aesKeySize = 32
	rsaBits    = 3072
	nonceSize  = 12
)

func gm() (suite, error) {
	signing, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return suite{}, err
	}
	sealing, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return suite{}, err
	}
	return gmOf(signing, sealing), nil
}

func gmOf(signing, sealing *sm2.PrivateKey) suite {
	aead := func(key []byte) (cipher.AEAD, error) {
		block, err := sm4.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	return suite{
		keySize: sm4KeySize,
		sign:    func(msg []byte) ([]byte, error) { return signing.Sign(rand.Reader, msg, sm2.DefaultSM2SignerOpts) },
		verify: func(msg, signature []byte) bool {
			return sm2.VerifyASN1WithSM2(&signing.PublicKey, nil, msg, signature)
		},
		wrap: func(key []byte) ([]byte, error) { return sm2.EncryptASN1(rand.Reader, &sealing.PublicKey, key) },
		unwrap: func(wrapped []byte) ([]byte, error) {
			return sealing.Decrypt(nil, wrapped, sm2.ASN1DecrypterOpts)
		},
		encrypt: func(plain []byte) ([]byte, error) { return encrypt(aead, sm4KeySize, plain) },
		decrypt: func(sealed []byte) ([]byte, error) { return decrypt(aead, sm4KeySize, sealed) },
	}
}

func intl() (suite, error) {
	signing, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return suite{}, err
	}
	sealing, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return suite{}, err
	}
	return intlOf(signing, sealing), nil
}

func intlOf(signing, sealing *rsa.PrivateKey) suite {
	pss := &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}
	aead := func(key []byte) (cipher.AEAD, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	return suite{
		keySize: aesKeySize,
		sign: func(msg []byte) ([]byte, error) {
			digest := sha256.Sum256(msg)
			return signing.Sign(rand.Reader, digest[:], pss)
		},
		verify: func(msg, signature []byte) bool {
			digest := sha256.Sum256(msg)
			return rsa.VerifyPSS(&signing.PublicKey, crypto.SHA256, digest[:], signature, pss) == nil
		},
		wrap: func(key []byte) ([]byte, error) {
			return rsa.EncryptOAEP(sha256.New(), rand.Reader, &sealing.PublicKey, key, nil)
		},
		unwrap: func(wrapped []byte) ([]byte, error) {
			return sealing.Decrypt(nil, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
		},
		encrypt: func(plain []byte) ([]byte, error) { return encrypt(aead, aesKeySize, plain) },
		decrypt: func(sealed []byte) ([]byte, error) { return decrypt(aead, aesKeySize, sealed) },
	}
}

// encrypt draws a key and a nonce, which it puts before what it makes.
func encrypt(aead func([]byte) (cipher.AEAD, error), keySize int, plain []byte) ([]byte, error) {
	head := make([]byte, keySize+nonceSize, keySize+nonceSize+len(plain)+16)
	if _, err := rand.Read(head); err != nil {
		return nil, err
	}
	a, err := aead(head[:keySize])
	if err != nil {
		return nil, err
	}
	return a.Seal(head, head[keySize:], plain, nil), nil
}

func decrypt(aead func([]byte) (cipher.AEAD, error), keySize int, sealed []byte) ([]byte, error) {
	a, err := aead(sealed[:keySize])
	if err != nil {
		return nil, err
	}
	return a.Open(nil, sealed[keySize:keySize+nonceSize], sealed[keySize+nonceSize:], nil)
}

package envelope

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"testing"
)

// R8.4: a signature holds for its message and its key, and for nothing else.
func TestSignVerify(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		msg := []byte("signalbox/submission/v1\nmessage")
		signature, err := s.Sign(nil, k.signing, msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(k.signing.Public(), msg, signature); err != nil {
			t.Fatal(err)
		}
		other, err := s.GenerateKey(nil, Signing)
		if err != nil {
			t.Fatal(err)
		}
		cases := []struct {
			name           string
			key            PublicKey
			msg, signature []byte
		}{
			{"another message", k.signing.Public(), append(bytes.Clone(msg), '.'), signature},
			{"no message", k.signing.Public(), nil, signature},
			{"another key", other.Public(), msg, signature},
			{"no signature", k.signing.Public(), msg, nil},
			{"a byte more", k.signing.Public(), msg, append(bytes.Clone(signature), 0)},
			{"a byte less", k.signing.Public(), msg, signature[:len(signature)-1]},
		}
		for _, c := range cases {
			if err := s.Verify(c.key, c.msg, c.signature); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: error %v, want ErrSignature", c.name, err)
			}
		}
		for i := range signature {
			tampered := bytes.Clone(signature)
			tampered[i] ^= 1
			if s.Verify(k.signing.Public(), msg, tampered) == nil {
				t.Fatalf("byte %d of the signature does not count", i)
			}
		}
	})
}

// Signing keys sign, sealing keys seal, each in its own suite (protocol,
// "Sealed payload").
func TestSignRefusesKeys(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		msg := []byte("message")
		signature, err := s.Sign(nil, k.signing, msg)
		if err != nil {
			t.Fatal(err)
		}
		wrong := []PrivateKey{{}, k.sealing}
		for _, other := range suites {
			if other.Name() != s.Name() {
				wrong = append(wrong, keysOf(t, other).signing)
			}
		}
		for _, key := range wrong {
			if _, err := s.Sign(nil, key, msg); !errors.Is(err, ErrKey) {
				t.Errorf("signing with %s: %v, want ErrKey", key, err)
			}
			err := s.Verify(key.Public(), msg, signature)
			if !errors.Is(err, ErrKey) || !errors.Is(err, ErrSignature) {
				t.Errorf("verifying with %s: %v, want ErrSignature and ErrKey", key, err)
			}
		}
		if _, err := s.Sign(nil, k.signing, nil); err == nil {
			t.Error("signed nothing")
		}
	})
}

// The same key pair read for the other use has the same id and fits no more.
func TestUseIsNotTheKeys(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		twin, err := ParsePublicKey(s.Name(), Sealing, k.signing.Public().SPKI())
		if err != nil {
			t.Fatal(err)
		}
		if twin.ID() != k.signing.Public().ID() || twin.Equal(k.signing.Public()) {
			t.Error("want the same id and another key")
		}
		signature, err := s.Sign(nil, k.signing, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(twin, []byte("m"), signature); !errors.Is(err, ErrKey) {
			t.Errorf("a sealing key verifies: %v", err)
		}
	})
}

// A PSS signature with a salt of another length is not of this suite.
func TestPSSSaltIsFixed(t *testing.T) {
	k := keysOf(t, Intl())
	msg := []byte("message")
	digest := Intl().Sum(msg)
	signer := k.signing.private().signer.(*rsa.PrivateKey)
	for _, length := range []int{rsa.PSSSaltLengthEqualsHash, 20, rsa.PSSSaltLengthAuto} {
		signature, err := rsa.SignPSS(testRandom("pss"), signer, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length})
		if err != nil {
			t.Fatal(err)
		}
		ok := Intl().Verify(k.signing.Public(), msg, signature) == nil
		if want := length == rsa.PSSSaltLengthEqualsHash; ok != want {
			t.Errorf("salt length %d: verifies %t, want %t", length, ok, want)
		}
	}
	v15, err := rsa.SignPKCS1v15(nil, signer, crypto.SHA256, digest[:])
	if err != nil || Intl().Verify(k.signing.Public(), msg, v15) == nil {
		t.Errorf("a PKCS #1 v1.5 signature verifies, or %v", err)
	}
}

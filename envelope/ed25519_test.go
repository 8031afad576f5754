package envelope

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
)

// A witness's key file opens with its passphrase alone, and is no other kind of key (R7.3).
func TestEd25519KeyFile(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	data, err := EncodeEd25519(rand.Reader, key, []byte("secret"))
	must(err)
	if bytes.Contains(data, key.Seed()) {
		t.Error("the file holds the key in clear")
	}
	got, err := DecodeEd25519(data, []byte("secret"))
	if err != nil || !got.Equal(key) {
		t.Errorf("read back: %v", err)
	}
	if _, err := DecodeEd25519(data, []byte("other")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := DecodeKey(data, []byte("secret")); err == nil {
		t.Error("it reads as a party's key")
	}
	if _, err := DecodeEd25519(append(data, "x"...), []byte("secret")); !errors.Is(err, ErrKeyFile) {
		t.Errorf("with a tail: %v", err)
	}
	signing, err := GM().GenerateKey(rand.Reader, Signing)
	must(err)
	other, err := EncodeKey(rand.Reader, signing, []byte("secret"))
	must(err)
	if _, err := DecodeEd25519(other, []byte("secret")); !errors.Is(err, ErrKey) {
		t.Errorf("a party's key: %v", err)
	}
	if _, err := EncodeEd25519(rand.Reader, key[:5], []byte("secret")); !errors.Is(err, ErrKey) {
		t.Errorf("half a key: %v", err)
	}
}

package envelope

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/pkcs8"
	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func readTestFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// R7.3: keys are at rest only under a passphrase, and come back with their use.
func TestKeyFiles(t *testing.T) {
	passphrase := []byte("口令 with spaces")
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		for _, key := range []PrivateKey{k.signing, k.sealing} {
			file, err := EncodeKey(testRandom("file"), key, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeKey(file, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Public().Equal(key.Public()) {
				t.Errorf("%s came back as %s", key, got)
			}
			again, err := EncodeKey(testRandom("file"), got, passphrase)
			if err != nil || !bytes.Equal(file, again) {
				t.Errorf("the key that came back is written another way: %v", err)
			}
			if _, err := DecodeKey(file, []byte("another")); !errors.Is(err, ErrPassphrase) {
				t.Errorf("another passphrase: %v, want ErrPassphrase", err)
			}
			if _, err := DecodeCA(file, passphrase); err == nil {
				t.Error("a key file is read as a CA's")
			}
		}
		if _, err := EncodeKey(nil, k.signing, nil); err == nil {
			t.Error("written without a passphrase")
		}
		if _, err := EncodeCA(nil, k.ca, nil); err == nil {
			t.Error("a CA is written without a passphrase")
		}
		if _, err := DecodeKey(readTestFile(t, s.Name()+"-signing.pem"), nil); !errors.Is(err, ErrPassphrase) {
			t.Errorf("an empty passphrase: %v, want ErrPassphrase", err)
		}
	})
}

// The key files are standard PKCS #8: another reader of the standards opens them.
func TestKeyFilesAreStandard(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		block, _ := pem.Decode(readTestFile(t, s.Name()+"-sealing.pem"))
		got, _, err := pkcs8.ParsePrivateKey(block.Bytes, []byte(testPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		sealing, err := newPrivateKey(s.Name(), Sealing, got.(heldKey))
		if err != nil || !sealing.Public().Equal(k.sealing.Public()) {
			t.Errorf("it reads another key: %v", err)
		}
	})
}

// A file made for one use, suite or purpose is not taken for another, whatever
// is done to its clear parts.
func TestKeyFilesKeepTheirUse(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		signing, err := DecodeKey(readTestFile(t, s.Name()+"-signing.pem"), []byte(testPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		m := testMessage(s)
		ctx := testContext(s, m, signing.Public())
		if _, err := s.Seal(nil, ctx, m, signing.Public()); !errors.Is(err, ErrKey) {
			t.Errorf("sealed to a key out of a signing key's file: %v", err)
		}
		ca := readTestFile(t, s.Name()+"-ca.pem")
		caKey := ca[:bytes.Index(ca, []byte("-----BEGIN CERTIFICATE"))]
		if _, err := DecodeKey(caKey, []byte(testPassphrase)); !errors.Is(err, ErrKey) {
			t.Errorf("a CA's key as a suite's: %v, want ErrKey", err)
		}
		certificate := ca[len(caKey):]
		mixed := append(readTestFile(t, s.Name()+"-signing.pem"), certificate...)
		if _, err := DecodeCA(mixed, []byte(testPassphrase)); !errors.Is(err, ErrKey) {
			t.Errorf("a signing key as a CA's: %v, want ErrKey", err)
		}
		info, err := encodeKeyInfo(Signing, k.ca.private().signer)
		if err != nil {
			t.Fatal(err)
		}
		relabelled, err := lock(nil, s.(suite).scheme, []byte("p"), info)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeCA(append(relabelled, certificate...), []byte("p")); !errors.Is(err, ErrKey) {
			t.Errorf("a CA's key under the use signing: %v, want ErrKey", err)
		}
		if _, err := DecodeCA(caKey, []byte(testPassphrase)); !errors.Is(err, ErrKeyFile) {
			t.Errorf("a CA without its certificate: %v, want ErrKeyFile", err)
		}
		other := suites[0]
		if other.Name() == s.Name() {
			other = suites[1]
		}
		swapped := append(bytes.Clone(caKey), pemOf(pemCertificate, keysOf(t, other).ca.Certificate())...)
		if _, err := DecodeCA(swapped, []byte(testPassphrase)); !errors.Is(err, ErrKey) {
			t.Errorf("a CA's key with another's certificate: %v, want ErrKey", err)
		}
		// The cipher in clear names the suite; under the right passphrase it must
		// still be the key's own.
		if info, err = encodeKeyInfo(Signing, k.signing.private().signer); err != nil {
			t.Fatal(err)
		}
		file, err := lock(nil, other.(suite).scheme, []byte("p"), info)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeKey(file, []byte("p")); !errors.Is(err, ErrKey) {
			t.Errorf("a key of another suite: %v, want ErrKey", err)
		}
	})
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Every byte of the encrypted part counts; so does every byte of the nonce and
// the salt. (The clear parts are TestHostileKeyFiles'.)
func TestKeyFileTampering(t *testing.T) {
	for _, s := range suites {
		block, _ := pem.Decode(readTestFile(t, s.Name()+"-signing.pem"))
		l, ciphertext, err := decodeLock(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := l.aead([]byte(testPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := aead.Open(nil, l.nonce, ciphertext, nil); err != nil {
			t.Fatal(err)
		}
		for i := range ciphertext {
			tampered := bytes.Clone(ciphertext)
			tampered[i] ^= 1
			if _, err := aead.Open(nil, l.nonce, tampered, nil); err == nil {
				t.Fatalf("suite %s: byte %d does not count", s.Name(), i)
			}
		}
		for _, part := range [][]byte{l.salt, l.nonce, ciphertext} {
			tampered := bytes.Replace(block.Bytes, part, append([]byte{part[0] ^ 1}, part[1:]...), 1)
			if _, err := DecodeKey(pemOf(pemKey, tampered), []byte(testPassphrase)); !errors.Is(err, ErrPassphrase) {
				t.Errorf("suite %s: %v, want ErrPassphrase", s.Name(), err)
			}
		}
	}
}

// hostileKeyFiles ask for much, or are not what they should be.
func hostileKeyFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	good := readTestFile(tb, "gm-signing.pem")
	block, _ := pem.Decode(good)
	cost := func(n, r, p, size string) []byte {
		was := unhex(tb, "0203008000"+"020108"+"020101"+"020110")
		if !bytes.Contains(block.Bytes, was) {
			tb.Fatal("this test does not find the scrypt parameters")
		}
		shorter := len(was) - len(unhex(tb, n+r+p+size))
		der := bytes.Replace(block.Bytes, was, unhex(tb, n+r+p+size), 1)
		// Every sequence around is as much shorter; the lengths stand at fixed places.
		for _, at := range lengthsAround(tb, block.Bytes, bytes.Index(block.Bytes, was)) {
			der[at] -= byte(shorter)
		}
		return pemOf(pemKey, der)
	}
	replace := func(old, new string) []byte {
		return pemOf(pemKey, bytes.Replace(block.Bytes, []byte(old), []byte(new), 1))
	}
	return map[string][]byte{
		"nothing":                 nil,
		"not PEM":                 block.Bytes,
		"a plain key":             pemOf("PRIVATE KEY", block.Bytes),
		"headers":                 pem.EncodeToMemory(&pem.Block{Type: pemKey, Headers: map[string]string{"Use": "sealing"}, Bytes: block.Bytes}),
		"words before":            append([]byte("use: sealing\n"), good...),
		"two keys":                append(bytes.Clone(good), good...),
		"words after":             append(bytes.Clone(good), "end"...),
		"a megabyte":              append(bytes.Clone(good), bytes.Repeat([]byte{'\n'}, 1<<20)...),
		"no content":              pemOf(pemKey, nil),
		"a trailing byte":         pemOf(pemKey, append(bytes.Clone(block.Bytes), 0)),
		"cut short":               pemOf(pemKey, block.Bytes[:len(block.Bytes)-1]),
		"a length of 4 GiB":       pemOf(pemKey, unhex(tb, "3084ffffffff")),
		"PBKDF2":                  replace(derScrypt, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"),
		"PBES1":                   replace(derPBES2, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x03"),
		"SM4-CBC":                 replace(derSM4GCM, "\x06\x08\x2a\x81\x1c\xcf\x55\x01\x68\x02"),
		"4 GiB of scrypt":         cost("0203400000", "020108", "020101", "020110"),
		"cheap scrypt":            cost("02024000", "020108", "020101", "020110"),
		"N no power of two":       cost("0203008001", "020108", "020101", "020110"),
		"N negative":              cost("0203800000", "020108", "020101", "020110"),
		"a large block":           cost("0203008000", "02017f", "020101", "020110"),
		"much at once":            cost("0203008000", "020108", "020105", "020110"),
		"none at once":            cost("0203008000", "020108", "020100", "020110"),
		"another key length":      cost("0203008000", "020108", "020101", "020120"),
		"another suite's cipher":  replace(derSM4GCM, derAES256GCM[:1]+"\x08"+derAES256GCM[3:]),
		"an infinity of PEM":      bytes.Repeat([]byte("-----BEGIN "+pemKey+"-----\n"), 400),
		"a CA's file":             readTestFile(tb, "gm-ca.pem"),
		"another kind of content": readTestFile(tb, "gm-answers.json"),
	}
}

// lengthsAround gives the places of the last length bytes of all sequences that
// hold the byte at the place given.
func lengthsAround(tb testing.TB, der []byte, place int) []int {
	tb.Helper()
	var all []int
	for at := 0; at < place; {
		var element cryptobyte.String
		rest := cryptobyte.String(der[at:])
		var tag asn1.Tag
		if !rest.ReadAnyASN1Element(&element, &tag) {
			tb.Fatal("not DER")
		}
		var body cryptobyte.String
		if again := element; !again.ReadAnyASN1(&body, &tag) {
			tb.Fatal("not DER")
		}
		head := len(element) - len(body)
		if at+len(element) <= place || tag != asn1.SEQUENCE {
			at += len(element)
			continue
		}
		all = append(all, at+head-1)
		at += head
	}
	return all
}

// A hostile file gives an error before any memory or time is spent on scrypt.
func TestHostileKeyFiles(t *testing.T) {
	for name, data := range hostileKeyFiles(t) {
		var err error
		if n := allocated(func() { _, err = DecodeKey(data, []byte(testPassphrase)) }); n > 256<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		if !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v, want ErrKeyFile", name, err)
		}
		if _, err := DecodeCA(data, []byte("wrong")); err == nil {
			t.Errorf("%s: read as a CA's", name)
		}
	}
}

// The most that a file may ask for is bounded, and can be read.
func TestDearestKeyFile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 128 MiB and a second")
	}
	l := lockParameters{sc: gm{}, salt: make([]byte, maxSaltSize), logN: scryptMaxLogN, p: scryptP, nonce: make([]byte, nonceSize)}
	k := keysOf(t, GM())
	info, err := encodeKeyInfo(Sealing, k.sealing.held())
	if err != nil {
		t.Fatal(err)
	}
	aead, err := l.aead([]byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	der, err := l.encode(aead.Seal(nil, l.nonce, info, nil))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeKey(pemOf(pemKey, der), []byte("p"))
	if err != nil || !got.Public().Equal(k.sealing.Public()) {
		t.Errorf("read as %s, %v", got, err)
	}
}

// Even who knows the passphrase gets only canonical keys of known use through.
func TestKeyInfoIsStrict(t *testing.T) {
	k := keysOf(t, GM())
	good, err := encodeKeyInfo(Signing, k.signing.held())
	if err != nil {
		t.Fatal(err)
	}
	if use, key, err := decodeKeyInfo(good); err != nil || use != Signing || !k.signing.private().signer.(*sm2.PrivateKey).Equal(key) {
		t.Fatalf("reading it back: %s, %v", use, err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve384, err := encodeKeyInfo(certifying, p384)
	if err != nil {
		t.Fatal(err)
	}
	publicHalf := k.signing.Public().SPKI()[len(sm2SPKI):]
	replace := func(old, new []byte) []byte { return bytes.Replace(good, old, new, 1) }
	cases := []struct {
		name string
		info []byte
	}{
		{"nothing", nil},
		{"no attribute", withoutUsage(t, good)},
		{"another usage", replace([]byte(derSigning), []byte("\x07\x81"))},
		{"both uses", replace([]byte(derSigning), []byte("\x05\xa0"))},
		{"another attribute", replace([]byte("\x06\x03\x55\x1d\x0f"), []byte("\x06\x03\x55\x1d\x0e"))},
		{"another version", replace([]byte(derVersion0), []byte("\x02\x01\x01"))},
		{"a private key of zero", replace(k.signing.private().signer.(*sm2.PrivateKey).D.FillBytes(make([]byte, 32)), make([]byte, 32))},
		{"another public half", replace(publicHalf, append([]byte{4}, make([]byte, 64)...))},
		{"a trailing byte", append(bytes.Clone(good), 0)},
	}
	for _, c := range cases {
		if use, _, err := decodeKeyInfo(c.info); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: read for use %q, %v", c.name, use, err)
		}
	}
	file, err := lock(nil, gm{}, []byte("p"), curve384)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeKey(file, []byte("p")); !errors.Is(err, ErrKey) {
		t.Errorf("a P-384 key: %v, want ErrKey", err)
	}
	if _, err := encodeKeyInfo(Signing, "a string"); !errors.Is(err, ErrKey) {
		t.Errorf("a string for a key: %v", err)
	}
}

func withoutUsage(t *testing.T, info []byte) []byte {
	t.Helper()
	input := cryptobyte.String(info)
	var body cryptobyte.String
	if !input.ReadASN1(&body, asn1.SEQUENCE) {
		t.Fatal("not a sequence")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(body[:len(body)-len(derUsageHead)-2]) })
	return b.BytesOrPanic()
}

// An RSA key of another size in a good file is no key of suite intl.
func TestKeyFileOfAnotherSize(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	info, err := encodeKeyInfo(Sealing, small)
	if err != nil {
		t.Fatal(err)
	}
	file, err := lock(nil, intl{}, []byte("p"), info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeKey(file, []byte("p")); !errors.Is(err, ErrKey) {
		t.Errorf("RSA-2048: %v, want ErrKey", err)
	}
}

// Errors of key files never quote the key or the passphrase.
func TestKeyFileErrorsShowNothing(t *testing.T) {
	for name, data := range hostileKeyFiles(t) {
		_, err := DecodeKey(data, []byte("correct horse"))
		if err == nil || strings.Contains(err.Error(), "horse") || len(err.Error()) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecodeKey: no panic, and no error but this package's own.
func FuzzDecodeKey(f *testing.F) {
	for _, s := range suites {
		f.Add(readTestFile(f, s.Name()+"-signing.pem"))
		f.Add(readTestFile(f, s.Name()+"-ca.pem"))
	}
	for _, data := range hostileKeyFiles(f) {
		if len(data) <= maxKeyFile {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// The clear part alone, since scrypt would take all of the fuzzer's time.
		block, _ := pem.Decode(data)
		if block == nil {
			if _, err := DecodeKey(data, []byte("p")); !errors.Is(err, ErrKeyFile) {
				t.Errorf("not PEM, and yet %v", err)
			}
			return
		}
		l, ciphertext, err := decodeLock(block.Bytes)
		if err != nil {
			if _, err := DecodeKey(data, []byte("p")); !errors.Is(err, ErrKeyFile) {
				t.Errorf("malformed, and yet %v", err)
			}
			return
		}
		if l.logN > scryptMaxLogN || l.p > scryptMaxP || len(l.salt) > maxSaltSize {
			t.Errorf("N 2^%d, p %d, salt of %d bytes are over the bounds", l.logN, l.p, len(l.salt))
		}
		if again, err := l.encode(ciphertext); err != nil || !bytes.Equal(again, block.Bytes) {
			t.Errorf("%x is encoded again as %x, %v", block.Bytes, again, err)
		}
	})
}

// FuzzDecodeKeyInfo: what is inside a key file, as one who knows the passphrase
// could write it.
func FuzzDecodeKeyInfo(f *testing.F) {
	for _, s := range suites {
		k := keysOf(f, s)
		for _, held := range []struct {
			use Use
			key any
		}{{Signing, k.signing.held()}, {Sealing, k.sealing.held()}, {certifying, k.ca.private().signer}} {
			info, err := encodeKeyInfo(held.use, held.key)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(info)
		}
	}
	f.Fuzz(func(t *testing.T, info []byte) {
		use, key, err := decodeKeyInfo(info)
		if err != nil {
			if !errors.Is(err, ErrKeyFile) {
				t.Errorf("error %v, want ErrKeyFile", err)
			}
			return
		}
		if again, err := encodeKeyInfo(use, key); err != nil || !slices.Equal(again, info) {
			t.Errorf("%x is encoded again as %x, %v", info, again, err)
		}
	})
}

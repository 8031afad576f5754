package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func TestByName(t *testing.T) {
	for _, s := range suites {
		got, err := ByName(s.Name())
		if err != nil || got != s {
			t.Errorf("ByName(%q) = %v, %v", s.Name(), got, err)
		}
	}
	for _, name := range []string{"", "GM", "rsa", strings.Repeat("x", 1000)} {
		if s, err := ByName(name); err == nil || len(err.Error()) > 100 {
			t.Errorf("ByName(%.10q) = %v, %v", name, s, err)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		spki := k.sealing.Public().SPKI()
		got, err := ParsePublicKey(s.Name(), Sealing, spki)
		if err != nil || !got.Equal(k.sealing.Public()) {
			t.Fatalf("parsing what SPKI gave: %s, %v", got, err)
		}
		sum := sha256.Sum256(spki)
		if id := got.ID(); !bytes.Equal(id[:], sum[:20]) {
			t.Errorf("id %s, want the start of %x", id, sum)
		}
		standard, err := smx509.MarshalPKIXPublicKey(k.sealing.public.key)
		if err != nil || !bytes.Equal(standard, spki) {
			t.Errorf("the library encodes the key as %x, we as %x (%v)", standard, spki, err)
		}
		spki[len(spki)-1] ^= 1
		if bytes.Equal(spki, got.SPKI()) {
			t.Error("the caller's bytes are the key's own")
		}
		for _, use := range []Use{"", certifying, "other"} {
			if _, err := ParsePublicKey(s.Name(), use, got.SPKI()); !errors.Is(err, ErrKey) {
				t.Errorf("use %q: %v, want ErrKey", use, err)
			}
			if _, err := s.GenerateKey(nil, use); !errors.Is(err, ErrKey) {
				t.Errorf("generating for use %q: %v, want ErrKey", use, err)
			}
		}
	})
}

// Keys of another curve, size or exponent, and other encodings of good keys.
func TestParsePublicKeyRefuses(t *testing.T) {
	gmSPKI := keysOf(t, GM()).signing.Public().SPKI()
	rsaSPKI := keysOf(t, Intl()).signing.Public().SPKI()
	n := keysOf(t, Intl()).signing.public.key.(*rsa.PublicKey).N
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	edit := func(b []byte, f func([]byte) []byte) []byte { return f(bytes.Clone(b)) }
	notOnCurve := edit(gmSPKI, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	hybrid := edit(gmSPKI, func(b []byte) []byte { b[len(sm2SPKI)] = 6 | b[len(b)-1]&1; return b })
	compressed := append([]byte(sm2SPKI), 2|gmSPKI[len(gmSPKI)-1]&1)
	compressed = append(compressed, gmSPKI[len(sm2SPKI)+1:len(sm2SPKI)+1+sm2Coordinate]...)
	behind := func(spki []byte) []byte {
		var body cryptobyte.String
		if s := cryptobyte.String(spki); !s.ReadASN1(&body, asn1.SEQUENCE) {
			t.Fatal("not a sequence")
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(append(bytes.Clone(body), 5, 0)) })
		return b.BytesOrPanic()
	}
	infinity := append([]byte(sm2SPKI), make([]byte, sm2Point)...)
	infinity[len(sm2SPKI)] = 4
	cases := []struct {
		name, suite string
		spki        []byte
	}{
		{"nothing", "gm", nil},
		{"nothing", "intl", nil},
		{"no such suite", "other", gmSPKI},
		{"RSA", "gm", rsaSPKI},
		{"SM2", "intl", gmSPKI},
		{"P-256", "gm", encode(&p256.PublicKey)},
		{"P-256", "intl", encode(&p256.PublicKey)},
		{"off the curve", "gm", notOnCurve},
		{"hybrid point", "gm", hybrid},
		{"compressed point under another's head", "gm", compressed},
		{"point at infinity", "gm", infinity},
		{"trailing byte", "gm", append(bytes.Clone(gmSPKI), 0)},
		{"trailing byte", "intl", append(bytes.Clone(rsaSPKI), 0)},
		{"more behind the key", "gm", behind(gmSPKI)},
		{"more behind the key", "intl", behind(rsaSPKI)},
		{"cut short", "gm", gmSPKI[:len(gmSPKI)-1]},
		{"exponent 3", "intl", encode(&rsa.PublicKey{N: n, E: 3})},
		{"RSA-2048", "intl", encode(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2047, 1), E: rsaExponent})},
		{"RSA-3073", "intl", encode(&rsa.PublicKey{N: new(big.Int).SetBit(n, 3072, 1), E: rsaExponent})},
		{"even modulus", "intl", encode(&rsa.PublicKey{N: new(big.Int).SetBit(n, 0, 0), E: rsaExponent})},
		{"a megabyte", "intl", make([]byte, 1<<20)},
	}
	for _, c := range cases {
		key, err := ParsePublicKey(c.suite, Signing, c.spki)
		if err == nil {
			t.Errorf("%s in suite %s: took it as %s", c.name, c.suite, key)
		}
		if c.suite != "other" && !errors.Is(err, ErrKey) {
			t.Errorf("%s in suite %s: %v, want ErrKey", c.name, c.suite, err)
		}
	}
}

// elsewhere is a key in a hardware module: it signs and decrypts, and can't be
// exported (R7.3).
type elsewhere struct{ key heldKey }

func (e elsewhere) Public() crypto.PublicKey { return e.key.Public() }

func (e elsewhere) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return e.key.Sign(r, digest, opts)
}

func (e elsewhere) Decrypt(r io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return e.key.Decrypt(r, msg, opts)
}

func TestKeysElsewhere(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		signing, err := NewSigningKey(s.Name(), elsewhere{k.signing.private().signer.(heldKey)})
		if err != nil {
			t.Fatal(err)
		}
		signature, err := s.Sign(nil, signing, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(k.signing.Public(), []byte("m"), signature); err != nil {
			t.Error(err)
		}
		sealing, err := NewSealingKey(s.Name(), elsewhere{k.sealing.private().decrypter.(heldKey)})
		if err != nil {
			t.Fatal(err)
		}
		m := testMessage(s)
		ctx := testContext(s, m, k.sealing.Public())
		if _, err := s.Open(ctx, mustSeal(t, s, ctx, m, sealing.Public()), sealing); err != nil {
			t.Error(err)
		}
		for _, key := range []PrivateKey{signing, sealing, {}} {
			if _, err := EncodeKey(nil, key, []byte("passphrase")); !errors.Is(err, ErrKey) {
				t.Errorf("exporting %s: %v, want ErrKey", key, err)
			}
		}
		for _, other := range suites {
			if other.Name() == s.Name() {
				continue
			}
			_, err1 := NewSigningKey(other.Name(), elsewhere{k.signing.private().signer.(heldKey)})
			_, err2 := NewSealingKey(other.Name(), elsewhere{k.sealing.private().decrypter.(heldKey)})
			if !errors.Is(err1, ErrKey) || !errors.Is(err2, ErrKey) {
				t.Errorf("keys of suite %s in suite %s: %v, %v", s.Name(), other.Name(), err1, err2)
			}
		}
		_, err1 := NewSigningKey(s.Name(), nil)
		_, err2 := NewSealingKey(s.Name(), nil)
		if !errors.Is(err1, ErrKey) || !errors.Is(err2, ErrKey) {
			t.Errorf("no key at all: %v, %v", err1, err2)
		}
	})
}

// inModule is a key that is reached with a PIN, which must not show either.
type inModule struct {
	heldKey
	PIN string
}

const testPIN = "pin-271828"

// R7.3: however a private key is printed, only its public name shows.
func TestPrivateKeysPrintNothing(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		type holder struct {
			Key    PrivateKey
			hidden PrivateKey
			CA     CA
		}
		far, err1 := NewSigningKey(s.Name(), inModule{k.signing.private().signer.(heldKey), testPIN})
		farCA, err2 := OpenCA(k.ca.Certificate(), struct {
			crypto.Signer
			PIN string
		}{k.ca.private().signer, testPIN})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		values := []any{
			far, &far, farCA, &farCA,
			holder{far, far, farCA},
			&holder{far, far, farCA},
			k.signing, &k.signing, k.sealing, k.ca, &k.ca,
			holder{k.signing, k.sealing, k.ca},
			&holder{k.signing, k.sealing, k.ca},
			[]PrivateKey{k.signing},
			map[string]PrivateKey{"k": k.sealing},
		}
		secrets := append(secretsOf(t, k), testPIN)
		check := func(how, text string) {
			for _, secret := range secrets {
				if strings.Contains(strings.ToLower(text), secret) {
					t.Errorf("%s shows a private key", how)
				}
			}
		}
		var sees int
		for _, v := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%e", "%p", "%T"} {
				text := fmt.Sprintf(verb, v)
				check(verb, text)
				if named, ok := v.(fmt.Stringer); ok && verb != "%T" && verb != "%p" && text != named.String() {
					t.Errorf("%s of %T prints %q, want its name", verb, v, text)
				}
				if strings.Contains(text, k.signing.Public().ID().String()) {
					sees++
				}
			}
			var text, structured strings.Builder
			slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&structured, nil)).Info("m", "v", v)
			check("slog text", text.String())
			check("slog JSON", structured.String())
			encoded, err := json.Marshal(v)
			if err != nil {
				t.Errorf("JSON of %T: %v", v, err)
			}
			check("JSON", string(encoded))
		}
		if sees == 0 {
			t.Error("nothing shows the key's public id: the test looks at the wrong thing")
		}
		if (PrivateKey{}).String() != "private no key" || (CA{}).String() != "no CA" {
			t.Errorf("zero values: %s, %s", PrivateKey{}, CA{})
		}
	})
}

// secretsOf lists private numbers in the forms that a printer could give them.
func secretsOf(t *testing.T, k testKeys) []string {
	t.Helper()
	var numbers []*big.Int
	for _, key := range []any{k.signing.private().signer, k.sealing.private().decrypter, k.ca.private().signer} {
		switch key := key.(type) {
		case *sm2.PrivateKey:
			numbers = append(numbers, key.D)
		case *ecdsa.PrivateKey:
			raw, err := key.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, new(big.Int).SetBytes(raw))
		case *rsa.PrivateKey:
			numbers = append(numbers, key.D)
			numbers = append(numbers, key.Primes...)
		default:
			t.Fatalf("unknown key %T", key)
		}
	}
	var all []string
	for _, n := range numbers {
		words := strings.Trim(fmt.Sprint(n.Bits()[:3]), "[]")
		bytes := strings.Trim(fmt.Sprint(n.Bytes()[:6]), "[]")
		all = append(all, n.String()[:20], hex.EncodeToString(n.Bytes())[:20], n.Text(8)[:20], words, bytes)
	}
	return all
}

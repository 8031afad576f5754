package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"signalbox.dev/signalbox/flow"
)

var platform = Subject{ID: "platform-1", Role: "platform"}

func mustIssue(tb testing.TB, k testKeys) []byte {
	tb.Helper()
	leaf, err := k.ca.Issue(nil, platform, k.signing.Public(), leafFrom, leafTo)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf
}

// R7.1: an identity is what the authority's CA signed.
func TestCertificates(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		leaf := mustIssue(t, k)
		got, err := CheckCertificate(k.ca.Certificate(), leaf, leafFrom)
		if err != nil {
			t.Fatal(err)
		}
		want := Certificate{ID: platform.ID, Role: platform.Role, Key: k.signing.Public(), NotBefore: leafFrom, NotAfter: leafTo, Hash: got.Hash}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("certificate (-want +got):\n%s", diff)
		}
		parsed, err := smx509.ParseCertificate(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if n := parsed.SerialNumber.BitLen(); n != 127 {
			t.Errorf("serial number of %d bits, want 127", n)
		}
		if other := mustIssue(t, k); bytes.Equal(leaf, other) {
			t.Error("two certificates are equal: want random serial numbers")
		}
		// The key that a certificate gives verifies what its owner signs.
		signature, err := s.Sign(nil, k.signing, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(got.Key, []byte("m"), signature); err != nil {
			t.Error(err)
		}
	})
}

func TestCertificateValidity(t *testing.T) {
	forSuites(t, func(t *testing.T, _ Suite, k testKeys) {
		leaf := mustIssue(t, k)
		cases := []struct {
			at   time.Time
			want bool
		}{
			{leafFrom.Add(-time.Second), false},
			{leafFrom, true},
			{leafFrom.In(time.FixedZone("+08:00", 8*3600)), true},
			{leafTo, true},
			{leafTo.Add(time.Second), false},
			{caTo.Add(time.Hour), false},
			{caFrom.Add(-time.Hour), false},
			{time.Time{}, false},
		}
		for _, c := range cases {
			_, err := CheckCertificate(k.ca.Certificate(), leaf, c.at)
			if (err == nil) != c.want || err != nil && !errors.Is(err, ErrCertificate) {
				t.Errorf("at %s: %v", c.at, err)
			}
		}
		// A CA that has ended certifies nothing, even if its leaf has not.
		short, err := NewCA(nil, k.ca.Suite(), "short", leafFrom, leafTo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := short.Issue(nil, platform, k.signing.Public(), leafFrom, leafTo.Add(time.Second)); err == nil {
			t.Error("a leaf outlives its CA")
		}
		if _, err := short.Issue(nil, platform, k.signing.Public(), leafFrom.Add(-time.Second), leafTo); err == nil {
			t.Error("a leaf is older than its CA")
		}
		longer := forge(t, testKeys{ca: short}, k.signing.public.key, func(c *smx509.Certificate) { c.NotAfter = leafTo.AddDate(1, 0, 0) })
		if _, err := CheckCertificate(short.Certificate(), longer, leafTo); err != nil {
			t.Errorf("while both are valid: %v", err)
		}
		if _, err := CheckCertificate(short.Certificate(), longer, leafTo.Add(time.Second)); !errors.Is(err, ErrCertificate) {
			t.Errorf("when the CA has ended: %v, want ErrCertificate", err)
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		signing := k.signing.Public()
		cases := []struct {
			name     string
			ca       CA
			to       Subject
			key      PublicKey
			from, by time.Time
		}{
			{"no CA", CA{}, platform, signing, leafFrom, leafTo},
			{"no key", k.ca, platform, PublicKey{}, leafFrom, leafTo},
			{"a sealing key", k.ca, platform, k.sealing.Public(), leafFrom, leafTo},
			{"no id", k.ca, Subject{Role: "platform"}, signing, leafFrom, leafTo},
			{"no role", k.ca, Subject{ID: "p"}, signing, leafFrom, leafTo},
			{"an id with a newline", k.ca, Subject{ID: "a\nb", Role: "platform"}, signing, leafFrom, leafTo},
			{"a long id", k.ca, Subject{ID: strings.Repeat("a", 65), Role: "platform"}, signing, leafFrom, leafTo},
			{"ends before it starts", k.ca, platform, signing, leafTo, leafFrom},
		}
		for _, other := range suites {
			if other.Name() != s.Name() {
				cases = append(cases, struct {
					name     string
					ca       CA
					to       Subject
					key      PublicKey
					from, by time.Time
				}{"a key of the other suite", k.ca, platform, keysOf(t, other).signing.Public(), leafFrom, leafTo})
			}
		}
		for _, c := range cases {
			if _, err := c.ca.Issue(nil, c.to, c.key, c.from, c.by); err == nil {
				t.Errorf("%s: issued", c.name)
			}
		}
		for _, name := range []string{"", strings.Repeat("字", 65), "a\x00b", "\xff"} {
			if _, err := NewCA(nil, s.Name(), name, caFrom, caTo); err == nil {
				t.Errorf("made a CA named %q", name)
			}
		}
		if _, err := NewCA(nil, "other", "name", caFrom, caTo); err == nil {
			t.Error("made a CA of no suite")
		}
		if _, err := OpenCA(k.ca.Certificate(), k.signing.private().signer); !errors.Is(err, ErrKey) {
			t.Errorf("a CA with another key: %v, want ErrKey", err)
		}
		if _, err := OpenCA(k.ca.Certificate(), nil); !errors.Is(err, ErrKey) {
			t.Errorf("a CA without a key: %v, want ErrKey", err)
		}
	})
}

// forge signs a certificate with the CA's key that Issue would not make.
func forge(t *testing.T, k testKeys, key crypto.PublicKey, edit func(*smx509.Certificate)) []byte {
	t.Helper()
	leaf, err := draft(rand.Reader, key, leafFrom, leafTo)
	if err != nil {
		t.Fatal(err)
	}
	leaf.Subject = pkix.Name{CommonName: platform.ID, OrganizationalUnit: []string{platform.Role}}
	leaf.KeyUsage = smx509.KeyUsageDigitalSignature
	if edit != nil {
		edit(leaf)
	}
	der, err := smx509.CreateCertificate(rand.Reader, leaf, k.ca.certificate, key, k.ca.private().signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What the CA signed is still refused unless it is for a platform's signatures.
func TestCheckCertificateIsStrict(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		small, err2 := rsa.GenerateKey(rand.Reader, 2048)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		key := k.signing.public.key
		name := func(n pkix.Name) func(*smx509.Certificate) {
			return func(c *smx509.Certificate) { c.Subject = n }
		}
		cases := []struct {
			name string
			key  crypto.PublicKey
			edit func(*smx509.Certificate)
			want bool
		}{
			{name: "as Issue makes it", want: true},
			{name: "a CA below", edit: func(c *smx509.Certificate) { c.IsCA = true }},
			{name: "no basic constraints", edit: func(c *smx509.Certificate) { c.BasicConstraintsValid = false }},
			{name: "no key usage", edit: func(c *smx509.Certificate) { c.KeyUsage = 0 }},
			{name: "for certificates", edit: func(c *smx509.Certificate) { c.KeyUsage |= smx509.KeyUsageCertSign }},
			{name: "for key encipherment", edit: func(c *smx509.Certificate) { c.KeyUsage |= smx509.KeyUsageKeyEncipherment }},
			{name: "another key's identifier", edit: func(c *smx509.Certificate) { c.SubjectKeyId[0] ^= 1 }},
			{name: "no identifier", edit: func(c *smx509.Certificate) { c.SubjectKeyId = nil }},
			{name: "no common name", edit: name(pkix.Name{OrganizationalUnit: []string{"platform"}})},
			{name: "no unit", edit: name(pkix.Name{CommonName: "p"})},
			{name: "two units", edit: name(pkix.Name{CommonName: "p", OrganizationalUnit: []string{"platform", "authority"}})},
			{name: "more in the name", edit: name(pkix.Name{CommonName: "p", OrganizationalUnit: []string{"platform"}, Country: []string{"CN"}})},
			{name: "a name with spaces", edit: name(pkix.Name{CommonName: "p q", OrganizationalUnit: []string{"platform"}})},
			{name: "a unit with a slash", edit: name(pkix.Name{CommonName: "p", OrganizationalUnit: []string{"a/b"}})},
			{name: "an unknown critical extension", edit: func(c *smx509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
			}},
			{name: "a P-256 key", key: &p256.PublicKey},
			{name: "an RSA-2048 key", key: &small.PublicKey},
		}
		for _, c := range cases {
			if c.key == nil {
				c.key = key
			}
			_, err := CheckCertificate(k.ca.Certificate(), forge(t, k, c.key, c.edit), leafFrom)
			if (err == nil) != c.want || err != nil && !errors.Is(err, ErrCertificate) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

// What CheckCertificate wants of the signature beside its holding.
func TestCheckCertificateLooksAtTheIssuer(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		renamed, rekeyed := *k.ca.certificate, *k.ca.certificate
		renamed.RawSubject, renamed.Subject = nil, pkix.Name{CommonName: "another"}
		rekeyed.SubjectKeyId = make([]byte, 20)
		for name, parent := range map[string]*smx509.Certificate{"another issuer's name": &renamed, "another issuer's key identifier": &rekeyed} {
			other := k
			other.ca.certificate = parent
			if _, err := CheckCertificate(k.ca.Certificate(), forge(t, other, k.signing.public.key, nil), leafFrom); !errors.Is(err, ErrCertificate) {
				t.Errorf("%s: %v, want ErrCertificate", name, err)
			}
		}
		if s.Name() == intlName {
			sha512 := forge(t, k, k.signing.public.key, func(c *smx509.Certificate) { c.SignatureAlgorithm = smx509.ECDSAWithSHA512 })
			if _, err := CheckCertificate(k.ca.Certificate(), sha512, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Errorf("another signature algorithm: %v, want ErrCertificate", err)
			}
		}
	})
}

// A CA's certificate must say that it is one, and be of a suite's key.
func TestCAsThatAreNone(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forSuites(t, func(t *testing.T, _ Suite, k testKeys) {
		cases := []struct {
			name   string
			signer crypto.Signer
			usage  smx509.KeyUsage
			isCA   bool
			want   bool
		}{
			{"a CA", k.ca.private().signer, smx509.KeyUsageCertSign, true, true},
			{"not for certificates", k.ca.private().signer, smx509.KeyUsageCRLSign, true, false},
			{"for nothing", k.ca.private().signer, 0, true, false},
			{"no CA", k.ca.private().signer, smx509.KeyUsageCertSign, false, false},
			{"of a P-384 key", p384, smx509.KeyUsageCertSign, true, false},
		}
		for _, c := range cases {
			own, err := draft(rand.Reader, c.signer.Public(), caFrom, caTo)
			if err != nil {
				t.Fatal(err)
			}
			own.Subject = k.ca.certificate.Subject
			own.IsCA, own.KeyUsage = c.isCA, c.usage
			der, err := smx509.CreateCertificate(rand.Reader, own, own, c.signer.Public(), c.signer)
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := OpenCA(der, c.signer)
			_, err2 := CheckCertificate(der, mustIssue(t, k), leafFrom)
			if (err1 == nil) != c.want || (err2 == nil) != c.want {
				t.Errorf("%s: opening %v, checking %v", c.name, err1, err2)
			}
		}
	})
}

// Certificates of other CAs, and certificates in each other's place.
func TestOtherCAs(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		leaf := mustIssue(t, k)
		twin, err := NewCA(nil, s.Name(), k.ca.certificate.Subject.CommonName, caFrom, caTo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckCertificate(twin.Certificate(), leaf, leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("a CA of the same name: %v", err)
		}
		// The twin forges the authority key identifier as well.
		draft, err := draft(rand.Reader, k.signing.public.key, leafFrom, leafTo)
		if err != nil {
			t.Fatal(err)
		}
		draft.Subject = pkix.Name{CommonName: "p", OrganizationalUnit: []string{"platform"}}
		draft.KeyUsage = smx509.KeyUsageDigitalSignature
		parent := *twin.certificate
		parent.SubjectKeyId = k.ca.certificate.SubjectKeyId
		forged, err := smx509.CreateCertificate(rand.Reader, draft, &parent, k.signing.public.key, twin.private().signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckCertificate(k.ca.Certificate(), forged, leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("signed by a CA that names itself alike: %v", err)
		}
		for _, other := range suites {
			if other.Name() == s.Name() {
				continue
			}
			if _, err := CheckCertificate(keysOf(t, other).ca.Certificate(), leaf, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Errorf("the other suite's CA: %v", err)
			}
		}
		swaps := []struct {
			name     string
			ca, leaf []byte
		}{
			{"the CA as its own leaf", k.ca.Certificate(), k.ca.Certificate()},
			{"a leaf as CA", leaf, leaf},
			{"a leaf as CA of the CA", leaf, k.ca.Certificate()},
			{"no CA", nil, leaf},
			{"no leaf", k.ca.Certificate(), nil},
			{"a large leaf", k.ca.Certificate(), append(bytes.Clone(leaf), make([]byte, maxCertificate)...)},
		}
		for _, c := range swaps {
			if _, err := CheckCertificate(c.ca, c.leaf, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Errorf("%s: %v, want ErrCertificate", c.name, err)
			}
		}
	})
}

func TestCertificateTampering(t *testing.T) {
	forSuites(t, func(t *testing.T, _ Suite, k testKeys) {
		leaf := mustIssue(t, k)
		for i := range leaf {
			tampered := bytes.Clone(leaf)
			tampered[i] ^= 1 << (i % 8)
			if _, err := CheckCertificate(k.ca.Certificate(), tampered, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Fatalf("byte %d does not count: %v", i, err)
			}
			if _, err := CheckCertificate(k.ca.Certificate(), leaf[:i], leafFrom); !errors.Is(err, ErrCertificate) {
				t.Fatalf("cut at byte %d: %v", i, err)
			}
		}
		if _, err := CheckCertificate(k.ca.Certificate(), append(bytes.Clone(leaf), 0), leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("a trailing byte: %v", err)
		}
		// The library reads past this; it would give one certificate many encodings.
		var body cryptobyte.String
		if input := cryptobyte.String(leaf); !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) {
			t.Fatal("not a certificate")
		}
		var b cryptobyte.Builder
		b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(body)
			b.AddBytes([]byte{5, 0})
		})
		padded := b.BytesOrPanic()
		if _, err := smx509.ParseCertificate(padded); err != nil {
			t.Logf("the library is strict now: %v", err)
		}
		if _, err := CheckCertificate(k.ca.Certificate(), padded, leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("something behind the signature: %v", err)
		}
	})
}

// Anyone can turn an ECDSA signature (r, s) into (r, n-s). The certificate then
// has other bytes, and must keep its name: one revoked stays revoked.
func TestCertificateHashIsOfWhatWasSigned(t *testing.T) {
	k := keysOf(t, Intl())
	leaf := mustIssue(t, k)
	parsed, err := smx509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(parsed.Signature, &signature); err != nil {
		t.Fatal(err)
	}
	signature.S.Sub(elliptic.P256().Params().N, signature.S)
	rewritten, err := asn1.Marshal(signature)
	if err != nil {
		t.Fatal(err)
	}
	var algorithm cryptobyte.String
	rest := cryptobyte.String(leaf)
	if !rest.ReadASN1(&rest, cryptobyteasn1.SEQUENCE) || !rest.SkipASN1(cryptobyteasn1.SEQUENCE) ||
		!rest.ReadASN1Element(&algorithm, cryptobyteasn1.SEQUENCE) {
		t.Fatal("not a certificate")
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(parsed.RawTBSCertificate)
		b.AddBytes(algorithm)
		b.AddASN1BitString(rewritten)
	})
	twin := b.BytesOrPanic()
	first, err1 := CheckCertificate(k.ca.Certificate(), leaf, leafFrom)
	second, err2 := CheckCertificate(k.ca.Certificate(), twin, leafFrom)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(leaf, twin) || first.Hash != second.Hash {
		t.Errorf("hashes %s and %s of one certificate", first.Hash, second.Hash)
	}
	if first.Hash != flow.SumHash(parsed.RawTBSCertificate) {
		t.Error("the hash is not SHA-256 of the TBSCertificate")
	}
}

// A CA comes back from its file and goes on with the same key (R7.3).
func TestCAFiles(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		file, err := EncodeCA(nil, k.ca, []byte("p"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCA(file, []byte("p"))
		if err != nil {
			t.Fatal(err)
		}
		if got.Suite() != s.Name() || !bytes.Equal(got.Certificate(), k.ca.Certificate()) {
			t.Errorf("%s came back as %s", k.ca, got)
		}
		if _, err := CheckCertificate(k.ca.Certificate(), mustIssue(t, testKeys{signing: k.signing, ca: got}), leafFrom); err != nil {
			t.Error(err)
		}
		if _, err := DecodeCA(file, []byte("q")); !errors.Is(err, ErrPassphrase) {
			t.Errorf("another passphrase: %v, want ErrPassphrase", err)
		}
		if _, err := DecodeCA(append(file, "more"...), []byte("p")); !errors.Is(err, ErrKeyFile) {
			t.Errorf("words after: %v, want ErrKeyFile", err)
		}
		elsewhere, err := OpenCA(k.ca.Certificate(), onlySigner{k.ca.private().signer})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckCertificate(k.ca.Certificate(), mustIssue(t, testKeys{signing: k.signing, ca: elsewhere}), leafFrom); err != nil {
			t.Errorf("a CA whose key lives elsewhere: %v", err)
		}
		for _, ca := range []CA{elsewhere, {}} {
			if _, err := EncodeCA(nil, ca, []byte("p")); !errors.Is(err, ErrKey) {
				t.Errorf("exporting %s: %v, want ErrKey", ca, err)
			}
		}
		if (CA{}).Certificate() != nil || (CA{}).Suite() != "" {
			t.Error("the zero CA has a certificate or a suite")
		}
	})
}

// onlySigner is a CA's key in a hardware module.
type onlySigner struct{ crypto.Signer }

// FuzzCheckCertificate: no panic, no error but ErrCertificate.
func FuzzCheckCertificate(f *testing.F) {
	for _, s := range suites {
		a := readAnswers(f, s)
		f.Add(unhex(f, a.CA), unhex(f, a.Leaf))
		f.Add(unhex(f, a.CA), unhex(f, a.CA))
	}
	f.Fuzz(func(t *testing.T, ca, leaf []byte) {
		c, err := CheckCertificate(ca, leaf, leafFrom)
		if err != nil {
			if !errors.Is(err, ErrCertificate) {
				t.Errorf("error %v, want ErrCertificate", err)
			}
			return
		}
		if err := errors.Join(flow.CheckName("id", c.ID), flow.CheckName("role", c.Role)); err != nil {
			t.Error(err)
		}
	})
}

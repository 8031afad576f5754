package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"github.com/google/go-cmp/cmp"
)

func mustTransportKey(tb testing.TB) TransportKey {
	tb.Helper()
	key, err := NewTransportKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// R7.1: the CA certifies a party's transport key.
func TestTransportCertificates(t *testing.T) {
	forSuites(t, func(t *testing.T, _ Suite, k testKeys) {
		key := mustTransportKey(t)
		hosts := []string{"node-1.example", "10.0.0.7", "2001:db8::7"}
		leaf, err := k.ca.IssueTransport(nil, Subject{ID: "node-1", Role: "node"}, key.Public(), hosts, leafFrom, leafTo)
		if err != nil {
			t.Fatal(err)
		}
		got, err := CheckTransport(k.ca.Certificate(), leaf, leafFrom)
		if err != nil {
			t.Fatal(err)
		}
		want := TransportCertificate{
			ID: "node-1", Role: "node", Key: key.Public(), Hosts: hosts,
			NotBefore: leafFrom, NotAfter: leafTo, Hash: got.Hash,
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *ecdsa.PublicKey) bool { return a.Equal(b) })); diff != "" {
			t.Errorf("certificate (-want +got):\n%s", diff)
		}
		for _, at := range []time.Time{leafFrom.Add(-time.Second), leafTo.Add(time.Second), caTo.Add(time.Hour)} {
			if _, err := CheckTransport(k.ca.Certificate(), leaf, at); !errors.Is(err, ErrCertificate) {
				t.Errorf("at %s: %v, want ErrCertificate", at, err)
			}
		}
		for i := range leaf {
			tampered := bytes.Clone(leaf)
			tampered[i] ^= 1 << (i % 8)
			if _, err := CheckTransport(k.ca.Certificate(), tampered, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Fatalf("byte %d does not count: %v", i, err)
			}
		}
	})
}

// R7.1: certificates don't stand in for each other: of another CA, of another
// suite, of a signing key.
func TestTransportAndSigningCertificatesStayApart(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		key := mustTransportKey(t)
		transportLeaf, err := k.ca.IssueTransport(nil, platform, key.Public(), nil, leafFrom, leafTo)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := NewCA(nil, s.Name(), k.ca.certificate.Subject.CommonName, caFrom, caTo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckTransport(k.ca.Certificate(), mustIssue(t, k), leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("a signing certificate on a link: %v", err)
		}
		if _, err := CheckCertificate(k.ca.Certificate(), transportLeaf, leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("a transport certificate for signatures: %v", err)
		}
		if _, err := CheckTransport(twin.Certificate(), transportLeaf, leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("another CA of the same name: %v", err)
		}
		if _, err := CheckTransport(k.ca.Certificate(), k.ca.Certificate(), leafFrom); !errors.Is(err, ErrCertificate) {
			t.Errorf("the CA itself: %v", err)
		}
		// Even if the CA had signed them.
		both := transportUsage()
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cases := []struct {
			name string
			key  crypto.PublicKey
			edit func(*smx509.Certificate)
			want bool
		}{
			{name: "as IssueTransport makes it", want: true, edit: func(c *smx509.Certificate) { c.ExtKeyUsage = both }},
			{name: "for no link", edit: func(*smx509.Certificate) {}},
			{name: "for one end", edit: func(c *smx509.Certificate) { c.ExtKeyUsage = both[:1] }},
			{name: "for code as well", edit: func(c *smx509.Certificate) { c.ExtKeyUsage = append(transportUsage(), smx509.ExtKeyUsageCodeSigning) }},
			{name: "a CA below", edit: func(c *smx509.Certificate) { c.ExtKeyUsage, c.IsCA = both, true }},
			{name: "an email address", edit: func(c *smx509.Certificate) { c.ExtKeyUsage, c.EmailAddresses = both, []string{"a@b.example"} }},
			{name: "a wildcard", edit: func(c *smx509.Certificate) { c.ExtKeyUsage, c.DNSNames = both, []string{"*.example"} }},
			{name: "no unit", edit: func(c *smx509.Certificate) { c.ExtKeyUsage, c.Subject = both, pkix.Name{CommonName: "p"} }},
			{name: "a key on P-384", key: &p384.PublicKey, edit: func(c *smx509.Certificate) { c.ExtKeyUsage = both }},
			{name: "a signing key", key: k.signing.public.key, edit: func(c *smx509.Certificate) { c.ExtKeyUsage = both }},
		}
		for _, c := range cases {
			if c.key == nil {
				c.key = key.Public()
			}
			leaf := forge(t, k, c.key, c.edit)
			if _, err := CheckTransport(k.ca.Certificate(), leaf, leafFrom); (err == nil) != c.want || err != nil && !errors.Is(err, ErrCertificate) {
				t.Errorf("%s: %v", c.name, err)
			}
			if _, err := CheckCertificate(k.ca.Certificate(), leaf, leafFrom); !errors.Is(err, ErrCertificate) {
				t.Errorf("%s, as a signing certificate: %v", c.name, err)
			}
		}
	})
}

func TestIssueTransportRefuses(t *testing.T) {
	k := keysOf(t, GM())
	good := mustTransportKey(t).Public()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		ca    CA
		to    Subject
		key   *ecdsa.PublicKey
		hosts []string
	}{
		{"no CA", CA{}, platform, good, nil},
		{"no key", k.ca, platform, nil, nil},
		{"a key on P-384", k.ca, platform, &p384.PublicKey, nil},
		{"a signing key", k.ca, platform, k.signing.public.key.(*ecdsa.PublicKey), nil},
		{"no id", k.ca, Subject{Role: "node"}, good, nil},
		{"no role", k.ca, Subject{ID: "n"}, good, nil},
		{"a wildcard", k.ca, platform, good, []string{"*.example"}},
		{"an empty host", k.ca, platform, good, []string{""}},
		{"a host with a port", k.ca, platform, good, []string{"a.example:4222"}},
		{"a long host", k.ca, platform, good, []string{strings.Repeat("a.", 130) + "example"}},
		{"an address with a zone", k.ca, platform, good, []string{"fe80::1%eth0"}},
		{"an address in two forms", k.ca, platform, good, []string{"2001:DB8::1"}},
		{"many hosts", k.ca, platform, good, strings.Split(strings.Repeat("a.example ", 17), " ")[:17]},
	}
	for _, c := range cases {
		if _, err := c.ca.IssueTransport(nil, c.to, c.key, c.hosts, leafFrom, leafTo); err == nil {
			t.Errorf("%s: issued", c.name)
		}
	}
	if _, err := k.ca.IssueTransport(nil, platform, good, nil, leafFrom, caTo.Add(time.Hour)); err == nil {
		t.Error("a certificate outlives its CA")
	}
}

// R7.3: a transport key comes back from its file alone, and shows itself nowhere.
func TestTransportKeyFiles(t *testing.T) {
	key := mustTransportKey(t)
	file, err := EncodeTransportKey(nil, key, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTransportKey(file, []byte("p"))
	if err != nil || !got.Public().Equal(key.Public()) {
		t.Fatalf("%s came back as %s, %v", key, got, err)
	}
	if _, err := DecodeTransportKey(file, []byte("q")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := DecodeKey(file, []byte("p")); !errors.Is(err, ErrKey) {
		t.Errorf("read as a signing or sealing key: %v", err)
	}
	if _, err := DecodeCA(append(file, caPEM(t, keysOf(t, Intl()).ca)...), []byte("p")); !errors.Is(err, ErrKey) {
		t.Errorf("read as a CA's key: %v", err)
	}
	other, err := EncodeKey(nil, keysOf(t, GM()).signing, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeTransportKey(other, []byte("p")); !errors.Is(err, ErrKey) {
		t.Errorf("a signing key read as a transport key: %v", err)
	}
	elsewhere, err := OpenTransportKey(onlySigner{key.Signer()})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []TransportKey{elsewhere, {}} {
		if _, err := EncodeTransportKey(nil, k, []byte("p")); !errors.Is(err, ErrKey) {
			t.Errorf("exporting %s: %v, want ErrKey", k, err)
		}
	}
	for _, signer := range []crypto.Signer{nil, keysOf(t, GM()).signing.private().signer} {
		if _, err := OpenTransportKey(signer); !errors.Is(err, ErrKey) {
			t.Errorf("opening %T: %v, want ErrKey", signer, err)
		}
	}
	secret, err := key.Signer().(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := key.MarshalText()
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%#v %+v %d %x", key, struct{ k TransportKey }{key}, key, key), string(text)} {
		if strings.Contains(shown, fmt.Sprintf("%x", secret)) || strings.Contains(shown, fmt.Sprintf("%d", secret)) {
			t.Errorf("%s shows the key", shown)
		}
	}
}

func caPEM(t *testing.T, ca CA) []byte {
	t.Helper()
	file, err := EncodeCA(nil, ca, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	return file[bytes.Index(file, []byte("-----BEGIN CERTIFICATE")):]
}

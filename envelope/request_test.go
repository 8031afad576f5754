package envelope

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"github.com/emmansun/gmsm/smx509"
	"github.com/google/go-cmp/cmp"
)

func sameKey(a, b *ecdsa.PublicKey) bool { return a == b || a != nil && b != nil && a.Equal(b) }

// mustRequest makes a platform's request, with all that one can ask for.
func mustRequest(tb testing.TB, k testKeys, key TransportKey) []byte {
	tb.Helper()
	file, err := NewRequest(nil, platform, []string{"10.0.0.7", "p.example"},
		RequestKeys{Signing: k.signing, Sealing: k.sealing.Public(), Transport: key})
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// R7.1, R7.3: what an applicant asks for reaches the authority, and no private key with it.
func TestRequests(t *testing.T) {
	forSuites(t, func(t *testing.T, _ Suite, k testKeys) {
		key := mustTransportKey(t)
		full := Request{
			Subject: platform, Signing: k.signing.Public(), Sealing: k.sealing.Public().SPKI(),
			Transport: key.Public(), Hosts: []string{"p.example", "10.0.0.7"},
		}
		person := Request{Subject: Subject{ID: "pharmacist-1", Role: "reviewer"}, Signing: k.signing.Public()}
		personFile, err := NewRequest(nil, person.Subject, nil, RequestKeys{Signing: k.signing})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			want Request
			file []byte
		}{{full, mustRequest(t, k, key)}, {person, personFile}} {
			got, err := ParseRequest(c.file)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Hash = got.Hash
			if diff := cmp.Diff(c.want, got, cmp.Comparer(sameKey)); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			again, err := ParseRequest(append(c.file, '\n'))
			if err != nil || again.Hash != got.Hash {
				t.Errorf("with a line more: %v, hash %s, before %s", err, again.Hash, got.Hash)
			}
		}
		first, _ := ParseRequest(mustRequest(t, k, key))
		second, _ := ParseRequest(mustRequest(t, k, key))
		other, _ := ParseRequest(mustRequest(t, k, mustTransportKey(t)))
		if first.Hash != second.Hash || first.Hash == other.Hash {
			t.Error("the hash does not name what is asked for")
		}
	})
}

// R7.1: a request proves that the applicant has both private keys, and its parts
// can't be put together anew.
func TestForgedRequests(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		key, theirs := mustTransportKey(t), mustTransportKey(t)
		file := mustRequest(t, k, key)
		parts := blocks(t, file)
		own, err := ParseRequest(file)
		if err != nil {
			t.Fatal(err)
		}
		others := blocks(t, mustRequest(t, k, theirs))
		stranger, err := NewRequest(nil, Subject{ID: "stranger", Role: "platform"}, nil, RequestKeys{Signing: k.signing, Transport: key})
		if err != nil {
			t.Fatal(err)
		}
		// A PKCS #10 request for a key whose private half the applicant does not
		// have: signed by another, with the key put in afterwards.
		stolen := bytes.Replace(parts[1].Bytes, mustSPKI(t, key.Public()), mustSPKI(t, theirs.Public()), 1)
		sealing2 := &pem.Block{Type: pemPublicKey, Bytes: k.sealing2.Public().SPKI()}
		anyone, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p384, err := signRequest(rand.Reader, requestName(platform, own.Hash), nil, anyone)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := smx509.CreateCertificateRequest(rand.Reader, &smx509.CertificateRequest{
			Subject: pkix.Name{CommonName: "p", OrganizationalUnit: []string{"platform"}}, SignatureAlgorithm: requestAlgorithm(k.signing.public.key),
		}, k.signing.private().signer)
		if err != nil {
			t.Fatal(err)
		}
		cases := map[string][]byte{
			"nothing":                        nil,
			"no PEM":                         []byte("-----BEGIN"),
			"a transport key alone":          pem.EncodeToMemory(parts[1]),
			"no transport part":              joined(parts[0], parts[2]),
			"no sealing key":                 joined(parts[0], parts[1]),
			"another sealing key":            joined(parts[0], parts[1], sealing2),
			"a signing key to seal to":       joined(parts[0], parts[1], &pem.Block{Type: pemPublicKey, Bytes: k.signing.Public().SPKI()[1:]}),
			"another's transport part":       joined(parts[0], others[1], parts[2]),
			"another's first part":           joined(others[0], parts[1], parts[2]),
			"a stranger's transport part":    joined(parts[0], blocks(t, stranger)[1], parts[2]),
			"a transport key that is stolen": joined(parts[0], &pem.Block{Type: pemRequest, Bytes: stolen}, parts[2]),
			"parts in another order":         joined(parts[1], parts[0], parts[2]),
			"a part twice":                   joined(parts[0], parts[1], parts[1], parts[2]),
			"sealing key twice":              joined(parts[0], parts[1], parts[2], parts[2]),
			"words behind":                   append(bytes.Clone(file), "more"...),
			"another kind of block":          joined(parts[0], parts[1], &pem.Block{Type: "CERTIFICATE", Bytes: parts[2].Bytes}),
			"a key on P-384":                 p384,
			"without a hash":                 joined(&pem.Block{Type: pemRequest, Bytes: plain}),
			"over the limit":                 append(bytes.Clone(file), bytes.Repeat([]byte{'\n'}, maxRequest)...),
		}
		for name, data := range cases {
			if _, err := ParseRequest(data); !errors.Is(err, ErrRequest) {
				t.Errorf("%s: %v, want ErrRequest", name, err)
			}
		}
		for part := range 2 {
			for i := 0; i < len(parts[part].Bytes); i += 5 {
				tampered := slices.Clone(parts)
				tampered[part] = &pem.Block{Type: pemRequest, Bytes: bytes.Clone(parts[part].Bytes)}
				tampered[part].Bytes[i] ^= 1 << (i % 8)
				// An encoding of the same request, as RSA-PSS parameters allow, is no harm.
				if r, err := ParseRequest(joined(tampered...)); err == nil && !cmp.Equal(own, r, cmp.Comparer(sameKey)) {
					t.Fatalf("byte %d of part %d does not count", i, part+1)
				}
			}
		}
	})
}

func TestNewRequestRefuses(t *testing.T) {
	k, other := keysOf(t, GM()), keysOf(t, Intl())
	key := mustTransportKey(t)
	for name, c := range map[string]struct {
		to    Subject
		hosts []string
		keys  RequestKeys
	}{
		"no signing key":                   {platform, nil, RequestKeys{Transport: key}},
		"a sealing key to sign with":       {platform, nil, RequestKeys{Signing: k.sealing}},
		"a signing key to seal to":         {platform, nil, RequestKeys{Signing: k.signing, Sealing: k.signing.Public()}},
		"keys of two suites":               {platform, nil, RequestKeys{Signing: k.signing, Sealing: other.sealing.Public()}},
		"hosts of one that has no link":    {platform, []string{"a.example"}, RequestKeys{Signing: k.signing}},
		"a host that is none":              {platform, []string{"a b"}, RequestKeys{Signing: k.signing, Transport: key}},
		"an id with a space":               {Subject{ID: "a b", Role: "platform"}, nil, RequestKeys{Signing: k.signing}},
		"a role that is none of a subject": {Subject{ID: "a", Role: ""}, nil, RequestKeys{Signing: k.signing}},
	} {
		if _, err := NewRequest(nil, c.to, c.hosts, c.keys); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func blocks(t *testing.T, file []byte) []*pem.Block {
	t.Helper()
	var all []*pem.Block
	for {
		b, rest := pem.Decode(file)
		if b == nil {
			return all
		}
		all, file = append(all, b), rest
	}
}

func joined(parts ...*pem.Block) []byte {
	var file []byte
	for _, p := range parts {
		file = append(file, pem.EncodeToMemory(p)...)
	}
	return file
}

func mustSPKI(t *testing.T, key *ecdsa.PublicKey) []byte {
	t.Helper()
	spki, err := smx509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

// FuzzParseRequest: no panic, no error but ErrRequest, and nothing unfit comes out.
func FuzzParseRequest(f *testing.F) {
	for _, s := range suites {
		k := keysOf(f, s)
		file := mustRequest(f, k, mustTransportKey(f))
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRequest(data)
		if err != nil {
			if !errors.Is(err, ErrRequest) {
				t.Errorf("error %v, want ErrRequest", err)
			}
			return
		}
		if err := r.check(); err != nil {
			t.Error(err)
		}
	})
}

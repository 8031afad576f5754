package envelope

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/smx509"
	"github.com/google/go-cmp/cmp"
)

// OpenSSL reads what this package writes, and the other way round: nobody needs
// this software to check or open what is theirs.

// openssl is a folder to work in with the program.
type openssl struct {
	t   *testing.T
	dir string
}

func newOpenSSL(t *testing.T) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	return openssl{t, t.TempDir()}
}

func (o openssl) write(name string, data []byte) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o openssl) read(name string) []byte {
	o.t.Helper()
	data, err := os.ReadFile(filepath.Join(o.dir, name))
	if err != nil {
		o.t.Fatal(err)
	}
	return data
}

// writeKey writes a private key in clear, for OpenSSL alone.
func (o openssl) writeKey(name string, key any) {
	o.t.Helper()
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.write(name, pemOf("PRIVATE KEY", der))
}

func (o openssl) run(arguments string) (string, error) {
	cmd := exec.CommandContext(o.t.Context(), "openssl", strings.Fields(arguments)...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o openssl) must(arguments string) {
	o.t.Helper()
	if out, err := o.run(arguments); err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", arguments, err, out)
	}
}

// OpenSSL opens what suite intl sealed: context hash, salt and payload.
func TestOpenSSLOpensIntl(t *testing.T) {
	o, s := newOpenSSL(t), Intl()
	k, m := keysOf(t, s), testMessage(s)
	to := []PublicKey{k.sealing.Public(), k.sealing2.Public()}
	ctx := testContext(s, m, to...)
	o.write("sealed.der", mustSeal(t, s, ctx, m, to...))
	bound, err := ctx.hash(s)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{bound[:], m.Salt[:], m.Payload}, nil)
	for _, key := range []PrivateKey{k.sealing, k.sealing2} {
		o.writeKey("key.pem", key.held())
		o.must("cms -decrypt -inform DER -in sealed.der -inkey key.pem -binary -out opened")
		if diff := cmp.Diff(want, o.read("opened")); diff != "" {
			t.Errorf("opened with %s (-want +got):\n%s", key, diff)
		}
	}
	tampered := o.read("sealed.der")
	tampered[len(tampered)-1] ^= 1
	o.write("sealed.der", tampered)
	if _, err := o.run("cms -decrypt -inform DER -in sealed.der -inkey key.pem -binary -out opened"); err == nil {
		t.Error("OpenSSL opens a tampered message: it does not look at the tag")
	}
}

// What OpenSSL seals with the suite's algorithms, for a certificate with our key
// identifier, this package opens.
func TestIntlOpensOpenSSL(t *testing.T) {
	o, s := newOpenSSL(t), Intl()
	k, m := keysOf(t, s), testMessage(s)
	ctx := testContext(s, m, k.sealing.Public())
	bound, err := ctx.hash(s)
	if err != nil {
		t.Fatal(err)
	}
	o.write("plain", bytes.Join([][]byte{bound[:], m.Salt[:], m.Payload}, nil))
	o.write("recipient.pem", pemOf("CERTIFICATE", forge(t, k, k.sealing.public.key, nil)))
	o.must("cms -encrypt -binary -aes-256-gcm -keyid -outform DER -in plain -out sealed.der -recip recipient.pem" +
		" -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha256")
	got, err := s.Open(ctx, o.read("sealed.der"), k.sealing)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// OpenSSL has no SM2 key transport in CMS; it decrypts the content key itself.
func TestOpenSSLUnwrapsGM(t *testing.T) {
	o := newOpenSSL(t)
	k, s := keysOf(t, GM()), gm{}
	key := []byte("0123456789abcdef")
	wrapped, err := s.wrap(source(nil), k.sealing.public.key, key)
	if err != nil {
		t.Fatal(err)
	}
	o.write("wrapped", wrapped)
	o.writeKey("key.pem", k.sealing.held())
	o.must("pkeyutl -decrypt -inkey key.pem -in wrapped -out key -pkeyopt digest:sm3")
	if diff := cmp.Diff(key, o.read("key")); diff != "" {
		t.Errorf("content key (-want +got):\n%s", diff)
	}
	o.must("pkeyutl -encrypt -inkey key.pem -in key -out theirs -pkeyopt digest:sm3")
	theirs := o.read("theirs")
	got, err := s.unwrap(k.sealing.private().decrypter, theirs)
	if err != nil || !bytes.Equal(got, key) || !s.wellWrapped(theirs) {
		t.Errorf("OpenSSL's ciphertext %x decrypts to %x, %v", theirs, got, err)
	}
}

// OpenSSL verifies the signatures of both suites, and makes them.
func TestOpenSSLSignatures(t *testing.T) {
	options := map[string]string{
		gmName:   "-rawin -digest sm3 -pkeyopt distid:1234567812345678",
		intlName: "-rawin -digest sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:32 -pkeyopt rsa_mgf1_md:sha256",
	}
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		o, msg, option := newOpenSSL(t), []byte("signalbox/submission/v1\nmessage"), options[s.Name()]
		o.write("msg", msg)
		o.write("public.pem", pemOf("PUBLIC KEY", k.signing.Public().SPKI()))
		o.writeKey("key.pem", k.signing.held())
		signature, err := s.Sign(nil, k.signing, msg)
		if err != nil {
			t.Fatal(err)
		}
		o.write("signature", signature)
		o.must("pkeyutl -verify -pubin -inkey public.pem -in msg -sigfile signature " + option)

		o.must("pkeyutl -sign -inkey key.pem -in msg -out theirs " + option)
		if err := s.Verify(k.signing.Public(), msg, o.read("theirs")); err != nil {
			t.Errorf("OpenSSL's signature: %v", err)
		}
		o.write("msg", append(msg, '.'))
		if out, err := o.run("pkeyutl -verify -pubin -inkey public.pem -in msg -sigfile signature " + option); err == nil {
			t.Errorf("OpenSSL verifies another message: %s", out)
		}
	})
}

func TestOpenSSLDigests(t *testing.T) {
	digests := map[string]string{gmName: "sm3", intlName: "sha256"}
	for _, s := range suites {
		o := newOpenSSL(t)
		o.write("msg", []byte("message"))
		for _, c := range []struct{ arguments, want string }{
			{"dgst -r -" + digests[s.Name()] + " msg", s.Sum([]byte("message")).String()},
			{"dgst -r -" + digests[s.Name()] + " -hmac secret msg", s.MAC([]byte("secret"), []byte("message")).String()},
		} {
			out, err := o.run(c.arguments)
			if err != nil || !strings.HasPrefix(out, c.want) {
				t.Errorf("openssl %s: %s, %v, want %s", c.arguments, out, err, c.want)
			}
		}
	}
}

// OpenSSL takes the CA's certificates and the leaves for what they are.
func TestOpenSSLCertificates(t *testing.T) {
	// For a trusted SM2 root OpenSSL can't be told the signer's id, so there it
	// does not check the root's signature by itself.
	options := map[string]string{gmName: "-vfyopt distid:1234567812345678 ", intlName: "-check_ss_sig "}
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		o := newOpenSSL(t)
		o.write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: k.ca.Certificate()}))
		o.write("leaf.pem", pemOf(pemCertificate, mustIssue(t, k)))
		o.must("verify " + options[s.Name()] + "-x509_strict -attime 1767225600 -CAfile ca.pem leaf.pem")
		if out, err := o.run("verify " + options[s.Name()] + "-attime 1893456000 -CAfile ca.pem leaf.pem"); err == nil {
			t.Errorf("OpenSSL takes it after its end: %s", out)
		}
	})
}

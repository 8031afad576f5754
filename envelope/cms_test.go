package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"signalbox.dev/signalbox/flow"
)

// allocated is how many bytes f allocates, at most over a few runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	var most uint64
	for range 3 {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		most = max(most, after.TotalAlloc-before.TotalAlloc)
	}
	return most
}

// hostile are bytes that claim more than they hold, or hold another encoding of
// something good.
func hostile(tb testing.TB, s Suite) map[string][]byte {
	tb.Helper()
	good := unhex(tb, readAnswers(tb, s).Sealed)
	sc := s.(suite).scheme
	a := sc.algorithms()
	env, err := a.decode(good)
	if err != nil {
		tb.Fatal(err)
	}
	build := func(infos [][]byte, env authEnveloped) []byte { return assemble(tb, a, infos, env) }
	info := func(r recipient) []byte {
		der, err := a.encodeRecipient(r)
		if err != nil {
			tb.Fatal(err)
		}
		return der
	}
	infos := [][]byte{info(env.recipients[0]), info(env.recipients[1])}
	if !bytes.Equal(build(infos, env), good) {
		tb.Fatal("this test assembles another message than the encoder")
	}
	var many [][]byte
	for i := range maxRecipients + 1 {
		many = append(many, info(recipient{id: flow.KeyID{byte(i)}, wrapped: env.recipients[0].wrapped}))
	}
	slices.SortFunc(many, bytes.Compare)
	sameID := [][]byte{infos[0], info(recipient{id: env.recipients[0].id, wrapped: env.recipients[1].wrapped})}
	slices.SortFunc(sameID, bytes.Compare)
	shortTag, shortContent, odd, large := env, env, env, env
	large.ciphertext = make([]byte, flow.MaxMessage)
	shortTag.tag = env.tag[:12]
	shortContent.ciphertext = env.ciphertext[:plaintextHead-1]
	odd.nonce = append(slices.Clone(env.nonce), 0)

	replace := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	return map[string][]byte{
		"nothing":                     nil,
		"a length of 4 GiB":           unhex(tb, "3084ffffffff"),
		"a length of 2 GiB":           append(unhex(tb, "30847fffffff"), good...),
		"indefinite length":           append(append([]byte{0x30, 0x80}, good[4:]...), 0, 0),
		"nested for ever":             bytes.Repeat([]byte{0x30, 0x80}, 1<<18),
		"nested with lengths":         bytes.Repeat(unhex(tb, "3083ffffff"), 1<<15),
		"long form of a short length": replace(derVersion0, "\x02\x81\x01\x00"),
		"longer than the limit":       build(infos, large),
		"another version":             replace(derVersion0, "\x02\x01\x03"),
		"recipients by issuer":        replace(derVersion2, "\x02\x01\x00"),
		"another tag length":          replace(derTagLength, "\x02\x01\x0c"),
		"another content cipher":      replace(a.content, a.content[:len(a.content)-1]+"\x06"),
		"another key transport":       replace(a.transport, a.transport[:len(a.transport)-1]+"\x06"),
		"another content type":        replace(a.contentType, a.contentType[:len(a.contentType)-1]+"\x06"),
		"plain enveloped data":        replace(derAuthEnvelopedData, "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"),
		"no recipient":                build(nil, env),
		"recipients out of order":     build([][]byte{infos[1], infos[0]}, env),
		"a recipient twice":           build([][]byte{infos[0], infos[0]}, env),
		"one id twice":                build(sameID, env),
		"nine recipients":             build(many, env),
		"a hundred thousand":          build(slices.Repeat([][]byte{{0x30, 0x00}}, 100_000), env),
		"no encrypted key":            build([][]byte{info(recipient{id: env.recipients[0].id})}, env),
		"a huge encrypted key":        build([][]byte{info(recipient{id: env.recipients[0].id, wrapped: make([]byte, 500_000)})}, env),
		"a short tag":                 build(infos, shortTag),
		"short content":               build(infos, shortContent),
		"a long nonce":                build(infos, odd),
		"attributes":                  withAttributes(tb, good),
	}
}

// assemble puts a message together from recipient infos, good or bad.
func assemble(tb testing.TB, a algorithms, infos [][]byte, env authEnveloped) []byte {
	tb.Helper()
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(derAuthEnvelopedData))
		b.AddASN1(tagContent, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(derVersion0))
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(infos...)) })
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { a.addContent(b, env) })
				b.AddASN1OctetString(env.tag)
			})
		})
	})
	return b.BytesOrPanic()
}

// withAttributes adds an empty set of unauthenticated attributes.
func withAttributes(tb testing.TB, good []byte) []byte {
	tb.Helper()
	input := cryptobyte.String(good)
	var info, wrapper, data cryptobyte.String
	if !input.ReadASN1(&info, asn1.SEQUENCE) || !take(&info, derAuthEnvelopedData) ||
		!info.ReadASN1(&wrapper, tagContent) || !wrapper.ReadASN1(&data, asn1.SEQUENCE) {
		tb.Fatal("not a sealed message")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(derAuthEnvelopedData))
		b.AddASN1(tagContent, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(data)
				b.AddBytes([]byte{0xa2, 0x00})
			})
		})
	})
	return b.BytesOrPanic()
}

// Hostile DER gives an error, and costs next to no memory, whatever it claims.
func TestHostileMessages(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		ctx := testContext(s, testMessage(s), k.sealing.Public(), k.sealing2.Public())
		for name, sealed := range hostile(t, s) {
			t.Run(name, func(t *testing.T) {
				var err error
				open := func() { _, err = s.Open(ctx, sealed, k.sealing) }
				if n := allocated(open); n > 16<<10 {
					t.Errorf("%d bytes allocated", n)
				}
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("error %v, want ErrMalformed", err)
				}
				if n := testing.AllocsPerRun(5, open); n > 30 {
					t.Errorf("%g allocations", n)
				}
			})
		}
	})
}

func TestContentCipherIsStrict(t *testing.T) {
	for _, s := range suites {
		a := s.(suite).algorithms()
		good := a.content + derNonceHead + "nonce of GCM" + derTagLength
		cases := []struct {
			name, der string
			want      bool
		}{
			{"as encoded", good, true},
			{"nothing", "", false},
			{"cut short", good[:len(good)-1], false},
			{"more behind", good + "\x05\x00", false},
			{"without a tag length", a.content + "\x30\x0e\x04\x0cnonce of GCM", false},
		}
		for _, c := range cases {
			if nonce, ok := a.readCipher(cryptobyte.String(c.der)); ok != c.want || ok && string(nonce) != "nonce of GCM" {
				t.Errorf("suite %s, %s: read %q, %t", s.Name(), c.name, nonce, ok)
			}
		}
	}
}

// Forms of SM2 ciphertext that the library would take, and this package doesn't:
// one key and one message have few encodings.
func TestEncryptedKeyForms(t *testing.T) {
	s := gm{}
	k := keysOf(t, GM())
	good, err := s.wrap(source(nil), k.sealing.public.key, make([]byte, sm4KeySize))
	if err != nil {
		t.Fatal(err)
	}
	longer, err := s.wrap(source(nil), k.sealing.public.key, make([]byte, sm4KeySize+1))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		wrapped []byte
		want    bool
	}{
		{"ASN.1", good, true},
		{"nothing", nil, false},
		{"a longer key", longer, false},
		{"a trailing byte", append(bytes.Clone(good), 0), false},
		{"cut short", good[:len(good)-1], false},
		{"a plain point", append([]byte{4}, make([]byte, 64+32+16)...), false},
		{"a negative coordinate", sequence(t, "0201ff", "020101", "0420"+fmt.Sprintf("%064x", 1), "0410"+fmt.Sprintf("%032x", 1)), false},
		{"a coordinate of 33 bytes", sequence(t, "022101"+fmt.Sprintf("%064x", 1), "020101", "0420"+fmt.Sprintf("%064x", 1), "0410"+fmt.Sprintf("%032x", 1)), false},
		{"small coordinates", sequence(t, "020101", "020101", "0420"+fmt.Sprintf("%064x", 1), "0410"+fmt.Sprintf("%032x", 1)), true},
	}
	for _, c := range cases {
		if got := s.wellWrapped(c.wrapped); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// FuzzOpen: no panic, no error but this package's own, and whatever decodes has
// that one encoding.
func FuzzOpen(f *testing.F) {
	for _, s := range suites {
		f.Add(unhex(f, readAnswers(f, s).Sealed))
		for _, sealed := range hostile(f, s) {
			if len(sealed) <= 4096 {
				f.Add(sealed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		for _, s := range suites {
			k := keysOf(t, s)
			m := testMessage(s)
			ctx := testContext(s, m, k.sealing.Public(), k.sealing2.Public())
			got, err := s.Open(ctx, sealed, k.sealing)
			switch {
			case err == nil:
				if diff := cmp.Diff(m, got); diff != "" {
					t.Errorf("opened to another message (-want +got):\n%s", diff)
				}
			case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOpen) && !errors.Is(err, ErrNotRecipient):
				t.Errorf("error %v is none of this package's", err)
			}
			if again, err2 := reencode(s, sealed); (err2 == nil) == errors.Is(err, ErrMalformed) || err2 == nil && !bytes.Equal(again, sealed) {
				t.Errorf("decoding gives %v after %v; %d bytes encode to %d", err2, err, len(sealed), len(again))
			}
		}
	})
}

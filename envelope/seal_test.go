package envelope

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// forSuites runs a test in each suite (R8.3).
func forSuites(t *testing.T, f func(t *testing.T, s Suite, k testKeys)) {
	for _, s := range suites {
		t.Run(s.Name(), func(t *testing.T) { f(t, s, keysOf(t, s)) })
	}
}

func mustSeal(tb testing.TB, s Suite, ctx Context, m Message, to ...PublicKey) []byte {
	tb.Helper()
	sealed, err := s.Seal(nil, ctx, m, to...)
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

// R1.2, R4.1: what is sealed to keys opens with each of them and with no other.
func TestSealToSeveral(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m := testMessage(s)
		both := []PublicKey{k.sealing.Public(), k.sealing2.Public()}
		cases := []struct {
			name string
			to   []PublicKey
			open []PrivateKey
			not  []PrivateKey
		}{
			{"one", both[:1], []PrivateKey{k.sealing}, []PrivateKey{k.sealing2}},
			{"the other", both[1:], []PrivateKey{k.sealing2}, []PrivateKey{k.sealing}},
			{"both", both, []PrivateKey{k.sealing, k.sealing2}, nil},
			{"both, turned round", []PublicKey{both[1], both[0]}, []PrivateKey{k.sealing, k.sealing2}, nil},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ctx := testContext(s, m, c.to...)
				sealed := mustSeal(t, s, ctx, m, c.to...)
				for _, key := range c.open {
					got, err := s.Open(ctx, sealed, key)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(m, got); diff != "" {
						t.Errorf("message (-want +got):\n%s", diff)
					}
				}
				for _, key := range c.not {
					if _, err := s.Open(ctx, sealed, key); !errors.Is(err, ErrNotRecipient) {
						t.Errorf("opened with another's key: %v", err) // R4.2
					}
				}
			})
		}
	})
}

func TestPayloadSizes(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		to := k.sealing.Public()
		for _, size := range []int{0, 1, 127, 128, 65535, 65536, flow.MaxMessage - 4096, flow.MaxMessage - 64, flow.MaxMessage, flow.MaxMessage + 1} {
			m := Message{Payload: bytes.Repeat([]byte{7}, size)}
			ctx := testContext(s, m, to)
			sealed, err := s.Seal(nil, ctx, m, to)
			if size > flow.MaxMessage-4096 {
				if err == nil {
					t.Errorf("%d bytes: sealed into %d, over the limit that Open sets", size, len(sealed))
				}
				continue
			}
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			got, err := s.Open(ctx, sealed, k.sealing)
			if err != nil || !bytes.Equal(got.Payload, m.Payload) {
				t.Errorf("%d bytes: opened to %d bytes, %v", size, len(got.Payload), err)
			}
		}
	})
}

// Sealing the same twice gives nothing away.
func TestSealDrawsAfresh(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := testMessage(s), k.sealing.Public()
		ctx := testContext(s, m, to)
		if bytes.Equal(mustSeal(t, s, ctx, m, to), mustSeal(t, s, ctx, m, to)) {
			t.Error("two sealed messages are equal")
		}
		if _, err := s.Seal(iotest.ErrReader(errors.New("dry")), ctx, m, to); err == nil {
			t.Error("sealed without randomness")
		}
		if _, err := s.Seal(iotest.OneByteReader(testRandom("slow")), ctx, m, to); err != nil {
			t.Errorf("a reader that gives one byte at a time: %v", err)
		}
	})
}

func TestSealRefuses(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		other := suites[0]
		if s.Name() == other.Name() {
			other = suites[1]
		}
		m, to := testMessage(s), k.sealing.Public()
		wrongSuite := keysOf(t, other).sealing.Public()
		cases := []struct {
			name string
			to   []PublicKey
			edit func(*Context)
			want error // nil for any
		}{
			{name: "nobody"},
			{name: "nine", to: slices.Repeat([]PublicKey{to}, maxRecipients+1)},
			{name: "the same twice", to: []PublicKey{to, to}},
			{name: "no key", to: []PublicKey{{}}, want: ErrKey},
			{name: "a signing key", to: []PublicKey{k.signing.Public()}, want: ErrKey},
			{name: "a key of the other suite", to: []PublicKey{wrongSuite}, want: ErrKey},
			{name: "another recipient", to: []PublicKey{to}, edit: func(c *Context) { c.Recipients[0][0] ^= 1 }},
			{name: "a recipient too many", to: []PublicKey{to}, edit: func(c *Context) { c.Recipients = append(c.Recipients, flow.KeyID{}) }},
			{name: "no recipient in the context", to: []PublicKey{to}, edit: func(c *Context) { c.Recipients = nil }},
			{name: "another commitment", to: []PublicKey{to}, edit: func(c *Context) { c.Commitment[31] ^= 1 }},
			{name: "another suite", to: []PublicKey{to}, edit: func(c *Context) { c.Suite = other.Name() }},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				ctx := testContext(s, m, c.to...)
				if c.edit != nil {
					c.edit(&ctx)
				}
				_, err := s.Seal(nil, ctx, m, c.to...)
				if err == nil {
					t.Fatal("sealed")
				}
				if c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("error %q, want %q", err, c.want)
				}
			})
		}
	})
}

// Every field of the context is bound: a receiver that expects another value in
// any one of them does not open. Reflection finds fields that come later.
func TestEveryContextFieldIsBound(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := testMessage(s), k.sealing.Public()
		ctx := testContext(s, m, to)
		sealed := mustSeal(t, s, ctx, m, to)
		if _, err := s.Open(ctx, sealed, k.sealing); err != nil {
			t.Fatal(err)
		}
		for i, field := range reflect.VisibleFields(reflect.TypeFor[Context]()) {
			if field.Name == "_" {
				continue
			}
			changed := testContext(s, m, to)
			changeField(t, field.Name, reflect.ValueOf(&changed).Elem().Field(i))
			if _, err := s.Open(changed, sealed, k.sealing); !errors.Is(err, ErrOpen) {
				t.Errorf("%s is not bound: %v", field.Name, err)
			}
		}
	})
}

// A submission's context holds every field of its header but those that the
// platform's signature alone covers. Reflection finds fields that come later.
func TestSubmissionContextHoldsTheHeader(t *testing.T) {
	unbound := []string{
		"Version", // of the header's encoding
		"Record",  // follows from the commitment: the record's sealed copy
	}
	header := flow.Header{Recipients: []flow.KeyID{{1}}}
	before := SubmissionContext(header)
	for i, field := range reflect.VisibleFields(reflect.TypeFor[flow.Header]()) {
		if field.Name == "_" || slices.Contains(unbound, field.Name) {
			continue
		}
		changed := header
		changed.Recipients = slices.Clone(header.Recipients)
		changeField(t, field.Name, reflect.ValueOf(&changed).Elem().Field(i))
		if cmp.Equal(before, SubmissionContext(changed), cmp.AllowUnexported(Context{})) {
			t.Errorf("the context does not hold %s", field.Name)
		}
	}
}

func changeField(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Array:
		first := v.Index(0)
		first.SetUint(first.Uint() ^ 1)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	default:
		t.Fatalf("%s: this test does not know how to change a %s", name, v.Type())
	}
}

// Two contexts with the same letters in other places are different.
func TestContextsDoNotRunTogether(t *testing.T) {
	a, err1 := Context{Chain: "ab", Network: "c"}.hash(GM())
	b, err2 := Context{Chain: "a", Network: "bc"}.hash(GM())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Error("they have one hash")
	}
}

// Every byte of a message sealed to one key counts.
func TestEveryByteCounts(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := testMessage(s), k.sealing.Public()
		ctx := testContext(s, m, to)
		sealed := mustSeal(t, s, ctx, m, to)
		for i := range sealed {
			tampered := bytes.Clone(sealed)
			tampered[i] ^= 1 << (i % 8)
			wantRefusal(t, s, ctx, tampered, k.sealing, i)
		}
		for i := range sealed {
			wantRefusal(t, s, ctx, sealed[:i], k.sealing, i)
		}
		wantRefusal(t, s, ctx, append(bytes.Clone(sealed), 0), k.sealing, len(sealed))
	})
}

func wantRefusal(t *testing.T, s Suite, ctx Context, sealed []byte, key PrivateKey, at int) {
	t.Helper()
	m, err := s.Open(ctx, sealed, key)
	if err == nil {
		t.Fatalf("tampered at byte %d, and it opens", at)
	}
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOpen) && !errors.Is(err, ErrNotRecipient) {
		t.Fatalf("tampered at byte %d: error %q is none of this package's", at, err)
	}
	if m.Payload != nil || m.Salt != [SaltSize]byte{} {
		t.Fatalf("tampered at byte %d: an error, and yet a message", at)
	}
}

// With several recipients each one answers for its own encrypted key; what
// stands in another's is covered by the sender's signature (encrypt, then sign).
func TestAnotherRecipientsKey(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m := testMessage(s)
		to := []PublicKey{k.sealing.Public(), k.sealing2.Public()}
		ctx := testContext(s, m, to...)
		sc := s.(suite).scheme
		env, err := sc.algorithms().decode(mustSeal(t, s, ctx, m, to...))
		if err != nil {
			t.Fatal(err)
		}
		theirs := slices.IndexFunc(env.recipients, func(r recipient) bool { return r.id == to[1].ID() })
		env.recipients[theirs].wrapped[len(env.recipients[theirs].wrapped)-1] ^= 1
		sealed, err := sc.algorithms().encode(env)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(ctx, sealed, k.sealing2); !errors.Is(err, ErrOpen) {
			t.Errorf("the recipient whose key was changed: %v", err)
		}
		env.recipients = slices.Delete(env.recipients, theirs, theirs+1)
		if sealed, err = sc.algorithms().encode(env); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(ctx, sealed, k.sealing); !errors.Is(err, ErrOpen) {
			t.Errorf("a recipient was dropped on the way: %v", err)
		}
	})
}

// All failures after the right recipient is found give one and the same error,
// so that nobody learns from it which part failed.
func TestNoOracle(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := testMessage(s), k.sealing.Public()
		ctx := testContext(s, m, to)
		sc := s.(suite).scheme
		a := sc.algorithms()
		encode := func(edit func(*authEnveloped)) []byte {
			env, err := a.decode(mustSeal(t, s, ctx, m, to))
			if err != nil {
				t.Fatal(err)
			}
			edit(&env)
			sealed, err := a.encode(env)
			if err != nil {
				t.Fatal(err)
			}
			return sealed
		}
		wrap := func(key []byte) []byte {
			wrapped, err := sc.wrap(source(nil), to.key, key)
			if err != nil {
				t.Fatal(err)
			}
			return wrapped
		}
		under := func(key []byte, ctx Context, m Message) func(*authEnveloped) {
			return func(env *authEnveloped) {
				bound, err1 := ctx.hash(s)
				var err2 error
				env.ciphertext, env.tag, err2 = suite{sc}.encrypt(key, env.nonce, bound, m)
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
			}
		}
		otherSuite := ctx
		otherSuite.Suite = "another"
		zero, other := make([]byte, a.keySize), bytes.Repeat([]byte{1}, a.keySize)
		message2 := Message{Payload: []byte("another")}
		cases := []struct {
			name   string
			sealed []byte
			ctx    Context
		}{
			{"the key does not unwrap", encode(func(env *authEnveloped) { env.recipients[0].wrapped[len(env.recipients[0].wrapped)-1] ^= 1 }), ctx},
			{"another key unwraps", encode(func(env *authEnveloped) { env.recipients[0].wrapped = wrap(other) }), ctx},
			{"the key does not unwrap, the content is under the stand-in", encode(func(env *authEnveloped) {
				under(zero, ctx, m)(env)
				env.recipients[0].wrapped[len(env.recipients[0].wrapped)-1] ^= 1
			}), ctx},
			{"the tag is wrong", encode(func(env *authEnveloped) { env.tag[0] ^= 1 }), ctx},
			{"the context is another", encode(func(*authEnveloped) {}), Context{Suite: s.Name(), Recipients: ctx.Recipients, Commitment: ctx.Commitment}},
			{"the context is of another suite", encode(func(env *authEnveloped) {
				env.recipients[0].wrapped = wrap(other)
				under(other, otherSuite, m)(env)
			}), otherSuite},
			{"the commitment is to another message", encode(func(env *authEnveloped) {
				env.recipients[0].wrapped = wrap(other)
				under(other, ctx, message2)(env)
			}), ctx},
		}
		for _, c := range cases {
			if _, err := s.Open(c.ctx, c.sealed, k.sealing); err != ErrOpen {
				t.Errorf("%s: error %v, want ErrOpen itself", c.name, err)
			}
		}
		// The tools of this test do make messages that open.
		good := encode(func(env *authEnveloped) {
			env.recipients[0].wrapped = wrap(other)
			under(other, ctx, m)(env)
		})
		if _, err := s.Open(ctx, good, k.sealing); err != nil {
			t.Errorf("a message made by hand does not open: %v", err)
		}
		if a.keySize == aesKeySize {
			short := encode(func(env *authEnveloped) { // AES would take it
				env.recipients[0].wrapped = wrap(other[:16])
				under(other[:16], ctx, m)(env)
			})
			if _, err := s.Open(ctx, short, k.sealing); err != ErrOpen {
				t.Errorf("a content key that is too short: %v", err)
			}
		}
	})
}

func TestOpenRefusesKeys(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := testMessage(s), k.sealing.Public()
		ctx := testContext(s, m, to)
		sealed := mustSeal(t, s, ctx, m, to)
		for _, other := range suites {
			keys := keysOf(t, other)
			wrong := []PrivateKey{{}, keys.signing}
			if other.Name() != s.Name() {
				wrong = append(wrong, keys.sealing)
				if _, err := other.Open(ctx, sealed, keys.sealing); !errors.Is(err, ErrMalformed) {
					t.Errorf("suite %s reads a message of suite %s: %v", other.Name(), s.Name(), err)
				}
			}
			for _, key := range wrong {
				if _, err := s.Open(ctx, sealed, key); !errors.Is(err, ErrKey) {
					t.Errorf("opening in suite %s with %s: %v, want ErrKey", s.Name(), key, err)
				}
			}
		}
	})
}

// Errors never show what was sealed.
func TestErrorsShowNoPayload(t *testing.T) {
	forSuites(t, func(t *testing.T, s Suite, k testKeys) {
		m, to := Message{Payload: []byte("110101199003077758")}, k.sealing.Public()
		ctx := testContext(s, m, to)
		sealed := mustSeal(t, s, ctx, m, to)
		ctx.Actor = "another"
		_, err1 := s.Open(ctx, sealed, k.sealing)
		_, err2 := s.Seal(nil, Context{}, m, to)
		for _, err := range []error{err1, err2} {
			if err == nil || strings.Contains(err.Error(), string(m.Payload)) {
				t.Errorf("error: %v", err)
			}
		}
	})
}

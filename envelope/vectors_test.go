package envelope

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

var update = flag.Bool("update", false, "write the known answers anew; key files that exist are kept")

// The keys in testdata are for tests alone; their passphrase is no secret.
const testPassphrase = "signalbox test vectors"

var suites = []Suite{GM(), Intl()}

// testKeys are a suite's keys out of testdata. Making RSA keys is slow, and
// fixed keys are what known answers need.
type testKeys struct {
	signing, sealing, sealing2 PrivateKey
	ca                         CA
}

var loadTestKeys = map[string]func() (testKeys, error){
	gmName:   sync.OnceValues(func() (testKeys, error) { return readTestKeys(GM()) }),
	intlName: sync.OnceValues(func() (testKeys, error) { return readTestKeys(Intl()) }),
}

func keysOf(tb testing.TB, s Suite) testKeys {
	tb.Helper()
	k, err := loadTestKeys[s.Name()]()
	if err != nil {
		tb.Fatalf("reading test keys (make them with -update): %v", err)
	}
	return k
}

func readTestKeys(s Suite) (testKeys, error) {
	signing, err1 := readTestKey(s, "signing", Signing)
	sealing, err2 := readTestKey(s, "sealing", Sealing)
	sealing2, err3 := readTestKey(s, "sealing2", Sealing)
	ca, err4 := readTestCA(s)
	return testKeys{signing, sealing, sealing2, ca}, errors.Join(err1, err2, err3, err4)
}

func readTestKey(s Suite, name string, use Use) (PrivateKey, error) {
	path := filepath.Join("testdata", s.Name()+"-"+name+".pem")
	data, err := os.ReadFile(path)
	if *update && errors.Is(err, fs.ErrNotExist) {
		key, err := s.GenerateKey(nil, use)
		if err != nil {
			return PrivateKey{}, err
		}
		data, err := EncodeKey(nil, key, []byte(testPassphrase))
		return key, errors.Join(err, os.WriteFile(path, data, 0o644))
	}
	if err != nil {
		return PrivateKey{}, err
	}
	return DecodeKey(data, []byte(testPassphrase))
}

func readTestCA(s Suite) (CA, error) {
	path := filepath.Join("testdata", s.Name()+"-ca.pem")
	data, err := os.ReadFile(path)
	if *update && errors.Is(err, fs.ErrNotExist) {
		ca, err := NewCA(nil, s.Name(), "监管机关 Test Authority", caFrom, caTo)
		if err != nil {
			return CA{}, err
		}
		data, err := EncodeCA(nil, ca, []byte(testPassphrase))
		return ca, errors.Join(err, os.WriteFile(path, data, 0o644))
	}
	if err != nil {
		return CA{}, err
	}
	return DecodeCA(data, []byte(testPassphrase))
}

var (
	caFrom   = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	caTo     = time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC) // GeneralizedTime begins in 2050
	leafFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	leafTo   = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
)

// testRandom gives the same bytes every time.
func testRandom(name string) *rand.ChaCha8 { return rand.NewChaCha8(flow.SumHash([]byte(name))) }

// testMessage and testContext are what the known answers are about.
func testMessage(s Suite) Message {
	m := Message{Payload: []byte(`{"flow":"0000","opinion":"approve","note":"一日三次"}`)}
	_, _ = testRandom("salt " + s.Name()).Read(m.Salt[:])
	return m
}

func testContext(s Suite, m Message, to ...PublicKey) Context {
	c := Context{
		Purpose: "submission", Suite: s.Name(), Chain: "supervision-1", Network: "business-1",
		Platform: "platform-1", Business: "prescription", Step: flow.ReviewResult,
		Flow: flow.SumHash([]byte("flow")), ID: flow.ID{1, 2, 3}, Actor: "pharmacist-7",
		Sender: flow.KeyID{9, 8, 7}, Commitment: Commit(s, m),
	}
	for _, k := range to {
		c.Recipients = append(c.Recipients, k.ID())
	}
	return c
}

// answers are the known answers of one suite, in hexadecimal.
type answers struct {
	Suite       string
	SigningSPKI string
	SigningID   string
	SealingID   string
	Sealing2ID  string
	Sum         string // of "abc"
	MAC         string // of "abc" under "key"
	Commitment  string
	ContextHash string
	Sealed      string // testMessage to sealing and sealing2
	Signed      string // the message that was signed
	Signature   string
	CA, Leaf    string // certificates
	LeafHash    string
}

// fixedAnswers are those that have one right value.
func fixedAnswers(t *testing.T, s Suite) answers {
	t.Helper()
	k, m := keysOf(t, s), testMessage(s)
	bound, err := testContext(s, m, k.sealing.Public(), k.sealing2.Public()).hash(s)
	if err != nil {
		t.Fatal(err)
	}
	return answers{
		Suite:       s.Name(),
		SigningSPKI: hex.EncodeToString(k.signing.Public().SPKI()),
		SigningID:   k.signing.Public().ID().String(),
		SealingID:   k.sealing.Public().ID().String(),
		Sealing2ID:  k.sealing2.Public().ID().String(),
		Sum:         s.Sum([]byte("a"), []byte("bc")).String(),
		MAC:         s.MAC([]byte("key"), []byte("ab"), []byte("c")).String(),
		Commitment:  Commit(s, m).String(),
		ContextHash: bound.String(),
		Signed:      hex.EncodeToString([]byte("signalbox/submission/v1\nwhat a platform signs")),
		CA:          hex.EncodeToString(k.ca.Certificate()),
	}
}

func answersPath(s Suite) string { return filepath.Join("testdata", s.Name()+"-answers.json") }

func readAnswers(tb testing.TB, s Suite) answers {
	tb.Helper()
	data, err := os.ReadFile(answersPath(s))
	if err != nil {
		tb.Fatal(err)
	}
	var a answers
	if err := json.Unmarshal(data, &a); err != nil {
		tb.Fatal(err)
	}
	return a
}

func writeAnswers(t *testing.T, s Suite) {
	t.Helper()
	k, m, a := keysOf(t, s), testMessage(s), fixedAnswers(t, s)
	to := []PublicKey{k.sealing.Public(), k.sealing2.Public()}
	sealed, err1 := s.Seal(testRandom("seal"), testContext(s, m, to...), m, to...)
	signature, err2 := s.Sign(testRandom("sign"), k.signing, unhex(t, a.Signed))
	leaf, err3 := k.ca.Issue(testRandom("leaf"), Subject{ID: "platform-1", Role: "platform"}, k.signing.Public(), leafFrom, leafTo)
	checked, err4 := CheckCertificate(k.ca.Certificate(), leaf, leafFrom)
	a.Sealed, a.Signature = hex.EncodeToString(sealed), hex.EncodeToString(signature)
	a.Leaf, a.LeafHash = hex.EncodeToString(leaf), checked.Hash.String()
	data, err5 := json.MarshalIndent(a, "", "\t")
	if err := errors.Join(err1, err2, err3, err4, err5, os.WriteFile(answersPath(s), append(data, '\n'), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// reencode decodes a sealed message and encodes it again.
func reencode(s Suite, sealed []byte) ([]byte, error) {
	sc, err := schemeByName(s.Name())
	if err != nil {
		return nil, err
	}
	m, err := sc.algorithms().decode(sealed)
	if err != nil {
		return nil, err
	}
	return sc.algorithms().encode(m)
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestKnownAnswers holds the bytes still: what was sealed, signed or certified
// once must open and verify for ever. R8.3, R8.4.
func TestKnownAnswers(t *testing.T) {
	for _, s := range suites {
		t.Run(s.Name(), func(t *testing.T) {
			if *update {
				writeAnswers(t, s)
			}
			want, got := readAnswers(t, s), fixedAnswers(t, s)
			got.Sealed, got.Signature, got.Leaf, got.LeafHash = want.Sealed, want.Signature, want.Leaf, want.LeafHash
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("known answers (-want +got):\n%s", diff)
			}

			k, m := keysOf(t, s), testMessage(s)
			ctx := testContext(s, m, k.sealing.Public(), k.sealing2.Public())
			for _, key := range []PrivateKey{k.sealing, k.sealing2} {
				opened, err := s.Open(ctx, unhex(t, want.Sealed), key)
				if err != nil {
					t.Fatalf("the sealed message does not open with %s: %v", key, err)
				}
				if diff := cmp.Diff(m, opened); diff != "" {
					t.Errorf("message (-want +got):\n%s", diff)
				}
			}
			again, err := reencode(s, unhex(t, want.Sealed))
			if err != nil || hex.EncodeToString(again) != want.Sealed {
				t.Errorf("the sealed message is encoded another way now: %x, %v", again, err)
			}
			if err := s.Verify(k.signing.Public(), unhex(t, want.Signed), unhex(t, want.Signature)); err != nil {
				t.Errorf("the signature does not verify: %v", err)
			}
			leaf, err := CheckCertificate(unhex(t, want.CA), unhex(t, want.Leaf), leafFrom)
			if err != nil {
				t.Fatal(err)
			}
			wantLeaf := Certificate{
				ID: "platform-1", Role: "platform", Key: k.signing.Public(),
				NotBefore: leafFrom, NotAfter: leafTo, Hash: flow.Hash(unhex(t, want.LeafHash)),
			}
			if diff := cmp.Diff(wantLeaf, leaf); diff != "" {
				t.Errorf("certificate (-want +got):\n%s", diff)
			}
		})
	}
}

package floor

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"

	"signalbox.dev/signalbox/envelope"
)

// Every operation of the mix is done as often as it says, what is less than one in
// a step in some of them.
func TestWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var often, seldom int
	all := []line{
		{"often", 2.5, func() error { often++; return nil }},
		{"seldom", 0.25, func() error {
			if seldom++; seldom == 10 {
				cancel()
			}
			return nil
		}},
		{"never", 0, func() error { t.Error("an operation of no step was done"); return nil }},
	}
	steps, err := work(ctx, all)
	if err != nil || steps != 40 || often != 100 {
		t.Errorf("%d steps with %d and %d, %v; want 40 with 100 and 10", steps, often, seldom, err)
	}
}

// R10.2
func TestRun(t *testing.T) {
	for _, suite := range []string{"gm", "intl"} {
		mix, err := Of(suite, 0.1, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), suite, mix, 100*time.Millisecond)
		if err != nil || r.Steps <= 0 || r.PerStep <= 0 || r.PerSecond() <= 0 {
			t.Errorf("%s: %+v, %v", suite, r, err)
		}
		t.Logf("%s: %v a step", suite, r.PerStep)
	}
	if _, err := Run(t.Context(), "none", Mix{}, time.Millisecond); err == nil {
		t.Error("a suite that isn't there is measured")
	}
	if _, err := Of("none", 1, 1); err == nil {
		t.Error("a suite that isn't there has a mix")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ended, "gm", Mix{Sign: 1}, time.Hour); err == nil {
		t.Error("an ended context is no error")
	}
}

// The bare operations are those of package envelope: what the one signs the other
// verifies.
func TestOperationsAreTheEnvelopes(t *testing.T) {
	signing, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		suite envelope.Suite
		bare  suite
		key   any
	}{
		{envelope.GM(), gmOf(signing, signing), signing},
		{envelope.Intl(), intlOf(big, big), big},
	} {
		key, err := signer(c.suite, c.key)
		if err != nil {
			t.Fatal(err)
		}
		msg := []byte("what is signed")
		signature, err := c.bare.sign(msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.suite.Verify(key.Public(), msg, signature); err != nil {
			t.Errorf("%s: the envelope doesn't take the floor's signature: %v", c.suite.Name(), err)
		}
		if signature, err = c.suite.Sign(rand.Reader, key, msg); err != nil || !c.bare.verify(msg, signature) {
			t.Errorf("%s: the floor doesn't take the envelope's signature: %v", c.suite.Name(), err)
		}
		if c.bare.verify([]byte("something else"), signature) {
			t.Errorf("%s: any signature holds", c.suite.Name())
		}
	}
}

func signer(s envelope.Suite, key any) (envelope.PrivateKey, error) {
	switch key := key.(type) {
	case *sm2.PrivateKey:
		return envelope.NewSigningKey(s.Name(), key)
	default:
		return envelope.NewSigningKey(s.Name(), key.(*rsa.PrivateKey))
	}
}

// Package reference is the operation that the time of benchmarks is compared with
// where the machine's speed is not to matter: the verification of an SM2 signature
// over a usual message, run in the same process. It is for benchmarks alone;
// internal/bench/guard compares.
package reference

import (
	"testing"

	"signalbox.dev/signalbox/envelope"
)

// Verify is the body of a package's BenchmarkReference.
func Verify(b *testing.B) {
	s := envelope.GM()
	key, err := s.GenerateKey(nil, envelope.Signing)
	if err != nil {
		b.Fatal(err)
	}
	msg := make([]byte, 1536) // as in package envelope's own
	signature, err := s.Sign(nil, key, msg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Verify(key.Public(), msg, signature); err != nil {
			b.Fatal(err)
		}
	}
}

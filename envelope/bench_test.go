package envelope

import "testing"

// benchmarkPayload is the size of a usual record, in bytes.
const benchmarkPayload = 1536

func forSuitesBenchmark(b *testing.B, f func(b *testing.B, s Suite, k testKeys)) {
	for _, s := range suites {
		k := keysOf(b, s)
		b.Run(s.Name(), func(b *testing.B) {
			b.ReportAllocs()
			f(b, s, k)
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, s Suite, k testKeys) {
		m, to := Message{Payload: make([]byte, benchmarkPayload)}, k.sealing.Public()
		ctx := testContext(s, m, to)
		for b.Loop() {
			if _, err := s.Seal(nil, ctx, m, to); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, s Suite, k testKeys) {
		m, to := Message{Payload: make([]byte, benchmarkPayload)}, k.sealing.Public()
		ctx := testContext(s, m, to)
		sealed := mustSeal(b, s, ctx, m, to)
		for b.Loop() {
			if _, err := s.Open(ctx, sealed, k.sealing); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, s Suite, k testKeys) {
		msg := make([]byte, benchmarkPayload)
		for b.Loop() {
			if _, err := s.Sign(nil, k.signing, msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, s Suite, k testKeys) {
		msg := make([]byte, benchmarkPayload)
		signature, err := s.Sign(nil, k.signing, msg)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := s.Verify(k.signing.Public(), msg, signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCheckCertificate(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, _ Suite, k testKeys) {
		ca, leaf := k.ca.Certificate(), mustIssue(b, k)
		for b.Loop() {
			if _, err := CheckCertificate(ca, leaf, leafFrom); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeKey(b *testing.B) {
	forSuitesBenchmark(b, func(b *testing.B, s Suite, _ testKeys) {
		file := readTestFile(b, s.Name()+"-signing.pem")
		for b.Loop() {
			if _, err := DecodeKey(file, []byte(testPassphrase)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

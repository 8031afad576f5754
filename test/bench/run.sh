#!/bin/sh
# Runs the benchmarks that `make bench-guard` compares: the hot parts of a step, each
# a fixed number of times, so that allocations come out alike. GO names the tool.
set -eu
GO=${GO:-go}

run() { # package, times, benchmarks
	"$GO" test -run '^$' -benchmem -count "${COUNT:-4}" -benchtime "$2" -bench "$3" "./$1"
}

run envelope 200x '^Benchmark(Seal|Open|Sign|Verify)$'
run receipt 1000x '^Benchmark(Reference|Verify)$'
run contract 2000x '^Benchmark(Reference|Decide|Evaluate|Count)$'
run profile/prescription 500x '^BenchmarkReference$|^BenchmarkIntake$/^(coronary|fhir)|^BenchmarkFacts$/.'
run internal/platform/sealing 100x '^Benchmark(Reference|Seal)$'
run internal/platform 200x '^Benchmark(Intend|Step)$/^(gm|inflight=1)$'
run internal/store 500x '^BenchmarkWrite$/^callers=1$'
run internal/fusion 500x '^BenchmarkRoundTrip$/^in-flight=1$'
run internal/chain 200x '^BenchmarkDecide$/^inflight=1$'
run internal/comet 200x '^BenchmarkPut$/^flying=1$'
run ledger/embedded 200x '^BenchmarkCheck$|^BenchmarkPut$/^flying=1$'

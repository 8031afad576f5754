// Package faults is the fault matrix: it runs the parties as processes, built
// with the tag "faults" (internal/fault), does harm to them at every write of
// docs/order-of-writes.md and beside them, and checks that nothing is lost,
// nothing doubled, and nothing on the business chain without a decision.
//
// It has tests only. controller_test.go tells a process what is to happen at a
// point; cluster_test.go starts, kills and restarts the processes; load_test.go
// registers records and follows them; check_test.go reads both chains from their
// first block afterwards; the other files are the faults.
//
// `go test ./test/faults` is the short form, `make test-faults` the whole one.
// docs/faults.md holds what it has shown.
package faults

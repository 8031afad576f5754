// Package ops is what operators' tools see of a part: whether it lives, whether
// it does its work, and its figures, over a small HTTP listener of its own.
//
//	GET /healthz   200 while the process serves: restart it when this fails
//	GET /readyz    200 when it does its work, else 503 with the reason
//	GET /metrics   figures, in Prometheus's text form
//	GET /debug/pprof/…   profiles, where the configuration asks for it and the address is a loopback one
//
// The listener has no accounts: it belongs on loopback or on a network of the
// operators' own. It says nothing of records and subjects; label values are
// names of parties, states and verdicts.
//
// Figures have one vocabulary (Vocabulary), from which docs/operations.md has
// its table. They are asked for when somebody looks (Source), so that no part
// keeps books for metrics, and nothing here is global. Which part gives which
// figures is for the wiring of each role: package internal/party.
package ops

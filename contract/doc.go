// Package contract is the verification contract (R3.2, R6.1): from the state of
// the supervision chain and the facts of a submission it decides, with reasons.
// It is pure and deterministic: equal state, facts and block time give equal
// decisions on every validator.
//
// It checks no signatures and opens no payloads; internal/chain hosts it.
//
// Read decide.go for the fixed order of the stages, then one file a stage:
// admission.go, sequence.go, tokens.go, lists.go, rules.go; grant.go for what a
// granted submission changes; state.go for the layout of the state. bundle.go
// has the form of rule bundles, admit.go what they must keep to, reasons.go all
// words for people. testdata/scenarios shows the whole contract in examples;
// package contracts holds the bundles that are shipped.
package contract

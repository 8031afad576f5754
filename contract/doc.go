// Package contract is the verification contract (R3.2, R6.1): from the state of
// the supervision chain and the facts of a submission it decides, with reasons.
// It is pure and deterministic: equal state, facts and block time give equal
// decisions on every validator.
//
// It checks no signatures and opens no payloads; internal/chain hosts it.
//
// Read decide.go for the fixed order of the stages, then one file a stage:
// admission.go, freeze.go, sequence.go, tokens.go, lists.go, standing.go (with
// grants.go), rules.go; granted.go for what a granted submission changes, holds.go
// for one that waits for an officer; state.go for the layout of the state.
//
// orders.go has the officers' orders, orders_carried.go, orders_lists.go and
// orders_rules.go what each kind does, versions.go how a bundle takes force,
// explanation.go how a decision came about.
//
// bundle.go has the form of rule bundles, environment.go what their expressions
// may use, counters.go what they know of the past, admit.go what they must keep to;
// package trial below tries them before they take force. reasons.go and orders_refused.go all words for people. testdata/scenarios shows
// the whole contract in examples; package contracts holds the bundles that are
// shipped.
package contract

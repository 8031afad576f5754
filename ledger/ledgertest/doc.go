// Package ledgertest is the conformance suite of the port ledger: whoever
// implements a business chain runs it, and what passes here is what a platform
// may rely on.
//
// The suite owns an authority's log and mints receipts with it, valid ones and
// every kind of invalid one, since the point of a business chain is what it
// refuses (R1.7). A chain under test is opened with the suite's [Setup], so that
// it trusts that authority.
//
// Read run.go for what is asked of a chain, authority.go for how receipts are
// made, refusals.go for the attacks.
package ledgertest

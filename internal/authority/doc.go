// Package authority is the regulator's half: the only holder of the supervision
// key (R7.3). It takes submissions from the fusion nodes, opens them, checks
// signature and form, derives facts, puts them on the supervision chain and
// publishes the decisions with their receipts (R1.4, R2.6, R4.5).
//
// The way of one submission, in the order of the files: authority.go takes it
// from the stream; examine.go opens it and derives facts; settle.go brings it to
// the chain and makes the answer. A submission that can't be opened or read is
// refused with a reason and holds up nobody. enrol.go admits reviewers (R2.1),
// orders.go brings officers' orders on the chain (R7.1, R9.6), pseudonym.go makes subject keys (R1.2).
//
// It decides nothing itself: package contract does, in consensus.
package authority

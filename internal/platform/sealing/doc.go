// Package sealing is everything that the platform does with keys: it makes the
// two sealed copies of a step (one for the authority, one for the business
// chain), opens what is sealed to the platform, and judges receipts.
//
// "Sealed with the platform's own key" (R1.5, R2.7) is read as: sealed to the
// platform's own sealing key and signed with its signing key. The business
// chain's value is therefore a signed wrapper, see Value.
//
// It stores nothing and asks nobody. Package outbox carries what it makes.
package sealing

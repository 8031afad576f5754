// Package contract is the verification contract (R3.2, R6.1): from the state of
// the supervision chain and the facts of a submission it decides, with reasons.
// It is pure and deterministic: equal state, facts and block time give equal
// decisions on every validator.
//
// It checks no signatures and opens no payloads; internal/chain hosts it.
package contract

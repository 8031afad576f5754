// Package flow holds the words and the state machine of a supervised business
// flow: steps, verdicts, submissions, decisions, tokens, and the payloads that
// travel sealed. Everything else in Signalbox is built on these words.
//
// It is pure: no context, clock, network, logger or storage. It does not seal
// or sign (package envelope), decide (package contract) or prove (package
// receipt).
//
// Read step.go for the kinds of step and their order, submission.go for what a
// platform pushes, decision.go for what comes back, token.go for R2.3 and R3.3,
// payload.go for what is inside the seal.
package flow

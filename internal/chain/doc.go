// Package chain is the supervision chain (R1.4, R8.1): a CometBFT application
// that hosts the verification contract and the log of its decisions.
//
// The life of one transaction, in the order of the files:
//
//  1. transaction.go: the authority composes it from a submission and its facts,
//     and signs it. Its hash is SHA-256 of its bytes.
//  2. admission.go: nobody's transaction gets in without the authority's
//     signature and a platform's own, checked once (R7.1).
//  3. execute.go: in a block it is counted once by its submission id, decided by
//     package contract, and its decision becomes a leaf of the log.
//  4. application.go: the block's changes, log root and application hash are
//     committed in one atomic batch; checkpoint.go signs the new root.
//  5. query.go: decisions by transaction, by subject key in order, by flow; receipts.
//  6. replay.go: re-executes a stopped chain from its first block, for auditors.
//
// It holds no private key: checkpoints are signed through a note.Signer that
// the authority passes in, and payloads stay sealed.
package chain

// Package embedded is a business chain of Signalbox's own: a CometBFT chain in
// process, fully separate from the supervision chain (R7.2) with its own
// directory, keys and chain id. It implements the port ledger.
//
// Its contract is the application on that chain. It knows the authority's
// published keys and checks every record's receipt in consensus, so that a
// write without one never gets in, whoever proposes it (R1.7). It never reads a
// record's value.
//
// Read genesis.go for what is fixed when the chain begins, transaction.go for
// what is put on it, contract.go for how every node decides, ledger.go for the
// port, replay.go for checking a stopped chain from its first block.
package embedded

// Package system puts the parts together in one process: the authority with its
// chain, a fusion node, a platform with its database, a business chain of its
// own, and sandbox participants. `signalbox up` and `signalbox demo` run it.
//
// It wires and decides nothing. The parties keep separate directories and
// separate keys below one data directory, as they would on machines of their
// own (R7.2, R7.3):
//
//	authority/       keys, CA, and its node of the supervision chain
//	authority.pub    the authority's log keys, for everyone
//	fusion/          the fusion node's streams
//	platform/        keys, certificate, database
//	business/        the business chain's node, and the network's sealing key
//	participants/    keys and certificates of reviewers and producers
//	receipts/        receipts as files
//	passphrase       of the key files, readable by its owner alone
//
// It is composed of the wirings in package party, which run the same parties
// apart. Read layout.go for the files, found.go for how a new data directory is
// made, and system.go for how it runs and in which order it stops.
package system

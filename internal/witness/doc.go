// Package witness is a party that cosigns checkpoints of logs, so that a log
// can't show different people different histories: c2sp.org/tlog-witness over
// HTTP, and c2sp.org/tlog-cosignature with Ed25519 keys.
//
// A witness is a key and a memory. It remembers the largest checkpoint of each
// log that it has cosigned, and cosigns another only if that is shown to be a
// continuation. It stores no leaf and judges none: it says that a log only grew,
// not that what stands in it is right.
//
// Witness (witness.go) is that party without a network, store.go its memory,
// handler.go its two HTTP calls. Client is how a log or a monitor asks one.
// Feeder (feeder.go) is the log's side: it has witnesses cosign what the log
// signs, off the path of decisions. Evidence (evidence.go) is what there is to
// show when a log was caught.
//
// Who watches the log from outside is package internal/monitor; what a verifier
// makes of cosignatures is receipt.Policy.
package witness

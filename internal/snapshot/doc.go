// Package snapshot keeps the supervision chain's state as it stood after some blocks,
// in an archive.Store, so that a node can go on from there without the blocks before:
// a new one, or one that was away for so long that the others have pruned what it
// missed (R8.1, R10.1).
//
// A snapshot is three kinds of object under its height:
//
//	<height>/chunk-<number>  the log's hashes of what the state has forgotten, then
//	                         the entries of the state, in the order of their keys
//	<height>/anchor          what consensus goes on from: comet.Anchor
//	<height>/manifest        Manifest, JSON; written last: without it there is no snapshot
//
// Nothing of it is believed. The manifest binds every file by its SHA-256, which finds
// damage. The anchor's header, signed by the validators, binds the state by its
// application hash, which finds forgery. The anchor's fingerprint is what a person
// compares with another node's: whoever has validated once could sign another history,
// and a fingerprint that was told by another way ends that (docs/adr/0036).
//
// No payload is in a snapshot: the state has none.
package snapshot

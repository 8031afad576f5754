// Package jsontree reads JSON from outside as a tree, so that a profile can say
// of everything that is wrong with a record where it is (RFC 6901), can keep
// what it doesn't map, and can write one canonical form to hash.
//
// It is stricter than encoding/json: invalid UTF-8, lone surrogates, members
// that stand twice, and anything over its limits are errors, and values never
// stand in an error. It is not a general JSON library: Signalbox's own messages
// are CBOR (package flow), and its own JSON is written with encoding/json.
//
// Parse gives the tree, Decode fills structs from it, AppendCanonical writes it.
package jsontree

// Package receipt is the proof that a decision stands on the supervision chain,
// verifiable offline with nothing but the authority's published keys.
//
// A receipt is a c2sp.org/tlog-proof: the leaf's own bytes in the extra line,
// its index, an inclusion proof, and a checkpoint signed by the authority
// (c2sp.org/signed-note, c2sp.org/tlog-checkpoint). golang.org/x/mod/sumdb and
// a base64 decoder are enough to check one; this package adds what the leaf says.
//
// Witnesses may have cosigned the checkpoint (c2sp.org/tlog-cosignature), and a
// verifier's policy (c2sp.org/tlog-policy) says how many of which it wants.
//
// Read leaf.go for what is proven, proof.go for how, keys.go for by whom,
// cosign.go and policy.go for who else must have seen the log, and admit.go for
// what a business chain demands before it stores a record (R1.7).
package receipt

// Package envelope seals, opens, signs and verifies (protocol "Sealed payload",
// R8.3, R8.4). It is pure: randomness is passed in, and nothing is stored.
//
// It knows nothing of who may do what; it says whether bytes open and whether
// a signature holds.
//
// Start with envelope.go, the seam. key.go has the two halves of a key pair,
// suite.go what the suites share, gm.go and intl.go what they don't. seal.go is
// how a message is bound to its context, cms.go its encoding. keyfile.go and
// keyinfo.go encrypt private keys, ca.go and certificate.go certify public ones
// (R7.1), transport.go those of links, and request.go is how a party asks for
// certificates. A receipt's proof is not here but in package receipt.
package envelope

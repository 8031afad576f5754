// Package party is what the wirings of the four roles share: sections of their
// configurations (sections.go), key files under a passphrase (keys.go), and
// layers that start one upon the other and stop from the top (layers.go).
//
// The packages below it each wire one party as a process of its own (R7.2, R7.3):
// authority, fusion, platform, ledger. `signalbox up` puts the same four together
// in one process (package system). They wire and decide nothing.
package party

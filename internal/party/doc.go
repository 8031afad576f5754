// Package party is what the wirings of the four roles share: sections of their
// configurations (sections.go), folders and key files under a passphrase
// (files.go, keys.go), how an applicant asks and what it is given (applicant.go,
// admission.go), links to fusion nodes (links.go), layers that start one upon the
// other and stop from the top (layers.go), and a role as a process (serve.go).
//
// The packages below it each wire one party as a process of its own (R7.2, R7.3):
// authority, fusion, platform, ledger. `signalbox up` puts the same four together
// in one process (package system). They wire and decide nothing.
package party

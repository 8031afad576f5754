// Package platform wires a platform as a process of its own: its database and
// outbox, its links to the fusion nodes and to its business chain, its API, and,
// on trial, built-in people (R7.2, R7.3).
package platform

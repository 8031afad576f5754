// Package nodes runs a supervision chain of several nodes as processes of the
// built program, from the ceremony to decisions, and does harm to them: kills,
// strangers, revocation, network cuts (R7.1, R8.1).
//
// It has tests only. council_test.go makes and runs the processes; the other
// files are what is done to them. What takes longer than a few seconds a node is
// in internal/chain's tests, with nodes in one process.
package nodes

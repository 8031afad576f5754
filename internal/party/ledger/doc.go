// Package ledger wires an embedded business chain as a process of its own. It has
// no part in the supervision side's certificates: platforms and chain know each
// other's keys directly (R7.2).
package ledger

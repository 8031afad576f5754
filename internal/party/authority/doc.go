// Package authority wires the regulator as a process of its own: its node of the
// supervision chain, its links to the fusion nodes, and the officers' socket
// (R7.1, R7.3).
package authority

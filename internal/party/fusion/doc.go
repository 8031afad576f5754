// Package fusion wires a fusion node as a process of its own: its streams, and the
// listener by which authority and platforms reach it (R1.3, R7.2).
package fusion

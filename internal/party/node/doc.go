// Package node wires a node of the supervision chain as a process of its own: a
// validator, a candidate or an observer alike, by what the chain says of it
// (R8.1). It has none of the authority's keys: it agrees on blocks and signs no
// checkpoint.
package node

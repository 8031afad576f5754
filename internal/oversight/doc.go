// Package oversight is the authority's API for its officers' tools: what stands
// on the supervision chain as an officer looks at it, and the way in for signed
// orders (R6.2, R9.2, R9.6). It is served on a unix socket that the authority's
// own account alone can open, and holds no officer's key: whoever gives an order
// signs it, and the chain checks that.
//
// The way to read it: source.go says what it needs of chain and authority;
// handler.go has the routes, each answered in a file of its own; view.go and
// explained.go are the forms that travel; client.go speaks to it.
//
// It decides nothing, and keeps nothing.
package oversight

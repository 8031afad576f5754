// Package comet is a CometBFT node as a value, in process: start it, submit
// transactions to it, read its blocks, stop it. Both embedded chains, the
// supervision chain and the embedded business chain, run on it; it knows
// neither, and an [Application] sees nothing of CometBFT.
//
// The life of a transaction: [Node.Submit] asks Application.Check and puts it
// into the mempool; a block takes it to Application.Finalize, which decides for
// good, and Application.Commit, which makes it durable and tells whoever waits
// ([Waiters], [Await]).
//
// A node is alone, or one of several (network.go). Who validates is the
// application's to change, block by block; the clock of clock.go is checked by
// every validator.
//
// Read application.go for what a chain implements, node.go for the node's life,
// clock.go for where block times come from, blocks.go for reading and checking a
// stopped node's chain from its first block, kv.go for the store of state.
package comet

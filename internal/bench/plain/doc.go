// Package plain is the unsupervised baseline that supervision is measured against:
// the same flows, from registration to delivery in six steps, on a platform of the
// same kind with a business chain of the same kind, and no authority.
//
// It is for measurement alone. The product has no way to leave supervision out and
// must not have one: a platform that says "supervision is off here" is in the
// threat model. So nothing of this is configuration of the product; it is a
// platform and a chain of its own, which no command but the benchmark runs and no
// party of a network knows.
//
// # The same
//
//   - Records are read by the same profile: taken in at the registration, parsed
//     again for the order and for the bill, as the product does.
//   - The payloads of the steps are the product's, from package flow.
//   - The database is package store with the product's tables, triggers and group
//     commits. Each step writes its intent with what it carries in one transaction
//     and its end in another, with the flow's state, the module's rows (permits,
//     orders, payments) and the events, as the product does; so do fetching an
//     order, making it up, and paying. The order of steps is checked in the
//     transaction, with flow.Next.
//   - The business chain is an application on internal/comet with one validator, as
//     ledger/embedded is: the same checks of form and of the key, the same layout of
//     records, the same hash of the state, one atomic write a block. Puts are
//     answered when their block is durable.
//   - Who takes part looks where the flow stands before each step, and follows the
//     events, as the built-in participants do.
//
// # Left out
//
//   - Sealing and signing, at every place: payloads stand plain in the database, on
//     their way, and on the chain.
//   - Submission, fusion node, authority, supervision chain and decision, with what
//     the outbox keeps for them: no pushes, no receipts, no tokens, no anchors. A
//     permit and an order hold a random number where the product has a token.
//   - The chain's check of receipts. There is nothing to check: it takes what the
//     platform puts.
//   - A review request leaves no record in either, so here it is one transaction of
//     the database, with both its events; the product's waits for its decision.
//   - The reconciler, which compares database and chain.
//   - Repetition after a failure: a failure ends the measurement.
//
// The statements are fixed texts (store.Exec) throughout; where the product still
// has bun write some of them, the baseline is the faster for it.
//
// Start at run.go; platform.go has the steps, chain.go the application.
package plain

// Package platform is the platform's half of Signalbox: it takes records in,
// seals them, has every step decided by the authority, goes on only with what it
// can verify itself, and keeps the business chain.
//
// It never meets the authority's half but in the fusion node, which it knows as
// outbox.Transport; it knows the business chain as ledger.Ledger, and the kind
// of business as profile.Profile. It holds its own keys and the authority's
// public ones.
//
// # A tour
//
// Follow one prescription through the packages below:
//
//   - authorise takes it in, has its profile mask it, and intends "register" (R1).
//   - sealing makes the two copies of a step: the submission, sealed to the
//     authority, and the business chain's value, sealed to whoever is to read it
//     and signed. Both hold the same message under one commitment, and the
//     submission names the value's hash, so that the authority's receipt permits
//     these very bytes to stand on the business chain (R1.7).
//   - outbox carries the step: database, fusion node, decision, business chain,
//     database, in the order of writes of the protocol. Read its doc.go next; it
//     is the heart of this half. A decision counts only with a receipt that
//     proves it for exactly this submission.
//   - dossier is where each flow stands; the outbox asks it, in the transaction
//     that stores an intent, whether the step may come now.
//   - review is the pool, the permission to read, and the result (R2).
//   - process is order, settlement and delivery (R3 to R5), payment the port to
//     whoever takes the money, with a sandbox.
//   - event is the list that tells participants what happened.
//
// What the database holds, and what not, is said in package store. Platform, in
// this package, puts the parts together and is what an API or a demo calls; its
// read side is in view.go.
//
// # If the platform were compromised
//
// Whoever has its keys reads every record on the business chain that is sealed
// to it, and can submit in its name, which the authority sees and can suspend.
// It can't read orders (they are the producer's), or anything sealed to the
// authority; it can't make the business chain take what the authority did not
// grant, nor change what stands there.
package platform

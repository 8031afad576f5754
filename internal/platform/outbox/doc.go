// Package outbox carries every step of the platform from intent to its end, in
// the order of writes of the protocol, so that a process killed at any point
// finishes what it began and does nothing twice:
//
//  1. Do: the sealed submission stands in the database, in one transaction with
//     what the module changes. (intent.go)
//  2. The submission is pushed to the fusion node, again and again until it is
//     decided; its id makes that once. (push.go)
//  3. The supervision chain decides; not ours.
//  4. The decision comes back. It counts only when its receipt proves it for
//     exactly this submission; anything else is no answer, and the outcome stays
//     unknown. (receive.go)
//  5. A granted step's record is put on the business chain, with the receipt,
//     again and again until it stands. (keep.go)
//  6. In one transaction the intent is done, the step's handler changes the
//     module's state, and an event tells the participants. (finish.go)
//  7. Where the record stands is reported, in batches. (anchor.go)
//
// The states of an intent: pending, then held for an officer or granted, then
// done; or refused; or lapsed, when the business chain would not take what was
// granted, because it has expired for one. The last three are final.
//
// The package knows the steps and nothing of what they mean; that is in the
// modules authorise, review and process, which make intents and handle outcomes.
package outbox

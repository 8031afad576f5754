// Package floor measures the crypto floor: what the public-key and symmetric
// operations of one supervised step cost by themselves, in a tight loop on all
// cores. Whatever a step's processor time is above the floor is ours: encoding,
// databases, consensus, transport, memory. Efficiency is floor by processor time.
//
// # What a flow costs
//
// A flow is six steps, from registration to delivery, for all parties together:
// platform, authority, supervision chain, business chain with one validator each,
// reviewer, producer. Signatures and wrapped keys are the suite's, SM2 or RSA.
//
//	where                                              sign  verify  wrap  unwrap
//	platform: each step's submission, 6                   6       -     6       -
//	platform: each record's value, 5                      5       -     5       -
//	authority: whose submission it is, 6                  -       6     -       -
//	authority: opens it, 6                                -       -     -       6
//	authority: each transaction, 6                        6       -     -       -
//	supervision chain: the transactions, 6                -       6     -       -
//	reviewer reads the record's value                     -       1     -       1
//	order: the record's value                             -       1     -       1
//	producer opens the order                              -       1     -       1
//	making up: the record's value                         -       1     -       1
//	the settlement's draft, sealed to the platform        -       -     1       1
//	in all                                               17      16    12      11
//
// A review request leaves no record, so there are five. Both chains verify a signature once: what the mempool
// has found good, the block takes (with one validator; each further validator
// verifies all of it once more). Each wrapped key goes with one payload encrypted,
// each unwrapped one with one decrypted.
//
// # What a block costs
//
// A block of either chain: CometBFT's proposal, prevote and precommit are signed
// (Ed25519, 3), and the precommit's extension, empty as it is (1); the first three
// are verified when they are counted (3), and the precommit once more in the block
// after (1). A block of the supervision chain that decides something has
// a checkpoint: one signature of Ed25519, and in suite gm one of SM2 besides. The
// receipts of its decisions all carry it; the platform verifies it once however many
// receipts come under it and however often they are looked at again, and so does the
// business chain (receipt.Memory). The producer, who remembers nothing, verifies that
// of its order once more. How many steps share a block is the load's matter: see Of.
//
// # What is left out
//
// Transactions with anchors, at most one a second from each platform: one signature
// and one verification each. Enrolments and orders of officers. TLS, where parties
// are apart. The hash of the supervision chain's state (SHAKE128, docs/adr/0037):
// the protocol does not ask for it, so it is overhead and not floor. Witnesses and
// members of a committee.
//
// TestCounts holds the numbers to a running system.
package floor

// Package fusion is the fusion node: the one place where the two sides meet
// (R7.2). It carries submissions and anchors one way, decisions the other, and
// reads no more of them than the header that says where they belong (R1.3). It
// opens no seal, checks no signature, keeps no record and decides nothing.
//
// # Tour
//
// A Node (node.go) is an embedded NATS server with JetStream in a folder of its
// own. It opens no socket: its clients live in the same process. It has three
// streams (streams.go), and a subject for each route in each of them:
//
//	submissions  sub.<business>.<platform>  platform  -> authority
//	decisions    dec.<business>.<platform>  authority -> platform
//	anchors      anc.<business>.<platform>  platform  -> authority
//
// A Directory (directory.go) knows which node serves which platform and kind of
// business and hands out the two sides: PlatformSide (platform.go), bound to
// one platform's identity, and AuthoritySide (authority.go), over all nodes.
// Both read through the same reader (reader.go).
//
// # Transport, never the record
//
// A nil error from Submit, Anchor or Publish means that the node's stream has
// the message and that the end of the process, kill -9 included, does not lose
// it. JetStream writes before it acknowledges, but it syncs the disk only every
// two minutes (its default; syncing each message is twenty times slower). So
// when the power goes, the last two minutes may be gone in both directions, and
// messages that were done with may come again. That is mended elsewhere:
//
//   - lost submission: the platform's outbox sends it again until a decision
//     has come;
//   - lost decision: the same resend reaches the supervision chain, which knows
//     the submission's id and answers with the decision that it made then;
//   - lost anchor: the outbox sends it again, or the console shows the step as
//     granted without an anchor;
//   - repeated message: the supervision chain counts a submission id once, and
//     platforms take a decision once.
//
// Everything is at least once, and no order is promised, neither between
// submissions nor between decisions.
//
// # Resending
//
// A submission, a decision (submission id, transaction, verdict) and a batch of
// anchors are each stored once within DuplicateWindow: repeating one sooner
// succeeds and stores nothing. The window is there for the sender whose
// acknowledgement got lost, and for nothing else: it is finite, and a restart of
// the node forgets the ids of messages that were done with by then. What is sent
// again because no answer came is a message of its own (Resubmit, PublishAgain),
// and that a submission counts once is the supervision chain's to see to.
//
// # What is bounded, and what happens there
//
//   - Submissions and batches of anchors: MaxWaiting to a route and MaxBytes in
//     all. Beyond that they are refused with ErrBusy; what has been taken is
//     never dropped, however old. Bounded by route, so that one platform's
//     flood does not make others wait.
//   - Decisions: kept until their platform took them, for DecisionAge at most,
//     and at most MaxWaiting to a route and MaxBytes in all. Beyond that the
//     oldest go: a platform that stays away must not stop the others. It loses
//     nothing: its outbox asks again.
//
// A node that starts with bounds below what waits drops the oldest down to them.
//
// # Bad messages
//
// Submit refuses what it can't read. A stored message that can't be read all the
// same (a damaged disk) is taken out of its stream, logged by its sequence
// number, counted in Health, and holds up nobody.
package fusion

// Package fusion is the fusion node: the one place where the two sides meet
// (R7.2). It carries submissions and anchors one way, decisions the other, and
// reads no more of them than the header that says where they belong (R1.3). It
// opens no seal, checks no signature, keeps no record and decides nothing.
//
// # Tour
//
// A Node (node.go) is an embedded NATS server with JetStream in a folder of its
// own. Each platform has four streams of its own there (streams.go), so that none
// takes another's room:
//
//	submissions  sub.<business>.<platform>.<step>  platform  -> authority
//	anchors      anc.<business>.<platform>         platform  -> authority
//	decisions    dec.<business>.<platform>         authority -> platform
//	quarantine   qua.<one of the above>            what was set aside
//
// What a platform pushes arrives at its gate (gate.go), which reads the header,
// refuses what is not the platform's own or can't be read, keeps the platform's
// rate and the operator's drains, and passes it into the stream, under the same
// subject after "kept.".
//
// A Directory (directory.go) knows which node serves which platform and kind of
// business and hands out the two sides: PlatformSide (platform.go), bound to
// one platform's identity, and AuthoritySide (authority.go), over all nodes.
// Both read through the same reader (reader.go), which has a lane for each
// platform (lane.go), and says for each message what becomes of it (outcome.go).
//
// # Parties elsewhere
//
// A Node with an address to listen at has a front (front.go), which bounds what
// strangers cost by their address, and behind it a door (door.go): TLS 1.3, a transport
// certificate of the authority's CA, and the authority's newest signed list of
// admissions (admissions.go), which closes open links too (R7.1). A platform
// publishes its own submissions and anchors, the authority decisions; each hears
// its own inbox and nothing else. Neither reaches JetStream itself: they ask the
// node's relay (relay.go), because the server lets any address be named for an
// answer. A Remote (remote.go) is a party's end of the link, and stands in a
// Directory where a Node would: it dials for ever, calls give ErrUnreachable at
// once while the node is away, and readers wait.
//
// A reader that dies with messages in hand delays them by Redeliver.
//
// The operator's powers are in powers.go (pause, resume, drain), quarantine.go
// (list, release, discard) and health.go (backlog and age).
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
//   - Submissions and batches of anchors: MaxWaiting to a route (of submissions:
//     to each step of it), MaxBytes to a platform. Beyond that they are refused
//     with ErrBusy, which says when to try again; what has been taken is never
//     dropped, however old. So is what comes faster than the platform's Rate.
//   - Decisions: kept until their platform took them, for DecisionAge at most,
//     and at most MaxWaiting to a route and MaxBytes to a platform. Beyond that
//     the oldest go: a platform that stays away must not stop the others. It
//     loses nothing: its outbox asks again.
//   - Quarantine: 1,000 messages to a subject and MaxBytes to a platform. Beyond
//     that the oldest go: see below for why nothing is lost.
//   - In hand: each reader has one batch of each platform in hand, of the whole
//     limit when the platform is alone and of its share when it is not.
//
// A node that starts with bounds below what waits drops the oldest down to them.
//
// # Bad messages
//
// The gate refuses what it can't read. A stored message that can't be read all
// the same (a damaged disk), and one that failed Tries times while others went
// through, is moved to its platform's quarantine: first stored there with reason,
// time and count, then taken out of its stream. It holds up nobody. An outage, in
// which everything fails, sets nothing aside.
//
// What ends the process that reads is found too (hands.go): the process notes what
// it has in hand, and the next one gives what was there too often alone, and at
// last to the quarantine.
//
// What holds for a submission in quarantine: nobody has decided it, so it has no
// outcome, and its platform goes on asking. Pushed again it is a new message,
// which the authority gets like any other; when that is answered the one in
// quarantine has become superfluous, and releasing it changes nothing: the
// supervision chain decides a submission once. So the quarantine may be lost, or
// discarded, and nothing else is.
package fusion

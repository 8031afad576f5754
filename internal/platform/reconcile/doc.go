// Package reconcile compares the platform's database with the business chain,
// continuously, so that what a crash, a restored copy or somebody's hand has put
// out of step is found and does not stay unseen (protocol.md, writes 5 to 7).
//
// Four looks, none of which reads everything at once:
//
//   - follow (follow.go) takes every record of the business chain as it is
//     stored, from the position where the process before left off;
//   - sweep (sweep.go) goes slowly over all that was compared before, from the
//     database's side and from the chain's, page after page;
//   - overdue (overdue.go) finds what has stayed on its way for too long;
//   - recheck (overdue.go) looks at open findings again: those that are gone are
//     resolved.
//
// What can be mended is mended by the outbox, which goes on pushing what is
// undecided, putting what is granted and anchoring what is stored; the
// reconciler only tells of it while it lasts. What can't be mended is for
// people: it stands as a Finding (finding.go) until it is gone. Findings are
// bounded and hold no content. compare.go, which is pure, says what differs.
//
// The supervision chain is not the platform's to read. Its side of the
// comparison comes as decisions that the authority publishes again for granted
// records without an anchor: see outbox.receive and Stray.
package reconcile

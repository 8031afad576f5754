// Package fault is where the fault matrix (test/faults) takes hold of a
// process: at each write of docs/order-of-writes.md the code says that it is
// about to write, and that it has written.
//
// In an ordinary build that is nothing: the functions are empty, are inlined,
// and leave neither code nor text in the binary, which release_test.go looks
// for. Built with the tag "faults", a process asks a controller what is to
// happen, if the environment variable SIGNALBOX_FAULTS names its unix socket.
// The package decides nothing itself.
//
// The controller is spoken to in lines. "before POINT" and "after POINT" get
// one of
//
//	go      nothing happens; an answer that comes late is a slow disk, or gives
//	        the controller time to do something to another process
//	fail    an error: before the write, it did not happen; after it, it did and
//	        its answer is lost
//	die     the process kills itself, SIGKILL
//
// "clock" gets the offset of the process's clock in nanoseconds, at once and
// again, a line each, whenever it changes.
package fault

// Point is a write of the order of writes (docs/order-of-writes.md).
type Point string

// The points, by the numbers of the order of writes.
const (
	Intent      Point = "1.intent"      // the platform's database
	Submission  Point = "2.submission"  // the platform's push to the fusion node's stream
	Transaction Point = "3.transaction" // the authority's call of the supervision chain
	Decision    Point = "3.commit"      // a block of the supervision chain
	Checkpoint  Point = "3a.checkpoint" // the signature on that block's log
	Answer      Point = "4.decision"    // the authority's push to the fusion node's stream
	Record      Point = "5.record"      // the platform's call of the business chain
	Stored      Point = "5.commit"      // a block of the embedded business chain
	Done        Point = "6.done"        // the platform's database
	Anchor      Point = "7.anchor"      // the platform's push of where records stand
)

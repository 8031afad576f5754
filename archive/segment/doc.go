// Package segment is what an archive of a supervision chain consists of (R10.1):
// the files of one segment, how they are composed, read and checked. It is pure:
// files come and go as bytes, by functions that the caller passes in.
//
// The archive as a whole is a static log in the layout of c2sp.org/tlog-tiles:
//
//	checkpoint                    the newest signed checkpoint that the archive covers
//	tile/<level>/<N>[.p/<W>]      256 hashes each, or W
//	tile/entries/<N>[.p/<W>]      256 leaves each, or W, a big-endian uint16 length before each
//
// and beside it, for each segment of a whole number of tiles' leaves:
//
//	segment/<number>/manifest     every file that the segment added, with size and SHA-256; the
//	                              SHA-256 of the manifest before; the signed checkpoint over it
//	segment/<number>/transactions the transactions of its decisions: submission, payload sealed, facts
//	segment/<number>/decisions    reasons, basis and anchors, which leaves leave out
//	segment/<number>/orders       officers' orders and anchors of its blocks, as signed
//	segment/<number>/checkpoints  every signed checkpoint over its leaves, so that a receipt made
//	                              from the archive is the one that was given at the time
//	segment/<number>/index        leaves by transaction, flow and subject key
//	segment/<number>/erased       which transactions lack their payload, by which order: for
//	                              each the authority's statement, signed by the log's keys
//
// A segment exists when its manifest does, which is written last. Checkpoints come
// at the ends of blocks, so that a segment also holds the tiles and leaves from
// its own end up to the checkpoint that covers it.
//
// What binds what: the checkpoint's signature the root; the root tiles and leaves;
// a leaf its transaction's SHA-256 and so every byte of it; the manifest the rest.
package segment

// Package archiving moves a supervision chain's data to an archive and reads them
// there (R10.1).
//
//  1. write.go: the next whole segments are written, each checked in the archive
//     itself before it counts; run.go does so at intervals.
//  2. read.go: a decision, its receipt and its transaction from the archive alone.
//  3. check.go: every segment is verified; copy.go makes a verified copy, from
//     which the log's root can be had again.
//
// What a segment consists of is in archive/segment, where it lies in archive.
package archiving

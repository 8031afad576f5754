// Package bench measures what supervision costs (R10.2): an all-in-one system
// (package system) under load of complete flows, from registration to delivery.
//
// The load comes in at the module boundary: where a platform's own program calls
// it (authorise.Module.Register), below the HTTP API. From there a step takes the
// path that it always takes: sealed, on the disk, through the fusion node, decided
// in consensus, its receipt checked, on the business chain, done. What reviewers,
// subjects and producers do is done by package sandbox.
//
// # Tour
//
// Run (bench.go) opens a system, plays one flow, warms up, measures, lets what is
// under way come to its end, and counts what did not. load.go brings flows in: a
// closed loop holds so many of them at once, an open loop has them come when
// schedule.go says, whatever became of those before. tracker.go follows every flow
// by the platform's events.
//
// A step's latency counts from the moment when it could have begun: a registration's
// from when it was due, every other's from when the step before it was done. A
// system that stalls so pays for all who wait meanwhile: nothing is omitted because
// the load waited too.
//
// Processor time is the kernel's count for the process (cost.go). What part of it
// belongs to whom says a profile of the same time (parts.go): by the function that
// ran, and by the layer (party.Layer) whose goroutine it was.
//
// Package report makes the tables and plots of docs/benchmarks.md.
package bench

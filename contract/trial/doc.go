// Package trial tries rule bundles before they take force (R6.4): Test runs a
// bundle's own cases, Lint finds rules that do nothing, Diff says what changes
// from one bundle to the next, and Backtest replays past submissions to find the
// verdicts that would change.
//
// It is pure: it decides nothing, and whoever calls it brings the bundles and
// the past. Results are plain values with JSON names; the words for people are
// the command's.
package trial

//go:build !faults

package fault

import "time"

// Before says that the write at p comes next. An error is given back in its
// stead: the write must not happen. In this build it is nil.
func Before(Point) error { return nil }

// After says that the write at p has happened. An error stands for an answer
// that was lost. In this build it is nil.
func After(Point) error { return nil }

// Clock is the process's clock, time.Now in this build.
func Clock() func() time.Time { return time.Now }

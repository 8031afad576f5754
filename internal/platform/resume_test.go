package platform_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// faulted plays a whole flow while one fault strikes, starting the platform
// again whenever it has died.
func (w *world) faulted() string {
	w.tb.Helper()
	var ref string
	for try := 0; ; try++ {
		if try == 400 {
			w.tb.Fatalf("the flow did not end")
		}
		done, err := w.tryOnce(&ref)
		if w.ctx.Err() != nil {
			w.stop()
			w.start()
			continue
		}
		if err != nil && !errors.Is(err, errInjected) {
			w.tb.Fatalf("after the fault: %v", err)
		}
		if done {
			return ref
		}
	}
}

func (w *world) tryOnce(ref *string) (bool, error) {
	if *ref == "" {
		// The same idempotency key, in case the process died before answering.
		r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1), Key: "once"})
		if err == nil {
			*ref = r.Ref.String()
		}
		return false, err
	}
	return w.advance(*ref)
}

// Every call of every port, for every step, goes wrong in every way: it fails,
// its answer is lost, the process dies before or after it. The flow ends whole
// all the same, and nothing is there twice.
func TestEveryFaultIsSurvived(t *testing.T) {
	calls := map[string]int{"submit": 6, "decision": 6, "put": 5, "get": 4, "anchor": 5, "create": 1, "status": 1}
	for site, n := range calls {
		for call := 1; call <= n; call++ {
			for _, m := range []mode{fails, answerLost, crashBefore, crashAfter} {
				t.Run(fmt.Sprintf("%s/%d/%s", site, call, m), func(t *testing.T) {
					t.Parallel()
					w := started(t)
					w.faults.site, w.faults.call, w.faults.mode = site, call, m
					ref := w.faulted()
					w.checkWhole(ref)
					eventually(t, "everything is anchored", func() bool {
						if w.ctx.Err() != nil { // the fault struck at the very end
							w.stop()
							w.start()
						}
						v, err := w.Flow(context.Background(), ref)
						for _, s := range v.Steps {
							if err != nil || (s.BusinessTx != "") != s.Anchored {
								return false
							}
						}
						return true
					})
					if !w.faults.hit && site != "anchor" { // anchors may share one batch
						t.Errorf("%s was called fewer than %d times", site, call)
					}
				})
			}
		}
	}
}

// An intent that was stored is carried out by the next process, with no help.
func TestIntentSurvivesWithoutItsProcess(t *testing.T) {
	w := newWorld(t)
	w.build() // nothing runs
	r, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if w.authority.pushes != 0 {
		t.Fatal("something was pushed before Run")
	}
	w.start()
	if o := w.await(r.Ref, nil); o.State != outbox.Done {
		t.Errorf("registration is %s", o.State)
	}
}

// A restart does not wait for the time that the process before had set for its
// next attempt.
func TestRestartTriesAtOnce(t *testing.T) {
	w := newWorld(t, func(w *world) { w.pace.Retry, w.pace.Longest = time.Hour, time.Hour })
	w.faults.site, w.faults.call, w.faults.mode = "submit", 1, fails
	w.start()
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the push has failed", func() bool {
		o, err := w.Outcome(w.ctx, r.Ref)
		return err == nil && o.Attempts == 1 && o.Problem != ""
	})
	w.stop()
	w.start()
	w.granted(r.Ref, nil)
}

// An attempt that was planned before the clock was set back by hours does not
// wait for the old time to come again.
func TestClockSetBackDelaysNothing(t *testing.T) {
	w := started(t, func(w *world) { w.pace.Retry, w.pace.Longest = 20*time.Second, 20*time.Second })
	w.faults.site, w.faults.call, w.faults.mode = "put", 1, fails
	r, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next attempt is planned", func() bool {
		o, err := w.Outcome(t.Context(), r.Ref)
		return err == nil && o.State == outbox.Granted && o.Problem != ""
	})
	w.offset.Store(int64(-5 * time.Hour))
	if o := w.granted(r.Ref, nil); o.BusinessTx == "" {
		t.Error("the record does not stand")
	}
}

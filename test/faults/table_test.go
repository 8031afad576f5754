package faults

import (
	"bytes"
	"fmt"
	"testing"
	"text/tabwriter"
	"time"
)

// row is one case of the matrix.
type row struct {
	fault     string
	injected  int
	inFlight  int // steps on their way when it struck
	lost      int
	doubled   int
	recovered bool
	took      time.Duration // from the fault until every flow had ended and was anchored
}

// table collects rows and prints them at the test's end.
type table struct {
	*testing.T
	rows   []row
	judged int
}

func newTable(t *testing.T) *table {
	tab := &table{T: t}
	t.Cleanup(func() { t.Logf("\n%s", tab) })
	return tab
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// judge enters what the chains say into the rows since the last judgement. What
// is wrong is on every one of them: the chains don't say which fault it was.
func (t *table) judge(v verdict) {
	for i := range t.rows[t.judged:] {
		r := &t.rows[t.judged+i]
		r.lost, r.doubled = v.Lost, v.Doubled
		r.recovered = v.sound() && r.injected > 0 && !t.Failed()
	}
	t.judged = len(t.rows)
}

func (t *table) String() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| fault\t| injected\t| steps in flight\t| lost\t| doubled\t| recovered\t| seconds to recover\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range t.rows {
		yes := "yes"
		if !r.recovered {
			yes = "NO"
		}
		fmt.Fprintf(w, "| %s\t| %d\t| %d\t| %d\t| %d\t| %s\t| %.1f\t|\n", r.fault, r.injected, r.inFlight, r.lost, r.doubled, yes, r.took.Seconds())
	}
	w.Flush()
	return b.String()
}

package platform

import (
	"context"
	"time"

	"signalbox.dev/signalbox/internal/platform/reconcile"
)

// Reconciliation is how database and business chain compare.
type Reconciliation struct {
	Open       int64               `json:"open"`              // open findings, in all
	Mending    int64               `json:"mending"`           // of them, those that the platform is mending by itself
	Dropped    int64               `json:"dropped"`           // found no room, since the process began
	Kinds      map[string]int64    `json:"kinds"`             // open findings by kind; every kind is there
	Waiting    int64               `json:"waiting"`           // steps that wait for a decision or for the business chain
	Followed   uint64              `json:"followed"`          // the business chain's records that have been compared, by position
	SweptAt    time.Time           `json:"swept_at,omitzero"` // when the slow sweep over all of it went on last
	Findings   []reconcile.Finding `json:"findings"`          // a page, the newest first
	NextBefore int64               `json:"next,omitempty"`
}

// Reconciliation shows the comparison with a page of its findings.
func (p *Platform) Reconciliation(ctx context.Context, f reconcile.Filter) (Reconciliation, error) {
	counts, err := p.Reconcile.Counts(ctx)
	if err != nil {
		return Reconciliation{}, err
	}
	findings, err := p.Reconcile.Findings(ctx, f)
	if err != nil {
		return Reconciliation{}, err
	}
	out := Reconciliation{
		Mending: counts.Mending, Dropped: counts.Dropped, Kinds: map[string]int64{}, Waiting: counts.Waiting,
		Followed: counts.Followed, SweptAt: counts.Swept, Findings: findings,
	}
	for kind, n := range counts.Open {
		out.Kinds[string(kind)] = n
		out.Open += n
	}
	if n := len(findings); n > 0 && n == f.Limit {
		out.NextBefore = findings[n-1].ID
	}
	return out, nil
}

package outbox

import (
	"context"
	"fmt"
	"time"
)

// Counts are what an outbox has yet to bring to an end.
type Counts struct {
	Steps      map[State]Standing // by the states that are not final; each is there
	Unanchored int64              // records on the business chain that were not reported yet (write 7)
}

// Standing is how many steps stand in a state, and since when.
type Standing struct {
	Steps  int
	Oldest time.Duration // since the intent of the oldest; 0 for none
}

// Counts counts what is not final. It reads that alone, whatever else the
// database holds.
func (o *Outbox) Counts(ctx context.Context) (Counts, error) {
	out := Counts{Steps: map[State]Standing{Pending: {}, Held: {}, Granted: {}}}
	var counts []struct {
		State State
		Steps int
		Since int64
	}
	err := o.cfg.Store.DB().NewSelect().Model((*row)(nil)).
		ColumnExpr("state, count(*) AS steps, min(created_at) AS since").
		Where("state IN (?, ?, ?)", Pending, Held, Granted).Group("state").Scan(ctx, &counts)
	if err != nil {
		return Counts{}, fmt.Errorf("counting the outbox: %w", err)
	}
	for _, c := range counts {
		out.Steps[c.State] = Standing{Steps: c.Steps, Oldest: max(0, o.now().Sub(time.UnixMilli(c.Since)))}
	}
	out.Unanchored, err = o.cfg.Store.DB().NewSelect().Model((*row)(nil)).
		Where("business_tx <> ''").Where("anchored = 0").Count(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("counting the outbox: %w", err)
	}
	return out, nil
}

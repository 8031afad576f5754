package reconcile

import (
	"context"
	"fmt"
	"time"
)

// Finding is a difference as it is shown. It holds no content and no person.
type Finding struct {
	ID       int64     `json:"id"`
	Kind     Kind      `json:"kind"`
	Zh       string    `json:"zh"`
	En       string    `json:"en"`
	Key      string    `json:"key"` // the decision's transaction; of what is undecided, the submission's id
	Flow     string    `json:"flow,omitempty"`
	Step     string    `json:"step,omitempty"`
	Expected string    `json:"expected,omitempty"` // by the platform's database
	Actual   string    `json:"actual,omitempty"`   // by the business chain
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Resolved time.Time `json:"resolved,omitzero"`
}

// Counts are figures of the comparison.
type Counts struct {
	Open     map[Kind]int64 // open findings; every kind is there
	Dropped  int64          // found no room, since the process began
	Followed uint64         // position of the business chain that has been compared
	Swept    time.Time      // when the database's side was last swept, or the sweep went on; zero: never
	Waiting  int64          // intents that wait for a decision or the business chain
	Mending  int64          // open findings that the outbox is mending
}

// Counts gives the figures of now.
func (r *Reconciler) Counts(ctx context.Context) (Counts, error) {
	var rows []struct {
		Kind Kind
		N    int64
	}
	err := r.cfg.Store.DB().NewSelect().Model((*row)(nil)).Column("kind").ColumnExpr("count(*) AS n").
		Where("resolved_at = 0").Group("kind").Scan(ctx, &rows)
	if err != nil {
		return Counts{}, fmt.Errorf("counting findings: %w", err)
	}
	out := Counts{Open: map[Kind]int64{}, Dropped: r.dropped.Load()}
	for _, k := range Kinds() {
		out.Open[k] = 0
	}
	for _, one := range rows {
		out.Open[one.Kind] = one.N
	}
	for _, k := range []Kind{Undecided, NotStored, NotAnchored} {
		out.Mending += out.Open[k]
	}
	follow, err := r.at(ctx, following)
	if err != nil {
		return Counts{}, err
	}
	sweep, err := r.at(ctx, sweepingIntents)
	if err != nil {
		return Counts{}, err
	}
	out.Followed = uint64(follow.Position)
	if sweep.At != 0 {
		out.Swept = time.UnixMilli(sweep.At).UTC()
	}
	waiting, err := r.cfg.Outbox.Backlog(ctx)
	out.Waiting = int64(waiting)
	return out, err
}

// Filter says which findings to list.
type Filter struct {
	Resolved bool  // those that are gone, instead of the open ones
	Before   int64 // only findings with a smaller ID; 0: from the newest on
	Limit    int   // at most this many; 0: 100; at most 500
}

// Findings lists findings, the newest first.
func (r *Reconciler) Findings(ctx context.Context, f Filter) ([]Finding, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	var rows []row
	q := r.cfg.Store.DB().NewSelect().Model(&rows).Order("id DESC").Limit(int64(min(limit, 500)))
	if f.Resolved {
		q = q.Where("resolved_at <> 0")
	} else {
		q = q.Where("resolved_at = 0")
	}
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	out := make([]Finding, len(rows))
	for i, one := range rows {
		out[i] = Finding{
			ID: one.ID, Kind: one.Kind, Key: one.Key, Flow: one.Flow, Step: string(one.Step), Expected: one.Expected, Actual: one.Actual,
			First: time.UnixMilli(one.FirstAt).UTC(), Last: time.UnixMilli(one.LastAt).UTC(),
		}
		out[i].Zh, out[i].En = one.Kind.Texts()
		if one.ResolvedAt != 0 {
			out[i].Resolved = time.UnixMilli(one.ResolvedAt).UTC()
		}
	}
	return out, nil
}

// Texts says what a kind means and what is to be done, for people.
func (k Kind) Texts() (zh, en string) {
	switch k {
	case Undecided:
		return "提交久未得到决定，仍在重新推送", "pushed for long without a decision; it is pushed on"
	case NotStored:
		return "已批准，但久未写入业务链，仍在重试", "granted and not on the business chain for long; it is put again"
	case NotAnchored:
		return "已写入业务链，但锚定尚未送达，仍在重试", "on the business chain, but its anchor is not delivered; it is sent again"
	case MissingRecord:
		return "数据库记为完成，业务链上没有该记录：请核查业务链", "done by the database, and the business chain has no such record: look into the business chain"
	case OtherTransaction:
		return "业务链上的交易号与数据库所记（及所锚）不一致：请人工核查", "the business chain has it under another transaction than the database and the anchor say: look into it"
	case OtherContent:
		return "业务链上的内容、环节或流转与批准的不一致：请人工核查", "the business chain has other content, or another step or flow, than was granted: look into it"
	case UnexpectedRecord:
		return "数据库记为拒绝或失效，业务链上却有该记录：请人工核查", "refused or lapsed by the database, and the business chain has it: look into it"
	case UnknownRecord:
		return "业务链上有本平台的记录，数据库却没有：数据库可能是旧备份恢复的", "a record of this platform that its database does not know: was it restored from an older copy?"
	case UnknownDecision:
		return "收到对本平台提交的决定，数据库却没有该提交：数据库可能是旧备份恢复的", "a decision on a submission that the database does not know: was it restored from an older copy?"
	case UnprovenRecord:
		return "业务链上的记录没有有效回执：业务链自身的检查已失效", "a record without a valid receipt: the business chain's own check has failed"
	}
	return string(k), string(k)
}

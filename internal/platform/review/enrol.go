package review

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// Application asks to enrol a reviewer. What it says of the person goes to the
// authority, sealed, and is not kept here.
type Application struct {
	ID string // the reviewer's identity on the supervision chain, by flow.CheckName
	flow.Application
}

// participant is someone who was enrolled through this platform.
type participant struct {
	bun.BaseModel `bun:"table:participants"`

	ID         string `bun:",pk"`
	Role       string
	State      string
	Submission string
	UpdatedAt  int64
}

// Enrolment is where a reviewer's enrolment stands.
type Enrolment struct {
	Reviewer string `json:"reviewer"`
	State    string `json:"state"` // asked, active, refused
}

// Enrol registers a reviewer with the authority, which checks who it is (R2.1).
// A reviewer who is enrolled may be enrolled again, with a new certificate.
func (m *Module) Enrol(ctx context.Context, a Application) (flow.ID, error) {
	if err := flow.CheckName("reviewer", a.ID); err != nil {
		return flow.ID{}, err
	}
	if a.AppliedAt.IsZero() {
		a.AppliedAt = m.cfg.Clock().UTC()
	}
	payload, err := flow.EncodePayload(a.Application)
	if err != nil {
		return flow.ID{}, fmt.Errorf("enrolling a reviewer: %w", err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{Step: flow.Enrol, Actor: a.ID, Payload: payload})
	if err != nil {
		return flow.ID{}, fmt.Errorf("enrolling a reviewer: %w", err)
	}
	return m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		row := participant{ID: a.ID, Role: a.Kind, State: "asked", Submission: p.ID().String(), UpdatedAt: m.now()}
		// One who is active stays so while the new application waits.
		_, err := tx.NewInsert().Model(&row).On("CONFLICT (id) DO UPDATE").
			Set("submission = EXCLUDED.submission").Set("updated_at = EXCLUDED.updated_at").
			Set("state = CASE participant.state WHEN 'active' THEN 'active' ELSE 'asked' END").
			Returning("NULL").Exec(ctx)
		if err != nil {
			return fmt.Errorf("writing participant: %w", err)
		}
		return nil
	})
}

// enrolled handles the end of an enrolment.
func (m *Module) enrolled(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	to := "active"
	switch o.State {
	case outbox.Done:
	case outbox.Refused:
		to = "refused"
	default:
		return nil
	}
	_, err := tx.NewUpdate().Model((*participant)(nil)).Set("state = ?", to).Set("updated_at = ?", m.now()).
		Where("submission = ?", o.ID.String()).Where("state <> 'active'").Exec(ctx)
	if err != nil {
		return fmt.Errorf("writing participant: %w", err)
	}
	return nil
}

// Reviewers lists who was enrolled through this platform, by identity. Whether
// they may act now is the supervision chain's to say.
func (m *Module) Reviewers(ctx context.Context) ([]Enrolment, error) {
	var rows []participant
	if err := m.cfg.Store.DB().NewSelect().Model(&rows).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading participants: %w", err)
	}
	out := make([]Enrolment, len(rows))
	for i, r := range rows {
		out[i] = Enrolment{Reviewer: r.ID, State: r.State}
	}
	return out, nil
}

package api

import (
	"context"

	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

type reconciliationInput struct {
	State  string `query:"state" enum:"open,resolved" default:"open" doc:"Which findings to list."`
	Before int64  `query:"before" minimum:"1" doc:"Only findings with a smaller id: next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"At most this many."`
}

type reconciliationOutput struct{ Body platform.Reconciliation }

// readReconciliation shows how database and business chain compare.
func (s *Server) readReconciliation(ctx context.Context, in *reconciliationInput) (*reconciliationOutput, error) {
	out, err := s.cfg.Platform.Reconciliation(ctx, reconcile.Filter{Resolved: in.State == "resolved", Before: in.Before, Limit: in.Limit})
	if err != nil {
		return nil, s.fail(ctx, "reading the reconciliation", err)
	}
	if out.Findings == nil {
		out.Findings = []reconcile.Finding{}
	}
	return &reconciliationOutput{out}, nil
}

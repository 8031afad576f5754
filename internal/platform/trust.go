package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/receipt"
)

// handover is a statement that was followed.
type handover struct {
	bun.BaseModel `bun:"table:handovers"`

	Generation int64 `bun:",pk"`
	Statement  []byte
	At         int64
}

// trusted are the configured log keys with what was followed since.
func trusted(ctx context.Context, s *store.Store, configured receipt.Keys) (receipt.Keys, error) {
	var rows []handover
	if err := s.DB().NewSelect().Model(&rows).Order("generation").Scan(ctx); err != nil {
		return receipt.Keys{}, fmt.Errorf("reading how the authority's keys were handed over: %w", err)
	}
	var statements [][]byte
	for _, r := range rows {
		statements = append(statements, r.Statement)
	}
	keys, err := configured.Follow(statements...)
	if err != nil {
		return receipt.Keys{}, fmt.Errorf("the authority's keys are not those that this database has followed: was another authority's file configured? %w", err)
	}
	return keys, nil
}

// keeping makes followed statements durable. One of a generation that is there
// already gives way: it is between the same keys, of a smaller size (receipt.Keys).
func keeping(s *store.Store, clock func() time.Time, log *slog.Logger) func([][]byte) error {
	return func(statements [][]byte) error {
		var rows []handover
		for _, raw := range statements {
			h, err := receipt.ParseHandover(raw)
			if err != nil {
				return err
			}
			rows = append(rows, handover{Generation: int64(h.Generation), Statement: raw, At: clock().UnixMilli()})
		}
		err := s.Write(context.Background(), func(ctx context.Context, tx bun.Tx) error {
			var errs []error
			for _, r := range rows {
				_, err := tx.NewInsert().Model(&r).On("CONFLICT (generation) DO UPDATE").
					Set("statement = EXCLUDED.statement").Set("at = EXCLUDED.at").Exec(ctx)
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
		for _, r := range rows {
			log.Warn("the authority has handed its log keys over", "generation", r.Generation)
		}
		return nil
	}
}

package ledger

import (
	"context"

	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/ledger/remote"
)

// Figures are a business chain's for operators, and its server's.
func Figures(l *embedded.Ledger, s *remote.Server) ops.Source {
	return ops.Source{Part: "business chain", Read: func(_ context.Context, emit ops.Emit) error {
		emit(ops.LedgerRecords, float64(l.Records()))
		f := s.Figures()
		emit(ops.LedgerLinks, float64(f.Connections))
		emit(ops.LedgerStrangers, float64(f.Strangers))
		for peer, n := range f.Putting {
			emit(ops.LedgerPutting, float64(n), peer)
		}
		for peer, n := range f.Following {
			emit(ops.LedgerFollowing, float64(n), peer)
		}
		return nil
	}}
}

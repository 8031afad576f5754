package api

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

const plainText = "text/plain; charset=utf-8"

type receiptInput struct {
	Tx string `path:"tx" doc:"The decision's transaction hash."`
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// readReceipt gives a receipt, which anyone can check offline.
func (s *Server) readReceipt(ctx context.Context, in *receiptInput) (*textOutput, error) {
	tx, err := flow.ParseHash(in.Tx)
	if err != nil {
		return nil, &fault{kind: receiptNotFound}
	}
	file, err := s.cfg.Platform.Receipt(ctx, tx)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && len(file) == 0 {
		return nil, &fault{kind: receiptNotFound}
	}
	if err != nil {
		return nil, s.fail(ctx, "reading a receipt", err)
	}
	return &textOutput{plainText, fmt.Sprintf("attachment; filename=%q", tx.String()+".tlog-proof"), file}, nil
}

// readKeys gives what receipts are checked with.
func (s *Server) readKeys(context.Context, *struct{}) (*textOutput, error) {
	return &textOutput{plainText, `attachment; filename="authority.pub"`, []byte(s.cfg.Keys)}, nil
}

// Health says that the process is alive, or ready.
type Health struct {
	Status string `json:"status" enum:"alive,ready" doc:"What it is."`
}

type healthOutput struct{ Body Health }

// readAlive answers as long as the process does.
func (s *Server) readAlive(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{Health{"alive"}}, nil
}

// readReady says whether records are best sent here now.
func (s *Server) readReady(context.Context, *struct{}) (*healthOutput, error) {
	if s.closing.Err() != nil || !s.cfg.Ready() {
		return nil, &fault{kind: notReady}
	}
	return &healthOutput{Health{"ready"}}, nil
}

package authority

import (
	"context"
	"fmt"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/chain"
)

// orderValidity is how long an order waits for its block.
const orderValidity = 10 * time.Minute

// SetStatus suspends, revokes or restores an identity; it takes effect with the
// next decision (R7.1). The reason stands on the chain.
func (a *Authority) SetStatus(ctx context.Context, identity string, status contract.Status, reason string) error {
	a.orders.Lock()
	defer a.orders.Unlock()
	last, err := a.chain.LastOrder()
	if err != nil {
		return fmt.Errorf("ordering %s to be %s: %w", identity, status, err)
	}
	body := chain.StatusOrder{
		Number: last + 1, Identity: identity, Status: string(status), Reason: reason,
		Expires: a.cfg.Clock().Add(orderValidity).Unix(),
	}
	tx, err := chain.Compose(a.chain.ID(), chain.KindStatus, body, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
	if err != nil {
		return err
	}
	if err := a.chain.Submit(ctx, tx); err != nil {
		return fmt.Errorf("ordering %s to be %s: %w", identity, status, err)
	}
	return nil
}

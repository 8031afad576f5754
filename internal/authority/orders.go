package authority

import (
	"context"
	"fmt"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/chain"
)

// Order brings an officer's order on the chain (R9.6). What the contract does
// not carry out is a *contract.OrderRefused. Held submissions that it decides
// are answered to their platforms.
func (a *Authority) Order(ctx context.Context, o chain.SignedOrder) (contract.OrderOutcome, error) {
	tx, err := chain.Compose(a.chain.ID(), chain.KindOrder, o, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
	if err != nil {
		return contract.OrderOutcome{}, err
	}
	out, err := a.chain.Order(ctx, tx)
	if err != nil {
		return contract.OrderOutcome{}, fmt.Errorf("giving an order: %w", err)
	}
	return out, nil
}

// Archived says on the chain what its archive has, so that its nodes may give up their
// copies (R10.1).
func (a *Authority) Archived(ctx context.Context, to chain.ArchivedTo) error {
	tx, err := chain.Compose(a.chain.ID(), chain.KindArchive, to, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
	if err != nil {
		return err
	}
	return a.chain.Submit(ctx, tx)
}

// Pseudonym is the key under which a subject, item, originator, prescriber,
// record or licence stands on the chain. It is for officers, who know people by
// their numbers; the number goes no further.
func (a *Authority) Pseudonym(kind, id string) string { return a.name(kind, id) }

// tickEvery is how often the authority looks whether a deadline or a time has
// come that no block has brought about yet.
const tickEvery = 5 * time.Second

// tick has the chain do what is due while nothing else happens on it.
func (a *Authority) tick(ctx context.Context) error {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		now := a.cfg.Clock()
		due, err := contract.Waiting(a.chain.State(), a.chain.Height(), now.Unix())
		if err != nil {
			return err
		}
		if !due {
			continue
		}
		tx, err := chain.Compose(a.chain.ID(), chain.KindTick, chain.Tick{Now: now.Unix()}, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
		if err != nil {
			return err
		}
		if err := a.chain.Submit(ctx, tx); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("could not bring what is due on the chain", "error", err)
		}
	}
}

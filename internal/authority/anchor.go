package authority

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fusion"
)

// anchors puts the platforms' anchors on the chain, each message on its own.
func (a *Authority) anchors(ctx context.Context, batch []fusion.AnchorDelivery) []error {
	errs := make([]error, len(batch))
	var wg sync.WaitGroup
	for i, d := range batch {
		wg.Go(func() { errs[i] = a.anchor(ctx, d) })
	}
	wg.Wait()
	return errs
}

// anchor notes what can't stand as a finding, which holds up nothing beside it;
// what stands already costs nothing.
func (a *Authority) anchor(ctx context.Context, d fusion.AnchorDelivery) error {
	fit, err := a.fitting(d)
	if err != nil {
		return err
	}
	return a.submitAnchors(ctx, d.Platform, fit)
}

// fitting gives the anchors of a delivery that the chain lacks and would take,
// and notes those that it would not.
func (a *Authority) fitting(d fusion.AnchorDelivery) ([]flow.Anchor, error) {
	var fit []flow.Anchor
	claimed := map[flow.Hash]string{}
	for _, n := range d.Anchors {
		f, stands, err := a.judgeAnchor(d.Platform, n)
		if err != nil {
			return nil, err
		}
		if first, twice := claimed[n.Tx]; twice && f == "" && first != n.BusinessTx {
			f, stands = chain.AnchorConflict, first
		} else if twice {
			continue
		}
		if f != "" {
			if err := a.find(chain.AnchorFinding{Kind: f, Platform: d.Platform, Tx: n.Tx, Stands: stands, Claimed: n.BusinessTx}); err != nil {
				return nil, err
			}
			continue
		}
		if claimed[n.Tx] = n.BusinessTx; stands == "" {
			fit = append(fit, n)
		}
	}
	return fit, nil
}

// judgeAnchor says what is wrong with an anchor, if anything, and what the chain
// has in its place.
func (a *Authority) judgeAnchor(platform string, n flow.Anchor) (kind chain.FindingKind, stands string, err error) {
	d, err := a.chain.ByTx(n.Tx)
	switch {
	case errors.Is(err, chain.ErrNotFound):
		return chain.AnchorUnknown, "", nil
	case err != nil:
		return "", "", err
	case d.Leaf.Platform != platform || d.Leaf.Verdict != flow.Granted || !d.Leaf.Step.Recorded():
		return chain.AnchorUngranted, "", nil
	case d.Anchor != "" && d.Anchor != n.BusinessTx:
		return chain.AnchorConflict, d.Anchor, nil
	}
	return "", d.Anchor, nil
}

// submitAnchors puts anchors on the chain. When it refuses them all, because of
// one that was fitting a moment ago, they are tried in halves.
func (a *Authority) submitAnchors(ctx context.Context, platform string, list []flow.Anchor) error {
	if len(list) == 0 {
		return nil
	}
	tx, err := chain.Compose(a.chain.ID(), chain.KindAnchor, chain.Anchors{Platform: platform, Anchors: list}, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
	if err != nil {
		return err
	}
	err = a.chain.Submit(ctx, tx)
	if !errors.Is(err, chain.ErrRefused) && !errors.Is(err, chain.ErrConflict) {
		return err
	}
	if len(list) > 1 {
		half := len(list) / 2
		return errors.Join(a.submitAnchors(ctx, platform, list[:half]), a.submitAnchors(ctx, platform, list[half:]))
	}
	kind, stands, judged := a.judgeAnchor(platform, list[0])
	if judged != nil {
		return judged
	}
	if kind == "" {
		return fmt.Errorf("anchoring %s: %w", list[0].Tx, err)
	}
	return a.find(chain.AnchorFinding{Kind: kind, Platform: platform, Tx: list[0].Tx, Stands: stands, Claimed: list[0].BusinessTx})
}

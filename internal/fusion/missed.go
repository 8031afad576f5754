package fusion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/internal/link"
)

const (
	// missEvery is how often the node looks whose links have ended.
	missEvery = 200 * time.Millisecond
	// missWait bounds what it then does about it.
	missWait = 5 * time.Second
)

// linked is a connection that was let in.
type linked struct {
	link.Peer
	since time.Time
}

// sweep takes off the list whose connections have ended, and notes who that was.
// d.mu is held.
func (d *door) sweep() {
	srv := d.server.Load()
	for n, l := range d.linked {
		if srv.GetClient(n) == nil {
			delete(d.linked, n)
			d.left[partyOf(l.Peer)] = true
		}
	}
}

// missed gives, once, the parties of whom a connection has ended, save those who
// have another one that is older than that: what the ended one held, its reader
// would have had again by then.
func (d *door) missed(than time.Duration) []party {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	for _, l := range d.linked {
		if time.Since(l.since) > than {
			delete(d.left, partyOf(l.Peer))
		}
	}
	var all []party
	for p := range d.left {
		all = append(all, p)
	}
	clear(d.left)
	return all
}

// giveOutAgain has what a party took and had not acknowledged given out again
// when its connection ends, and not only after Redeliver: whoever held it is gone.
// It blocks until ctx ends.
func (n *Node) giveOutAgain(ctx context.Context) {
	tick := time.NewTicker(missEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range n.door.missed(n.redeliver) {
			if err := n.renew(ctx, p); err != nil && ctx.Err() == nil {
				n.log.Warn("what a party held is given out again only after a while", "party", p, "after", n.redeliver, "error", err)
			}
		}
	}
}

// renew makes a party's consumers anew. They live in memory, and know nothing but
// what was given out; what is in the stream is not done with.
func (n *Node) renew(ctx context.Context, p party) error {
	n.powers.ordering.Lock() // no pause may come between
	defer n.powers.ordering.Unlock()
	ctx, stop := context.WithTimeout(ctx, missWait)
	defer stop()
	orders, js := n.powers.now(), n.authority.js
	for _, c := range n.cfg.tapsOf(p) {
		held, err := js.Consumer(ctx, c.stream(), c.name())
		if err != nil {
			return fmt.Errorf("finding the readers of %s: %w", c.stream(), err)
		}
		if held.CachedInfo().NumAckPending == 0 {
			continue
		}
		if err := js.DeleteConsumer(ctx, c.stream(), c.name()); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("renewing the readers of %s: %w", c.stream(), err)
		}
		if err := c.layOut(ctx, js, n.cfg, orders); err != nil {
			return err
		}
	}
	return nil
}

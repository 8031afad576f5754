package fusion

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// gatherWait is how long a batch waits for messages known to be coming.
	gatherWait = time.Millisecond
	// recently is how long a platform counts as busy after its last message.
	recently = time.Second
)

// lane holds one platform's messages for its next batch. Each platform has its
// own and one batch of it in hand at a time, so that no platform's message ever
// waits for a batch of another's.
type lane struct {
	arrived chan taken
	last    atomic.Int64 // when it was last about its business, in Unix nanoseconds
	working atomic.Bool
}

func newLane(ahead int) *lane { return &lane{arrived: make(chan taken, ahead)} }

func (l *lane) busy(now time.Time) bool {
	return l.working.Load() || now.UnixNano()-l.last.Load() < int64(recently)
}

// rest says that the lane's batch is through.
func (l *lane) rest() {
	l.last.Store(time.Now().UnixNano())
	l.working.Store(false)
}

// gather waits for a message and makes a batch of it and what else is there, of
// at most share, waiting a little when the node says that there is more to
// come. It gives nothing when ctx ends first.
func (l *lane) gather(ctx context.Context, share func() int) []taken {
	var batch []taken
	select {
	case t := <-l.arrived:
		batch = append(batch, t)
	case <-ctx.Done():
		return nil
	}
	l.working.Store(true)
	var patience <-chan time.Time
	for most := share(); len(batch) < most; {
		select {
		case t := <-l.arrived:
			batch = append(batch, t)
			continue
		default:
		}
		if m, err := batch[len(batch)-1].Metadata(); err != nil || m.NumPending == 0 {
			break
		}
		if patience == nil {
			patience = time.After(gatherWait)
		}
		select {
		case t := <-l.arrived:
			batch = append(batch, t)
		case <-patience:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// left empties the lane.
func (l *lane) left() []taken {
	var all []taken
	for {
		select {
		case t := <-l.arrived:
			all = append(all, t)
		default:
			return all
		}
	}
}

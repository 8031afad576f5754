package party

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
)

// Layer is a part that runs until its context ends.
type Layer struct {
	Name  string
	Run   func(context.Context) error
	Ready <-chan struct{} // nil: at once
}

// LayerLabel is the label that profiles have a layer's name under: of its
// goroutines, and of those that they start.
const LayerLabel = "layer"

// Run starts layers one upon the other, calls up when all of them run, and stops
// them from the top when ctx ends. A layer that ends by itself takes everything
// with it, and is the error.
func Run(ctx context.Context, layers []Layer, up func()) error {
	if len(layers) == 0 {
		up()
		<-ctx.Done()
		return nil
	}
	l := layers[0]
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	above, fail := context.WithCancel(ctx)
	defer fail()
	ended := make(chan error, 1)
	go func() {
		var err error
		pprof.Do(own, pprof.Labels(LayerLabel, l.Name), func(ctx context.Context) { err = l.Run(ctx) })
		if own.Err() == nil {
			err = fmt.Errorf("%s ended early: %w", l.Name, errors.Join(err, errEnded))
		}
		fail()
		ended <- err
	}()
	if l.Ready != nil {
		select {
		case <-l.Ready:
		case <-above.Done():
		}
	}
	var err error
	if above.Err() == nil {
		err = Run(above, layers[1:], up)
	}
	stop()
	if mine := <-ended; mine != nil && !errors.Is(mine, context.Canceled) {
		err = errors.Join(mine, err)
	}
	return err
}

var errEnded = errors.New("everything upon it stops")

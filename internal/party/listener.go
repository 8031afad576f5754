package party

import (
	"context"
	"fmt"
	"net"
)

// Listener is a server that opens its address when its layer runs, not before:
// what is upon something answers only when that does.
type Listener struct {
	name    string
	address string
	serve   func(context.Context, net.Listener) error
	bound   chan struct{} // closed when addr is there
	addr    net.Addr
}

// NewListener makes one of a server's Run; it opens nothing.
func NewListener(name, address string, serve func(context.Context, net.Listener) error) *Listener {
	return &Listener{name: name, address: address, serve: serve, bound: make(chan struct{})}
}

// Layer runs it.
func (l *Listener) Layer() Layer { return Layer{Name: l.name, Run: l.run, Ready: l.bound} }

// Addr is where it listens, once it does.
func (l *Listener) Addr() string {
	select {
	case <-l.bound:
		return l.addr.String()
	default:
		return ""
	}
}

func (l *Listener) run(ctx context.Context) error {
	var lc net.ListenConfig
	on, err := lc.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", l.address, err)
	}
	l.addr = on.Addr()
	close(l.bound)
	return l.serve(ctx, on)
}

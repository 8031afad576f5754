package turnstile

import (
	"net"
)

// Listener gives what comes to l and is let through, as *Conn.
func (t *Turnstile) Listener(l net.Listener) net.Listener { return listener{l, t} }

type listener struct {
	net.Listener
	turnstile *Turnstile
}

// Accept turns away whom the turnstile does not let through, and waits on.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := l.turnstile.Enter(c.RemoteAddr()); v != nil {
			return &Conn{Conn: c, visit: v}, nil
		}
		TurnAway(c)
	}
}

// TurnAway closes a connection without lingering.
func TurnAway(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // no more than politeness to our own kernel
	}
	_ = c.Close() // it was never used
}

// Conn is a connection that was let through.
type Conn struct {
	net.Conn
	visit *Visit
}

// Prove says that the connection has shown who it is.
func (c *Conn) Prove() { c.visit.Prove() }

// Close ends the visit too.
func (c *Conn) Close() error {
	defer c.visit.Leave()
	return c.Conn.Close()
}

package fusion

import (
	"errors"
	"fmt"
)

// Errors of this package.
var (
	// ErrNoRoute says that no node serves the platform and kind of business.
	// Repeating the call doesn't help before the nodes' routes have changed.
	ErrNoRoute = errors.New("no fusion node serves this platform and kind of business")
	// ErrNotYours says that a submission's header names another platform than
	// the one that submits it.
	ErrNotYours = errors.New("the submission's header names another platform")
	// ErrMalformed says that a submission can't be read or is over
	// flow.MaxMessage. Repeating the call doesn't help.
	ErrMalformed = errors.New("malformed message")
	// ErrStopped says that the node has stopped or is stopping.
	ErrStopped = errors.New("the fusion node has stopped")
	// ErrDisk says that a node could not write its streams, and has stopped: a
	// stream that failed once takes nothing more until its node starts again.
	ErrDisk = errors.New("the fusion node's disk can't be written")
)

// Directory finds the node that serves a platform and kind of business (R1.3).
// It never changes and is safe for concurrent use.
type Directory struct {
	nodes  []*site
	routes map[Route]*site
}

// NewDirectory refuses two nodes for one route, and two that share a name or a folder.
func NewDirectory(nodes ...Endpoint) (*Directory, error) {
	if len(nodes) == 0 {
		return nil, errors.New("making the directory of fusion nodes: no node given")
	}
	d := &Directory{routes: map[Route]*site{}}
	for _, e := range nodes {
		n := e.at()
		for _, other := range d.nodes {
			if other.name == n.name || other.dir != "" && other.dir == n.dir {
				return nil, fmt.Errorf("making the directory of fusion nodes: %s and %s share their name or folder", other.name, n.name)
			}
		}
		d.nodes = append(d.nodes, n)
		for _, r := range n.routes {
			if other := d.routes[r]; other != nil {
				return nil, fmt.Errorf("making the directory of fusion nodes: %s of platform %s is served by %s and by %s",
					r.Business, r.Platform, other.name, n.name)
			}
			d.routes[r] = n
		}
	}
	return d, nil
}

// Platform gives the side of the platform of that identity on the supervision
// chain. For one that no node serves, every method gives ErrNoRoute.
func (d *Directory) Platform(id string) *PlatformSide {
	return &PlatformSide{id: id, directory: d, trials: newTrials()}
}

// Authority gives the authority's side of all nodes.
func (d *Directory) Authority() *AuthoritySide {
	return &AuthoritySide{directory: d, trials: newTrials()}
}

func (d *Directory) node(r Route) (*site, error) {
	if n := d.routes[r]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %s of platform %s", ErrNoRoute, r.Business, r.Platform)
}

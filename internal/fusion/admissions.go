package fusion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/durable"
)

// subjectAdmit is where the authority sends its list of admissions. The node
// answers admitTaken, or with what is wrong.
const (
	subjectAdmit = "admit"
	admitTaken   = "+OK"
)

// ErrAdmissions says that a node does not go by a list: it is older than the one
// that the node has, not signed by the authority, or of another chain.
var ErrAdmissions = errors.New("the list of admissions is not one to go by")

// admissionsFile is in the node's folder.
func (d *door) admissionsFile() string { return filepath.Join(d.cfg.Dir, "admissions.cbor") }

// recall takes the list of the node's last run, so that a node that starts while
// the authority is away still keeps out whom the authority kept out (R7.1). One
// that can't be read counts as none: then nobody but the authority gets in.
func (d *door) recall() {
	if d.cfg.Listen == "" {
		return
	}
	data, err := os.ReadFile(d.admissionsFile())
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var list flow.Admissions
	if err == nil {
		list, err = d.read(data)
	}
	if err != nil {
		d.log.Error("the list of admissions can't be read: until the authority sends one, no platform gets in", "file", d.admissionsFile(), "error", err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = &list
}

// read checks a signed list.
func (d *door) read(data []byte) (flow.Admissions, error) {
	var s flow.SignedAdmissions
	if err := flow.Unmarshal(data, &s); err != nil {
		return flow.Admissions{}, fmt.Errorf("%w: %w", ErrAdmissions, err)
	}
	suite, err := envelope.ByName(d.cfg.Trust.Authority.Suite())
	if err != nil {
		return flow.Admissions{}, err
	}
	if err := suite.Verify(d.cfg.Trust.Authority, s.SigningInput(), s.Signature); err != nil {
		return flow.Admissions{}, fmt.Errorf("%w: %w", ErrAdmissions, err)
	}
	list, err := s.Open()
	if err != nil {
		return flow.Admissions{}, fmt.Errorf("%w: %w", ErrAdmissions, err)
	}
	if list.Chain != d.cfg.Trust.Chain {
		return flow.Admissions{}, fmt.Errorf("%w: it is of chain %s, want %s", ErrAdmissions, list.Chain, d.cfg.Trust.Chain)
	}
	return list, nil
}

// take goes by a list from now on: it is kept, then counts, and links of those
// who are not on it are closed before take returns. The one that the node goes
// by already is taken again.
func (d *door) take(data []byte) error {
	list, err := d.read(data)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list != nil {
		if list.Sequence < d.list.Sequence {
			return fmt.Errorf("%w: it is number %d, and the node has number %d", ErrAdmissions, list.Sequence, d.list.Sequence)
		}
		if list.Sequence == d.list.Sequence {
			if !slices.Equal(list.Entries, d.list.Entries) {
				return fmt.Errorf("%w: it is number %d, and the node has another of that number", ErrAdmissions, list.Sequence)
			}
			return nil
		}
	}
	// What the authority ordered counts at once, whatever the disk says.
	d.list = &list
	d.closeUnadmitted()
	if err := durable.WriteFile(d.admissionsFile(), data); err != nil {
		return fmt.Errorf("keeping the list of admissions: %w", err)
	}
	d.log.Info("the authority's list of admissions counts", "number", list.Sequence, "entries", len(list.Entries))
	return nil
}

// hearAdmissions takes lists that come by the authority's link.
func (n *Node) hearAdmissions(by *client) error {
	_, err := by.conn.Subscribe(subjectAdmit, func(m *nats.Msg) {
		answer := admitTaken
		if err := n.door.take(m.Data); err != nil {
			n.log.Warn("a list of admissions is not taken", "error", err)
			answer = err.Error()
		}
		if by.owned(m.Reply) {
			if err := by.conn.Publish(m.Reply, []byte(answer)); err != nil {
				n.log.Debug("answering the authority", "error", err)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("listening for admissions: %w", err)
	}
	return by.conn.FlushTimeout(startWait)
}

// Nodes are the names of all nodes, in the directory's order.
func (a *AuthoritySide) Nodes() []string {
	var names []string
	for _, n := range a.directory.nodes {
		names = append(names, n.name)
	}
	return names
}

// Admit sends a list of admissions to one node and waits until it counts there:
// when it returns nil, links of those who are not on it are closed (R7.1).
// A node in this process that listens nowhere has nobody to admit. ErrAdmissions
// says that the node does not go by the list; repeating that does not help.
func (a *AuthoritySide) Admit(ctx context.Context, node string, s flow.SignedAdmissions) error {
	i := slices.Index(a.Nodes(), node)
	if i < 0 {
		return fmt.Errorf("sending admissions to %s: no such node", node)
	}
	data, err := encode(s)
	if err != nil {
		return fmt.Errorf("sending admissions to %s: %w", node, err)
	}
	if err := a.directory.nodes[i].admit(ctx, data); err != nil {
		return fmt.Errorf("sending admissions to %s: %w", node, err)
	}
	return nil
}

func (s *site) admit(ctx context.Context, data []byte) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.take != nil {
		return s.take(data)
	}
	if s.recheck != nil {
		if err := s.recheck(); err != nil {
			return err
		}
	}
	by, err := s.authorityLink()
	if err != nil {
		return err
	}
	answer, err := by.ask(ctx, &nats.Msg{Subject: subjectAdmit, Data: data})
	if err != nil {
		return err
	}
	if string(answer) != admitTaken {
		return fmt.Errorf("%w: the node says: %s", ErrAdmissions, oneLine(string(answer)))
	}
	return nil
}

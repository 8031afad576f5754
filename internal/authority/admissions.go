package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
)

const (
	// admitEvery is how often the authority looks whether who is admitted has
	// changed on the chain, and tries the nodes that don't know yet (R7.1).
	admitEvery = 200 * time.Millisecond
	// admitAgain is when a node is told what it knows, in case that it has
	// forgotten; and when the authority asks again whether the node itself may be
	// trusted.
	admitAgain = 5 * time.Second
)

// linked are the roles of those who open links.
func linked() []contract.Role { return []contract.Role{contract.RoleNode, contract.RolePlatform} }

// admissions is the list of who may connect, as the chain has it now.
func (a *Authority) admissions() (flow.Admissions, error) {
	for {
		height := a.chain.Height()
		list := flow.Admissions{Version: 1, Chain: a.chain.ID(), Sequence: uint64(height), Issued: a.cfg.Clock().Unix()}
		for _, role := range linked() {
			all, err := a.chain.Identities(role)
			if err != nil {
				return flow.Admissions{}, err
			}
			for _, i := range all {
				list.Entries = append(list.Entries, flow.Admission{ID: i.ID, Role: string(i.Role), Status: string(i.Status), NotBefore: i.NotBefore})
			}
		}
		slices.SortFunc(list.Entries, func(x, y flow.Admission) int { return strings.Compare(x.ID, y.ID) })
		// One number never stands for two lists: a block in between makes both anew.
		if a.chain.Height() == height {
			return list, list.Validate()
		}
	}
}

// signAdmissions makes the list one that nodes go by.
func (a *Authority) signAdmissions(list flow.Admissions) (flow.SignedAdmissions, error) {
	data, err := flow.Marshal(list)
	if err != nil {
		return flow.SignedAdmissions{}, err
	}
	s := flow.SignedAdmissions{List: data}
	s.Signature, err = a.cfg.Suite.Sign(a.cfg.Random, a.cfg.Signing, s.SigningInput())
	return s, err
}

// admit keeps every fusion node's list of admissions as the chain has it, until
// ctx ends: what an officer orders about a party reaches its open links (R7.1).
func (a *Authority) admit(ctx context.Context) error {
	var current atomic.Pointer[flow.SignedAdmissions]
	var nodes sync.WaitGroup
	defer nodes.Wait()
	for _, node := range a.fusion.Nodes() {
		nodes.Go(func() { a.inform(ctx, node, &current) })
	}
	tick := time.NewTicker(admitEvery)
	defer tick.Stop()
	var last flow.Admissions
	for height := int64(-1); ; {
		if now := a.chain.Height(); now != height {
			list, err := a.admissions()
			if err != nil {
				return fmt.Errorf("listing who is admitted: %w", err)
			}
			height = now
			if current.Load() == nil || !slices.Equal(list.Entries, last.Entries) {
				s, err := a.signAdmissions(list)
				if err != nil {
					return fmt.Errorf("signing who is admitted: %w", err)
				}
				last = list
				current.Store(&s)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// inform brings the current list to one node, again and again until it has it.
func (a *Authority) inform(ctx context.Context, node string, current *atomic.Pointer[flow.SignedAdmissions]) {
	tick := time.NewTicker(admitEvery)
	defer tick.Stop()
	var known *flow.SignedAdmissions
	var since time.Time
	for {
		if s := current.Load(); s != nil && (s != known || time.Since(since) > admitAgain) {
			err := a.fusion.Admit(ctx, node, *s)
			since = time.Now()
			switch {
			case err == nil:
				known = s
			case errors.Is(err, fusion.ErrAdmissions): // repeating it soon does not help
				a.cfg.Logger.Error("a fusion node does not go by the list of admissions", "node", node, "error", err)
				known = s
			case ctx.Err() == nil:
				a.cfg.Logger.Debug("a fusion node does not have the list of admissions yet", "node", node, "error", err)
				known = nil
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// CheckNode says whether a fusion node may be linked to: it is active in that
// role on the chain, and its transport certificate no older than its admission
// (R7.1). It is for fusion.RemoteConfig.Admit.
func CheckNode(c *chain.Chain, p link.Peer, now time.Time) error {
	against, err := contract.AgainstActing(c.State(), p.ID, contract.RoleNode, now.Unix())
	if err != nil {
		return err
	}
	if len(against) > 0 {
		return fmt.Errorf("fusion node %s may not act: %s", p.ID, against[0].Code)
	}
	i, _, err := c.Identity(p.ID)
	if err != nil {
		return err
	}
	if p.NotBefore.Unix() < i.NotBefore {
		return fmt.Errorf("fusion node %s shows a transport certificate older than its admission", p.ID)
	}
	return nil
}

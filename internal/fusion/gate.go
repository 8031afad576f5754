package fusion

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"signalbox.dev/signalbox/flow"
)

// What a gate may hold that it has not looked at yet. Beyond that messages are
// dropped, their sender hears nothing and sends again.
const (
	gateMessages = 8192
	gateBytes    = 64 << 20
)

// gate is where one platform's messages come in. It has a connection of its
// own, looks at each message, and puts it into the platform's stream with the
// sender's own address for the answer: what the sender hears is either the
// gate's refusal or the stream's acknowledgement.
//
// What reaches a stream has therefore been read once: its header is whole and
// names the route of its subject. Of the sender's NATS headers none is passed on
// but the number of the attempt.
type gate struct {
	node     *Node
	platform string
	link     *client
	bound    *rate.Limiter // nil: none
	served   map[string]bool
}

// openGate begins to take a platform's messages.
func openGate(n *Node, platform string, l *client) error {
	g := &gate{node: n, platform: platform, link: l, served: map[string]bool{}}
	if n.cfg.Rate > 0 {
		g.bound = rate.NewLimiter(rate.Limit(n.cfg.Rate), max(1, int(n.cfg.Rate)))
	}
	for _, r := range n.cfg.Routes {
		if r.Platform == platform {
			g.served[r.Business] = true
		}
	}
	for _, subject := range []string{
		prefixSubmission + ".*." + token(platform) + ".*",
		prefixAnchor + ".*." + token(platform),
	} {
		sub, err := l.conn.Subscribe(subject, g.hear)
		if err != nil {
			return fmt.Errorf("opening the gate of platform %s: %w", platform, err)
		}
		if err := sub.SetPendingLimits(gateMessages, gateBytes); err != nil {
			return fmt.Errorf("opening the gate of platform %s: %w", platform, err)
		}
	}
	if err := l.conn.FlushTimeout(startWait); err != nil {
		return fmt.Errorf("opening the gate of platform %s: %w", platform, err)
	}
	return nil
}

func (g *gate) hear(m *nats.Msg) {
	if !g.link.owned(m.Reply) {
		return // its answer would go to someone else
	}
	kept, id, no := g.look(m)
	if no != nil {
		g.send(&nats.Msg{Subject: m.Reply, Data: no})
		return
	}
	g.send(&nats.Msg{
		Subject: kept, Reply: m.Reply, Data: m.Data,
		Header: nats.Header{jetstream.MsgIDHeader: {id}},
	})
}

func (g *gate) send(m *nats.Msg) {
	if err := g.link.conn.PublishMsg(m); err != nil {
		g.node.log.Debug("passing a message on", "platform", g.platform, "error", err)
	}
}

// look gives where a message belongs and its id, or the answer that refuses it.
func (g *gate) look(m *nats.Msg) (kept, id string, no []byte) {
	a, err := addressOf(m.Subject)
	if err != nil || !g.served[a.Business] {
		return "", "", refusal(codeNoRoute, "this node does not serve it")
	}
	if a.kind == submissions && g.node.powers.draining(g.platform) {
		return "", "", refusal(codeDraining, "draining")
	}
	if g.bound != nil {
		if wait := g.wait(time.Now()); wait > 0 {
			return "", "", refusal(codeRate, max(wait, waitRate).String())
		}
	}
	if len(m.Data) > flow.MaxMessage {
		return "", "", refusal(codeMalformed, strconv.Itoa(len(m.Data))+" bytes, over the limit of "+strconv.Itoa(flow.MaxMessage))
	}
	if a.kind == anchors {
		if _, err := anchorBatch(a, m.Data); err != nil {
			return "", "", refusal(codeMalformed, "the anchors can't be read")
		}
		return a.kept(), flow.SumHash(m.Data).String(), nil
	}
	_, h, err := openSubmission(a, m.Data)
	switch {
	case errors.Is(err, errOtherRoute):
		return "", "", refusal(codeNotYours, err.Error())
	case err != nil:
		return "", "", refusal(codeMalformed, "the submission can't be read")
	}
	return a.kept(), attempt(h.ID.String(), m.Header.Get(jetstream.MsgIDHeader)), nil
}

// attempt is the id under which the stream counts repetitions: the submission's,
// and of what the sender says no more than which attempt it is.
func attempt(id, said string) string {
	if n, ok := strings.CutPrefix(said, id+"/"); ok {
		if n, err := strconv.ParseUint(n, 10, 31); err == nil {
			return id + "/" + strconv.FormatUint(n, 10)
		}
	}
	return id
}

// wait takes one message's share of the platform's rate, or says how long until
// there is one.
func (g *gate) wait(now time.Time) time.Duration {
	r := g.bound.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

package fusion

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// relay is where one party elsewhere reaches the node's streams. The server
// checks who publishes where, and not which address for an answer is named: given
// JetStream's own subjects, a party could have the node's answers published
// where it may not itself, and an answer without a body is an order to delete a
// stream. So a party names what it wants here, and the relay asks for it, with
// answers to the party's own inbox and nowhere else.
type relay struct {
	node  *Node
	party party
	link  *client
	taps  []string // <stream>.<consumer> that the party reads
	puts  []string // subjects that it stores under
}

// openRelays begins to serve parties elsewhere, if the node listens.
func (n *Node) openRelays() error {
	if n.cfg.Listen == "" {
		return nil
	}
	if err := n.openRelay(party{role: link.RoleAuthority}, n.relay); err != nil {
		return err
	}
	if err := n.hearAdmissions(n.relay); err != nil {
		return err
	}
	for id, l := range n.gates {
		if err := n.openRelay(party{link.RolePlatform, id}, l); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openRelay(p party, l *client) error {
	r := &relay{node: n, party: p, link: l, puts: n.cfg.putsOf(p)}
	for _, t := range n.cfg.tapsOf(p) {
		r.taps = append(r.taps, t.stream()+"."+t.name())
	}
	for prefix, hear := range map[string]func(string, *nats.Msg){prefixPull: r.pull, prefixAck: r.ack, prefixPut: r.put} {
		own := prefix + "." + p.token() + "."
		sub, err := l.conn.Subscribe(own+">", func(m *nats.Msg) { hear(strings.TrimPrefix(m.Subject, own), m) })
		if err == nil {
			err = sub.SetPendingLimits(gateMessages, gateBytes)
		}
		if err != nil {
			return fmt.Errorf("opening the relay of %s: %w", p, err)
		}
	}
	if err := l.conn.FlushTimeout(startWait); err != nil {
		return fmt.Errorf("opening the relay of %s: %w", p, err)
	}
	return nil
}

// owned says whether an answer to reply reaches the party and nobody else.
func (p party) owned(reply string) bool {
	rest, ok := strings.CutPrefix(reply, p.inbox()+".")
	return ok && rest != "" && !strings.ContainsAny(rest, "*> \t\r\n")
}

// pullRequest is what a request for messages may say.
type pullRequest struct {
	Batch    int           `json:"batch"`
	MaxBytes int           `json:"max_bytes"`
	Expires  time.Duration `json:"expires"`
}

// pull asks a consumer for messages.
func (r *relay) pull(what string, m *nats.Msg) {
	var asked pullRequest
	err := json.Unmarshal(m.Data, &asked)
	if err != nil || !slices.Contains(r.taps, what) || !r.party.owned(m.Reply) ||
		asked.Batch < 1 || asked.Batch > maxAhead || asked.MaxBytes < 0 || asked.Expires <= 0 || asked.Expires > requestLife {
		r.drop("request for messages", m)
		return
	}
	data, err := json.Marshal(asked)
	if err != nil {
		r.drop("request for messages", m)
		return
	}
	r.send(&nats.Msg{Subject: r.link.api + jsNext + what, Reply: m.Reply, Data: data})
}

// ack answers for a message that the party took. Nothing comes back.
func (r *relay) ack(what string, m *nats.Msg) {
	known := slices.ContainsFunc(r.taps, func(t string) bool { return strings.HasPrefix(what, t+".") })
	answer, ok := readAnswer(m.Data)
	if !known || !ok {
		r.drop("answer for a message", m)
		return
	}
	r.send(&nats.Msg{Subject: jsAck + what, Data: answer})
}

// readAnswer takes one of the answers that readers give, no other.
func readAnswer(data []byte) ([]byte, bool) {
	switch string(data) {
	case answerDone, answerAgain, answerInHand:
		return data, true
	}
	text, ok := strings.CutPrefix(string(data), answerAgain+" ")
	var delay struct {
		Delay time.Duration `json:"delay"`
	}
	if !ok || json.Unmarshal([]byte(text), &delay) != nil || delay.Delay < 0 || delay.Delay > lastRetry {
		return nil, false
	}
	return []byte(fmt.Sprintf(`%s {"delay": %d}`, answerAgain, delay.Delay.Nanoseconds())), true
}

// put stores a message: a decision of the authority's, or what its reader sets aside.
func (r *relay) put(what string, m *nats.Msg) {
	if !slices.Contains(r.puts, what) || !r.party.owned(m.Reply) {
		r.drop("message", m)
		return
	}
	if len(m.Data) > flow.MaxMessage {
		r.send(&nats.Msg{Subject: m.Reply, Data: refusal(codeMalformed, fmt.Sprintf("%d bytes, over the limit of %d", len(m.Data), flow.MaxMessage))})
		return
	}
	kept := nats.Header{}
	for _, name := range []string{jetstream.MsgIDHeader, headerReason, headerCount} {
		if v := m.Header.Get(name); v != "" {
			kept.Set(name, oneLine(v))
		}
	}
	r.send(&nats.Msg{Subject: what, Reply: m.Reply, Data: m.Data, Header: kept})
}

func (r *relay) send(m *nats.Msg) {
	if err := r.link.conn.PublishMsg(m); err != nil {
		r.node.log.Debug("passing a message on", "party", r.party.String(), "error", err)
	}
}

// drop is for what no client of ours sends.
func (r *relay) drop(what string, m *nats.Msg) {
	r.node.log.Warn("a party asks for what is not its own; dropped", "party", r.party.String(), "what", what, "subject", m.Subject)
}

package fusion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotQuarantined says that the quarantine holds nothing under that id.
var ErrNotQuarantined = errors.New("the quarantine holds no such message")

const (
	// maxQuarantined is the most messages of one route and direction (of
	// submissions: and step) in quarantine. Beyond that the oldest go.
	maxQuarantined = 1000
	// maxReason is the most bytes of a reason that are kept.
	maxReason = 500
	// maxListed is the most messages that one list shows.
	maxListed = 1000
)

// Headers of a message in quarantine.
const (
	headerReason = "Signalbox-Reason"
	headerCount  = "Signalbox-Failures"
)

// Quarantined is what the operator sees of a message that was set aside: that it
// is there and why, nothing of what it says.
type Quarantined struct {
	ID        string    `json:"id"`        // names it in Release and Discard
	Direction string    `json:"direction"` // submissions, anchors or decisions
	Platform  string    `json:"platform"`
	Business  string    `json:"business"`
	Step      string    `json:"step,omitempty"` // of a submission
	Size      int       `json:"size"`           // in bytes
	Reason    string    `json:"reason"`
	Failures  int       `json:"failures"`
	Since     time.Time `json:"since"`
}

// quarantine stores the message in its platform's quarantine.
func (t taken) quarantine(ctx context.Context, k key, reason error, count int) error {
	a, err := addressOf(t.Subject)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: t.link.puts(a.quarantined()), Data: t.Data, Header: nats.Header{
		headerReason: {oneLine(reason.Error())},
		headerCount:  {strconv.Itoa(count)},
	}}
	return t.link.store(ctx, m, jetstream.WithMsgID(fmt.Sprint(k.stream, "/", k.sequence)))
}

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// Quarantine lists what was set aside, the oldest of each platform first, at
// most 1,000.
func (n *Node) Quarantine(ctx context.Context) ([]Quarantined, error) {
	leave, err := n.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	all := []Quarantined{}
	for _, p := range platforms(n.cfg.Routes) {
		some, err := n.quarantineOf(ctx, p, maxListed-len(all))
		if err != nil {
			return nil, fmt.Errorf("listing the quarantine of platform %s: %w", p, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func (n *Node) quarantineOf(ctx context.Context, platform string, most int) ([]Quarantined, error) {
	s, err := n.authority.js.Stream(ctx, streamOf(quarantine, platform))
	if err != nil {
		return nil, err
	}
	all := []Quarantined{}
	info := s.CachedInfo()
	for next := info.State.FirstSeq; len(all) < most && next <= info.State.LastSeq; {
		m, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(prefixQuarantine+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		all = append(all, quarantined(platform, m))
		next = m.Sequence + 1
	}
	return all, nil
}

func quarantined(platform string, m *jetstream.RawStreamMsg) Quarantined {
	q := Quarantined{
		ID: platform + "/" + strconv.FormatUint(m.Sequence, 10), Platform: platform,
		Size: len(m.Data), Reason: m.Header.Get(headerReason), Since: m.Time,
	}
	q.Failures, _ = strconv.Atoi(m.Header.Get(headerCount)) // 0 for a header that says nothing
	if a, err := addressOf(m.Subject); err == nil {
		q.Direction, q.Business, q.Step = a.kind, a.Business, string(a.step)
	}
	return q
}

// Release puts a message back into the stream that it was taken from, behind
// what waits there, and out of the quarantine. Where it failed before it may
// fail again, and then comes back here. A process that ended with it tries it once more, alone.
func (n *Node) Release(ctx context.Context, id string) error {
	return n.withQuarantined(ctx, "releasing", id, func(s jetstream.Stream, m *jetstream.RawStreamMsg) error {
		a, err := addressOf(m.Subject)
		if err != nil {
			return err
		}
		back := &nats.Msg{Subject: a.kept(), Data: m.Data, Header: nats.Header{headerRelease: {id}}}
		if _, err := n.authority.js.PublishMsg(ctx, back, jetstream.WithMsgID("released/"+id)); err != nil {
			return stored(err)
		}
		return s.DeleteMsg(ctx, m.Sequence)
	})
}

// Discard deletes a message of the quarantine. Its submission may still be
// answered, when its platform pushes it again.
func (n *Node) Discard(ctx context.Context, id string) error {
	return n.withQuarantined(ctx, "discarding", id, func(s jetstream.Stream, m *jetstream.RawStreamMsg) error {
		return s.DeleteMsg(ctx, m.Sequence)
	})
}

func (n *Node) withQuarantined(ctx context.Context, doing, id string, do func(jetstream.Stream, *jetstream.RawStreamMsg) error) error {
	leave, err := n.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	platform, number, _ := strings.Cut(id, "/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if err != nil || sequence == 0 || !slices.Contains(platforms(n.cfg.Routes), platform) {
		return fmt.Errorf("%s %q: %w", doing, id, ErrNotQuarantined)
	}
	s, err := n.authority.js.Stream(ctx, streamOf(quarantine, platform))
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, id, err)
	}
	m, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%s %s: %w", doing, id, ErrNotQuarantined)
	}
	if err == nil {
		err = do(s, m)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, id, err)
	}
	return nil
}

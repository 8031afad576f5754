package fusion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
)

// DuplicateWindow is how long a stream remembers a message's id: a repetition
// within it succeeds and stores nothing.
const DuplicateWindow = 2 * time.Minute

// Kinds of stream. Each platform has one of each, so that no platform's messages
// take another's room or stand before them.
const (
	submissions = "submissions"
	anchors     = "anchors"
	decisions   = "decisions"
	quarantine  = "quarantine"
)

// Subjects begin with one of these. What platforms push goes to sub and anc,
// where the node's gate looks at it and puts it into its stream under kept.
const (
	prefixSubmission = "sub"
	prefixAnchor     = "anc"
	prefixDecision   = "dec"
	prefixKept       = "kept"
	prefixQuarantine = "qua"
)

// soleConsumer is the consumer of a platform's anchors, and that of its
// decisions. Its submissions have one for each step, named by the step's token,
// so that each step can be paused by itself.
const soleConsumer = "all"

// dotInToken stands for a dot of a name, which would part a subject's tokens.
// No name holds it (flow.CheckName), so that two names never share a token.
const dotInToken = "~"

func token(name string) string { return strings.ReplaceAll(name, ".", dotInToken) }

func nameOf(token string) string { return strings.ReplaceAll(token, dotInToken, ".") }

// streamOf names a platform's stream of a kind.
func streamOf(kind, platform string) string { return kind + "-" + token(platform) }

// address is what a subject says of its message.
type address struct {
	kind string // submissions, anchors or decisions
	Route
	step flow.Step // of a submission
}

var prefixes = []struct{ kind, prefix string }{
	{submissions, prefixSubmission}, {anchors, prefixAnchor}, {decisions, prefixDecision},
}

// subject is where the sender of a message publishes it.
func (a address) subject() string {
	for _, p := range prefixes {
		if p.kind == a.kind {
			s := p.prefix + "." + token(a.Business) + "." + token(a.Platform)
			if a.kind == submissions {
				s += "." + token(string(a.step))
			}
			return s
		}
	}
	return "unknown." + a.kind
}

// kept is the subject under which the message's stream holds it.
func (a address) kept() string {
	if a.kind == decisions {
		return a.subject()
	}
	return prefixKept + "." + a.subject()
}

// quarantined is the subject under which the platform's quarantine holds it.
func (a address) quarantined() string { return prefixQuarantine + "." + a.subject() }

var errSubject = errors.New("the subject is not of the form kind.business.platform, or sub.business.platform.step")

// addressOf is the inverse of subject, kept and quarantined.
func addressOf(subject string) (address, error) {
	parts := strings.Split(subject, ".")
	if parts[0] == prefixKept || parts[0] == prefixQuarantine {
		parts = parts[1:]
	}
	if len(parts) < 3 {
		return address{}, errSubject
	}
	for _, p := range prefixes {
		if p.prefix != parts[0] {
			continue
		}
		a := address{kind: p.kind, Route: Route{Platform: nameOf(parts[2]), Business: nameOf(parts[1])}}
		switch {
		case p.kind != submissions && len(parts) == 3:
			return a, nil
		case p.kind == submissions && len(parts) == 4:
			a.step = flow.Step(nameOf(parts[3]))
			return a, nil
		}
	}
	return address{}, errSubject
}

// layOut makes the node's streams, or brings them in line with cfg, and their
// consumers.
//
// Consumers live in memory: their state is what was given out and not yet
// acknowledged, and after a restart whoever took that is gone. All streams but
// the quarantine are work queues, so what is left in them is exactly what is not
// done with, and a new consumer gives it out at once.
func layOut(ctx context.Context, js jetstream.JetStream, cfg NodeConfig, o Orders) error {
	for _, p := range platforms(cfg.Routes) {
		for _, s := range streams(p, cfg) {
			if _, err := js.CreateOrUpdateStream(ctx, s); err != nil {
				return fmt.Errorf("laying out stream %s: %w", s.Name, err)
			}
		}
		for _, c := range consumers(p) {
			if err := c.layOut(ctx, js, cfg, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c NodeConfig) replicas() int {
	if c.External == nil {
		return 1
	}
	return c.External.Replicas
}

func streams(platform string, cfg NodeConfig) []jetstream.StreamConfig {
	queue := func(kind, subject string, full jetstream.DiscardPolicy) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name:                 streamOf(kind, platform),
			Replicas:             cfg.replicas(),
			Subjects:             []string{subject},
			Storage:              jetstream.FileStorage,
			Retention:            jetstream.WorkQueuePolicy, // a message leaves when it is acknowledged
			Duplicates:           DuplicateWindow,
			MaxMsgsPerSubject:    int64(cfg.MaxWaiting),
			MaxBytes:             cfg.MaxBytes,
			MaxMsgSize:           maxPayload,
			Discard:              full,
			DiscardNewPerSubject: full == jetstream.DiscardNew,
		}
	}
	p := token(platform)
	decided := queue(decisions, prefixDecision+".*."+p, jetstream.DiscardOld)
	decided.MaxAge = cfg.DecisionAge
	bad := queue(quarantine, prefixQuarantine+".>", jetstream.DiscardOld)
	bad.Subjects = []string{
		prefixQuarantine + "." + prefixSubmission + ".*." + p + ".*",
		prefixQuarantine + "." + prefixAnchor + ".*." + p,
		prefixQuarantine + "." + prefixDecision + ".*." + p,
	}
	bad.Retention = jetstream.LimitsPolicy
	bad.MaxMsgsPerSubject = maxQuarantined
	return []jetstream.StreamConfig{
		queue(submissions, prefixKept+"."+prefixSubmission+".*."+p+".*", jetstream.DiscardNew),
		queue(anchors, prefixKept+"."+prefixAnchor+".*."+p, jetstream.DiscardNew),
		decided, bad,
	}
}

// consumer is one way to take messages out of a platform's stream.
type consumer struct {
	kind     string
	platform string
	step     flow.Step // of submissions
}

func (c consumer) stream() string { return streamOf(c.kind, c.platform) }

func (c consumer) name() string {
	if c.kind == submissions {
		return token(string(c.step))
	}
	return soleConsumer
}

func (c consumer) filter() string {
	if c.kind == submissions {
		return prefixKept + "." + prefixSubmission + ".*." + token(c.platform) + "." + c.name()
	}
	return ""
}

// consumers are all of a platform's, in a fixed order.
func consumers(platform string) []consumer {
	var all []consumer
	for _, kind := range []string{submissions, anchors, decisions} {
		all = append(all, consumersOf(kind, platform)...)
	}
	return all
}

func consumersOf(kind, platform string) []consumer {
	if kind != submissions {
		return []consumer{{kind: kind, platform: platform}}
	}
	var all []consumer
	for _, s := range flow.Steps() {
		all = append(all, consumer{kind: kind, platform: platform, step: s})
	}
	return all
}

func (c consumer) layOut(ctx context.Context, js jetstream.JetStream, cfg NodeConfig, o Orders) error {
	var until *time.Time // nothing of what is paused gets out before the orders are applied
	if o.holds(c) {
		t := time.Now().Add(pausedFor)
		until = &t
	}
	_, err := js.CreateOrUpdateConsumer(ctx, c.stream(), jetstream.ConsumerConfig{
		PauseUntil:    until,
		Durable:       c.name(),
		FilterSubject: c.filter(),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       cfg.Redeliver,
		MaxDeliver:    -1,
		MaxAckPending: -1, // messages that wait for another try must not hold up those behind them
		MemoryStorage: true,
	})
	if err != nil {
		return fmt.Errorf("laying out the readers of %s: %w", c.stream(), err)
	}
	return nil
}

// platforms gives each platform of the routes once, in order.
func platforms(routes []Route) []string {
	var names []string
	for _, r := range routes {
		names = append(names, r.Platform)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package fusion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// DuplicateWindow is how long a stream remembers a message's id: a repetition
// within it succeeds and stores nothing.
const DuplicateWindow = 2 * time.Minute

// The streams of a node, and the first token of their subjects.
const (
	submissions = "submissions"
	decisions   = "decisions"
	anchors     = "anchors"
)

// authorityConsumer is the durable consumer of submissions and of anchors. In
// decisions each platform has one of its own, named by its token.
const authorityConsumer = "authority"

func prefix(stream string) string { return stream[:3] }

// dotInToken stands for a dot of a name, which would part a subject's tokens.
// No name holds it (flow.CheckName), so that two names never share a token.
const dotInToken = "~"

func token(name string) string { return strings.ReplaceAll(name, ".", dotInToken) }

func nameOf(token string) string { return strings.ReplaceAll(token, dotInToken, ".") }

func subject(stream string, r Route) string {
	return prefix(stream) + "." + token(r.Business) + "." + token(r.Platform)
}

// routeOf is the inverse of subject.
func routeOf(subject string) (Route, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 3 {
		return Route{}, errors.New("subject is not of the form stream.business.platform")
	}
	return Route{Platform: nameOf(parts[2]), Business: nameOf(parts[1])}, nil
}

// layOut makes the node's streams, or brings them in line with cfg, and their
// consumers.
//
// Consumers live in memory: their state is what was given out and not yet
// acknowledged, and after a restart whoever took that is gone. All three streams
// are work queues, so what is left in them is exactly what is not done with, and
// a new consumer gives it out at once.
func layOut(ctx context.Context, js jetstream.JetStream, cfg NodeConfig) error {
	for _, s := range []jetstream.StreamConfig{
		stream(submissions, cfg, jetstream.DiscardNew),
		stream(anchors, cfg, jetstream.DiscardNew),
		stream(decisions, cfg, jetstream.DiscardOld),
	} {
		if _, err := js.CreateOrUpdateStream(ctx, s); err != nil {
			return fmt.Errorf("laying out stream %s: %w", s.Name, err)
		}
	}
	for _, s := range []string{submissions, anchors} {
		if err := consumer(ctx, js, s, authorityConsumer, prefix(s)+".>", cfg); err != nil {
			return err
		}
	}
	for _, p := range platforms(cfg.Routes) {
		// One consumer for all kinds of a platform's business.
		if err := consumer(ctx, js, decisions, token(p), prefix(decisions)+".*."+token(p), cfg); err != nil {
			return err
		}
	}
	return nil
}

// stream is a work queue: a message leaves it when it is acknowledged.
func stream(name string, cfg NodeConfig, full jetstream.DiscardPolicy) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:                 name,
		Subjects:             []string{prefix(name) + ".*.*"},
		Storage:              jetstream.FileStorage,
		Retention:            jetstream.WorkQueuePolicy,
		Duplicates:           DuplicateWindow,
		MaxMsgsPerSubject:    int64(cfg.MaxWaiting),
		MaxBytes:             cfg.MaxBytes,
		MaxMsgSize:           maxPayload,
		Discard:              full,
		DiscardNewPerSubject: full == jetstream.DiscardNew,
	}
	if name == decisions {
		s.MaxAge = cfg.DecisionAge
	}
	return s
}

func consumer(ctx context.Context, js jetstream.JetStream, stream, name, filter string, cfg NodeConfig) error {
	_, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable:       name,
		FilterSubject: filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       cfg.Redeliver,
		MaxDeliver:    -1,
		MaxAckPending: -1, // messages that wait for another try must not hold up those behind them
		MemoryStorage: true,
	})
	if err != nil {
		return fmt.Errorf("laying out the readers of %s: %w", stream, err)
	}
	return nil
}

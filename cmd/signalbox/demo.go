package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/system"
	"signalbox.dev/signalbox/profile"
)

type demoCommand struct {
	Input []string `help:"Prescription to play: a file, or a directory of .json files; may be repeated. Default: the built-in set." type:"path" placeholder:"FILE|DIR"`
	Suite string   `help:"Cryptography: gm (SM2, SM3, SM4) or intl (RSA, SHA-256, AES)." enum:"gm,intl" default:"gm"`
	Data  string   `help:"Data directory to use and keep, with receipts and the authority's keys. Default: a temporary one." type:"path" placeholder:"DIR"`
	JSON  bool     `help:"Print one JSON object a line: each step, each unreadable input, and a summary."`
}

// Help implements kong's HelpProvider.
func (demoCommand) Help() string {
	return "Exits with 0 when nothing is inconsistent and every input could be read, with 2 when some could not (the others still " +
		"ran), with 1 on failure.\n\nExamples:\n  signalbox demo\n  signalbox demo --suite intl --data ./data\n  signalbox demo --input prescriptions/ --json"
}

// Run plays everything and checks it.
func (c *demoCommand) Run(a *app) error {
	records, err := inputs(c.Input)
	if err != nil {
		return err
	}
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "signalbox-demo-"); err != nil {
			return fmt.Errorf("making a temporary data directory: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	out := newDemoOutput(a, c.JSON)
	sum, err := c.play(a, out, dir, records)
	if err != nil {
		return err
	}
	checked, err := system.Fsck(a.ctx, dir, system.Beside{}, time.Now(), func(string) {})
	if err != nil {
		return fmt.Errorf("checking afterwards: %w", err)
	}
	sum.Inconsistencies += len(checked.Inconsistencies)
	if err := out.summary(sum, checked); err != nil {
		return err
	}
	switch {
	case sum.Inconsistencies > 0:
		return exit(exitFailed)
	case sum.Unreadable > 0:
		return exit(exitUnreadable)
	}
	return nil
}

// play runs the system, plays every record and stops it again.
func (c *demoCommand) play(a *app, out *demoOutput, dir string, records []input) (summary, error) {
	out.preparing()
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := system.Open(a.ctx, system.Config{Dir: dir, Suite: c.Suite, BaseURL: "http://127.0.0.1:8080", Logger: log})
	if err != nil {
		return summary{}, err
	}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	p := &player{system: s, out: out, sum: summary{Inputs: len(records)}, keep: c.Data != ""}
	played := make(chan error, 1)
	go func() { played <- p.play(ctx, records) }()
	select {
	case err = <-played:
		stop()
		return p.sum, errors.Join(err, <-ended)
	case err = <-ended:
		stop()
		<-played
		return p.sum, errors.Join(err, a.ctx.Err())
	}
}

// player follows the records that it has registered to their ends.
type player struct {
	system *system.System
	out    *demoOutput
	sum    summary
	keep   bool // receipts as files
}

func (p *player) play(ctx context.Context, records []input) error {
	select {
	case <-p.system.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	p.out.begin(p.system.Settings, len(records))
	watch := newWatch(p.system.Platform)
	var open []*playing
	for _, r := range records {
		f, err := p.register(ctx, r)
		if err != nil {
			return err
		}
		if f != nil && !slices.ContainsFunc(open, func(g *playing) bool { return g.ref == f.ref }) {
			open = append(open, f)
			if err := watch.decided(ctx, f.ref); err != nil { // so that the first of several under one number wins
				return err
			}
		}
	}
	for _, f := range open {
		if err := p.follow(ctx, watch, f); err != nil {
			return err
		}
	}
	return watch.anchored(ctx, open, p.system.Chain)
}

// playing is a flow on its way.
type playing struct {
	input string
	ref   string
}

// register takes one input in; nil when it goes no further.
func (p *player) register(ctx context.Context, in input) (*playing, error) {
	if in.err != nil {
		p.sum.Unreadable++
		return nil, p.out.unreadable(in.name, in.err)
	}
	r, err := p.system.Platform.Authorise.Register(ctx, authorise.Input{Data: in.data})
	var refusal *profile.Refusal
	var problem *profile.Problem
	switch {
	case errors.As(err, &refusal):
		p.sum.Refused++
		p.sum.Steps++
		return nil, p.out.refused(in.name, refusal.Reason)
	case errors.As(err, &problem):
		p.sum.Unreadable++
		return nil, p.out.unreadable(in.name, err)
	case err != nil:
		return nil, fmt.Errorf("registering %s: %w", in.name, err)
	}
	return &playing{input: in.name, ref: r.Ref.String()}, nil
}

// follow waits for a flow's end, checks its receipts and prints it.
func (p *player) follow(ctx context.Context, w *watch, f *playing) error {
	v, err := w.ended(ctx, f.ref)
	if err != nil {
		return err
	}
	for _, s := range v.Steps {
		p.sum.Steps++
		if err := p.prove(ctx, s); err != nil {
			return err
		}
	}
	switch {
	case v.State == "delivered":
		p.sum.Flows++
		p.sum.Completed++
	case v.Flow.IsZero():
		p.sum.Refused++
	default:
		p.sum.Flows++
		p.sum.Refused++
	}
	return p.out.flow(f.input, v, p.sum)
}

// prove verifies a step's receipt with nothing but the published keys.
func (p *player) prove(ctx context.Context, s platform.StepView) error {
	if !s.Receipt {
		return nil
	}
	file, err := p.system.Platform.Receipt(ctx, s.Tx)
	if err != nil {
		return err
	}
	if err := verifyBytes(file, p.system.Keys, s); err != nil {
		p.sum.Inconsistencies++
		return p.out.inconsistent(err)
	}
	p.sum.ReceiptsVerified++
	if p.keep {
		_, err = p.system.WriteReceipt(s.Tx, file)
	}
	return err
}

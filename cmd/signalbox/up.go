package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/system"
)

type upCommand struct {
	Data       string   `help:"Data directory; made when it is new. What it holds survives a restart." default:"./data" type:"path" placeholder:"DIR"`
	Listen     string   `help:"Address of the HTTP API." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Hosts      []string `help:"Names beside loopback ones that requests may use." name:"host" placeholder:"NAME"`
	Access     string   `help:"Who may call the API: a file that signalbox token writes. Without one, whoever reaches it; then it listens on loopback alone." type:"path" placeholder:"FILE"`
	Suite      string   `help:"Cryptography of a new data directory: gm or intl." enum:"gm,intl," default:""`
	SubjectKey string   `help:"How subject keys are made: hmac, or sha256 as in the source (it can be undone by trial)." enum:"hmac,sha256" default:"hmac"`
	Unattended bool     `help:"Without the built-in reviewers, subjects and producers: flows wait for real ones."`
	PlayDemo   bool     `help:"Register the built-in prescriptions once everything runs."`
	LogLevel   string   `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
}

// Help implements kong's HelpProvider.
func (upCommand) Help() string {
	return "Everything in one process, for trial: an authority with its chain, a fusion node, a platform with its business chain, and " +
		"people who take part. Ends with Ctrl-C; whatever was begun goes on at the next start.\n\n" +
		"Examples:\n  signalbox up\n  signalbox up --data ./data --listen 127.0.0.1:8080 --play-demo\n" +
		"  curl -X POST --data-binary @prescription.json -H 'Content-Type: application/json' http://127.0.0.1:8080/api/v1/records"
}

// Run serves until it is told to end.
func (c *upCommand) Run(a *app) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	access, err := api.ReadAccess(c.Access)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", c.Listen, err)
	}
	defer listener.Close()
	s, err := system.Open(a.ctx, system.Config{
		Dir: c.Data, Suite: c.Suite, SubjectKey: authority.SubjectKeyMode(c.SubjectKey),
		BaseURL: "http://" + listener.Addr().String(), Unattended: c.Unattended, Logger: log, Clock: fault.Clock(),
	})
	if err != nil {
		return err
	}
	server, err := api.New(api.Config{
		Platform: api.On(s.Platform), Keys: s.Published, Ready: func() bool { return closed(s.Ready()) },
		Logger: log.With("part", "api"), Hosts: c.Hosts, Access: access, Version: version,
	})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return c.serve(a, s, server, listener)
}

// serve runs system and API; each ends the other.
func (c *upCommand) serve(a *app, s *system.System, server *api.Server, l net.Listener) error {
	g, ctx := errgroup.WithContext(a.ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	apiEnded := make(chan struct{})
	g.Go(func() error {
		defer close(apiEnded)
		defer stop()
		return server.Run(ctx, l)
	})
	g.Go(func() error {
		own, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		go func() { // requests in hand are answered before what they wait for ends
			<-apiEnded
			end()
		}()
		defer stop()
		return s.Run(own)
	})
	g.Go(func() error { return c.greet(ctx, a, s, l) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// greet says when everything runs, and plays the demo set.
func (c *upCommand) greet(ctx context.Context, a *app, s *system.System, l net.Listener) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.Ready():
	}
	fmt.Fprintf(a.stdout, a.say.of(
		"Signalbox is up: http://%s (suite %s, data in %s). Ctrl-C ends it.\n",
		"Signalbox 已启动：http://%s（密码套件 %s，数据目录 %s）。按 Ctrl-C 结束。\n"), l.Addr(), s.Settings.Suite, c.Data)
	if !c.PlayDemo {
		return nil
	}
	return c.playDemo(ctx, a, s)
}

// playDemo registers the built-in set; the participants do the rest.
func (c *upCommand) playDemo(ctx context.Context, a *app, s *system.System) error {
	set, err := inputs(nil)
	if err != nil {
		return err
	}
	begun := time.Now()
	var open []*playing
	for _, in := range set {
		r, err := s.Platform.Authorise.Register(ctx, authorise.Input{Data: in.data})
		if err != nil {
			return fmt.Errorf("registering %s: %w", in.name, err)
		}
		open = append(open, &playing{input: in.name, ref: r.Ref.String()})
	}
	w := newWatch(s.Platform)
	for i, f := range open {
		if c.Unattended {
			break
		}
		v, err := w.ended(ctx, f.ref)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%2d/%d %s · %s · %s\n", i+1, len(open), v.State, v.Title, v.Number)
	}
	fmt.Fprintf(a.stdout, a.say.of("%d prescriptions in %s\n", "%d 份处方，用时 %s\n"), len(open), time.Since(begun).Round(time.Millisecond))
	return nil
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

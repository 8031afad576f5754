package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"signalbox.dev/signalbox/internal/bench"
)

type benchCommand struct {
	Duration time.Duration `help:"How long is measured. Cryptography, baseline and consensus alone take a fifth of it each, afterwards." default:"30s" placeholder:"TIME"`
	WarmUp   time.Duration `help:"How long flows come before that." default:"5s" placeholder:"TIME"`
	InFlight int           `help:"Closed loop: so many flows at once; the next begins when one ends." default:"64" placeholder:"N"`
	OpenLoop float64       `help:"Open loop: so many steps are due a second, whatever becomes of those before. A sixth as many flows are registered." placeholder:"RATE"`
	Suite    string        `help:"Cryptography: gm (SM2, SM3, SM4) or intl (RSA, SHA-256, AES)." enum:"gm,intl" default:"gm"`
	Profile  string        `help:"Kind of business." enum:"prescription" default:"prescription" placeholder:"NAME"`
	Data     string        `help:"Data directory to use and keep; its suite counts. Default: a temporary one, in TMPDIR: what the disk there costs is measured too." type:"path" placeholder:"DIR"`
	JSON     bool          `help:"Print one JSON object."`
}

// Help implements kong's HelpProvider.
func (benchCommand) Help() string {
	return "Plays complete flows, six steps from registration to delivery, through an all-in-one system of its own: authority, fusion node, " +
		"platform and both chains in this process, with people who take part. Flows come in at the module boundary, where a platform's own " +
		"program calls it, below the HTTP API; from there every step takes the path that it always takes.\n\n" +
		"A step's latency counts from when it could have begun: a registration's from when it was due, every other's from when the " +
		"step before it was done. Afterwards it measures what to compare with: the cryptography alone (floor), the same flows without " +
		"supervision (baseline), and consensus alone (engine).\n\n" +
		"Exits with 1 when a flow failed, was lost or did a step twice.\n\n" +
		"Examples:\n  signalbox bench\n  signalbox bench --in-flight 256 --suite intl\n  signalbox bench --open-loop 200 --duration 60s\n" +
		"  signalbox bench --duration 5s --warm-up 1s --json"
}

// Run measures and prints.
func (c *benchCommand) Run(a *app) (err error) {
	scratch, err := os.MkdirTemp("", "signalbox-bench-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	dir, suite := c.Data, c.Suite
	if dir == "" {
		dir = filepath.Join(scratch, "data")
	}
	progress := benchProgress{a.stderr, a.say}
	r, err := bench.Run(a.ctx, bench.Config{
		Dir: dir, Scratch: filepath.Join(scratch, "beside"), Suite: suite, Profile: c.Profile, WarmUp: c.WarmUp, Duration: c.Duration,
		InFlight: c.InFlight, OpenLoop: c.OpenLoop, Beside: bench.Everything(), Progress: progress.tell,
		Logger: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(r)
	} else {
		err = benchOutput{a.stdout, a.say}.print(r)
	}
	if err == nil && !r.Clean() {
		return exit(exitFailed)
	}
	return err
}

// benchProgress says on the standard error how far it is.
type benchProgress struct {
	w   io.Writer
	say words
}

func (p benchProgress) tell(at bench.Progress) {
	name := map[bench.Phase]string{
		bench.Opening:   p.say.of("making keys and starting two chains", "正在生成密钥并启动两条链"),
		bench.WarmingUp: p.say.of("warming up", "预热"),
		bench.Measuring: p.say.of("measuring", "测量"),
		bench.Draining:  p.say.of("letting flows come to their end", "等待流程结束"),
		bench.Beneath:   p.say.of("the cryptography alone", "仅密码运算"),
		bench.Without:   p.say.of("without supervision", "不经监管"),
		bench.Alone:     p.say.of("consensus alone", "仅共识"),
	}[at.Phase]
	switch at.Phase {
	case bench.WarmingUp, bench.Measuring:
		fmt.Fprintf(p.w, p.say.of("%s: %s of %s, %d steps done, %d flows in flight\n", "%s：%s／%s，已完成 %d 步，进行中流程 %d 个\n"),
			name, at.For, at.Of, at.Steps, at.InFlight)
	default:
		fmt.Fprintln(p.w, name)
	}
}

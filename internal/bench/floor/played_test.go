package floor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/system"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// Names of the environment by which TestCounts has TestPlayed do its part in a
// binary of its own, with counters.
const (
	playedDir   = "SIGNALBOX_FLOOR_DIR" // where it leaves what it has seen
	playedSuite = "SIGNALBOX_FLOOR_SUITE"
	playedStage = "SIGNALBOX_FLOOR_STAGE" // which of the stages follows on the beginning; empty: none
)

// sizes are what was seen on the chains beside the counters, in bytes.
type sizes struct {
	Value int // of a record's sealed value, on the average
}

// stages are how the flows are played: so many, and so many of them at once.
var stages = []struct{ flows, atOnce int }{{6, 1}, {24, 24}}

// TestPlayed plays flows in a real system: one, and then those of a stage. It is
// TestCounts's other half and does nothing by itself.
func TestPlayed(t *testing.T) {
	dir := os.Getenv(playedDir)
	if dir == "" {
		t.Skip("part of TestCounts")
	}
	s, err := system.Open(t.Context(), system.Config{Dir: t.TempDir(), Suite: os.Getenv(playedSuite), BaseURL: "http://127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("running the system: %v", err)
		}
	})
	defer all.Wait()
	defer cancel()
	<-s.Ready()
	p := player{t: t, s: s, slots: make(chan struct{}, 64)}
	go s.Platform.Events(ctx, 0, p.hear)
	p.play(1, 1) // everyone is enrolled then
	if stage := os.Getenv(playedStage); stage != "" {
		i, err := strconv.Atoi(stage)
		if err != nil {
			t.Fatal(err)
		}
		p.play(stages[i].flows, stages[i].atOnce)
	}
	p.sizes(filepath.Join(dir, "sizes.json"))
}

// player plays records one after the other and knows when they are delivered.
type player struct {
	t     *testing.T
	s     *system.System
	next  int
	slots chan struct{}
	wait  sync.WaitGroup
}

func (p *player) hear(e event.Event) error {
	if e.Kind == event.Refused || e.Kind == event.Held || e.Kind == event.Lapsed {
		p.t.Errorf("%s of flow %s is stuck: %s", e.Step, e.Flow, e.Kind)
	}
	if e.Step == flow.Deliver && e.Kind == event.Done {
		<-p.slots
		p.wait.Done()
	}
	return nil
}

// play takes so many flows to their end, and waits until all is anchored.
func (p *player) play(flows, atOnce int) {
	p.t.Helper()
	p.slots = make(chan struct{}, atOnce)
	for range flows {
		p.slots <- struct{}{}
		p.wait.Add(1)
		p.next++
		if _, err := p.s.Platform.Authorise.Register(p.t.Context(), authorise.Input{Data: numbered(p.t, p.next)}); err != nil {
			p.t.Fatal(err)
		}
	}
	p.wait.Wait()
	for {
		c, err := p.s.Platform.Counts(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		if c.Unanchored == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(time.Second) // the anchors' own block
}

// sizes notes how large the records on the business chain are.
func (p *player) sizes(file string) {
	p.t.Helper()
	var sum, n int
	flows, err := p.s.Platform.Flows(p.t.Context(), platform.Filter{Limit: 500})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range flows {
		records, err := p.s.Ledger.List(p.t.Context(), f.Flow)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, r := range records {
			sum, n = sum+len(r.Value), n+1
		}
	}
	data, err := json.Marshal(sizes{Value: sum / max(n, 1)})
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// visitor is the sample that is multiplied: its subject's passport number can be any.
const visitor = "visitor-influenza-self-paid"

func numbered(t *testing.T, i int) []byte {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(s samples.Sample) bool { return s.Name == visitor })
	out := bytes.Replace(all[at].Data, []byte(`"number": "`), fmt.Appendf(nil, `"number": "B%08d-`, i), 1)
	return bytes.Replace(out, []byte("UTO-X00000001"), fmt.Appendf(nil, "UTO-X%08d", i), 1)
}

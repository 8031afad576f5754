package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/operator"
	"signalbox.dev/signalbox/internal/socket"
)

// nodeWithOperator runs a node and its operator's socket.
func nodeWithOperator(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	n, err := fusion.NewNode(fusion.NodeConfig{Name: "node", Dir: dir, Routes: []fusion.Route{{Platform: "p1", Business: "rx"}, {Platform: "p2", Business: "rx"}}})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- n.Run(ctx) }()
	go func() { ended <- socket.Serve(ctx, operator.Socket(dir), operator.NewHandler(n, nil)) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	<-n.Ready()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(operator.Socket(dir)); err == nil && info.Mode().Perm() == 0o600 {
			return dir
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody serves the operator's socket")
		}
	}
}

func TestFusionCommands(t *testing.T) {
	dir := nodeWithOperator(t)
	orders := func(args ...string) fusion.Orders {
		t.Helper()
		code, stdout, stderr := call(t, append(append([]string{"fusion"}, args...), "--json", "--dir", dir)...)
		if code != exitOK {
			t.Fatalf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
		var h fusion.Health
		must(t, json.Unmarshal([]byte(stdout), &h))
		if !h.Running || len(h.Waiting) != 8 {
			t.Errorf("%v is answered with %+v", args, h)
		}
		return h.Orders
	}
	order, p1 := fusion.Scope{Step: flow.Order}, fusion.Scope{Platform: "p1"}
	for _, c := range []struct {
		args []string
		want fusion.Orders
	}{
		{[]string{"pause", "p1"}, fusion.Orders{Paused: []fusion.Scope{p1}}},
		{[]string{"pause", "--all", "--step", "order"}, fusion.Orders{Paused: []fusion.Scope{p1, order}}},
		{[]string{"drain", "p2"}, fusion.Orders{Paused: []fusion.Scope{p1, order}, Draining: []string{"p2"}}},
		{[]string{"status"}, fusion.Orders{Paused: []fusion.Scope{p1, order}, Draining: []string{"p2"}}},
		{[]string{"resume", "p1"}, fusion.Orders{Paused: []fusion.Scope{order}, Draining: []string{"p2"}}},
	} {
		if diff := cmp.Diff(c.want, orders(c.args...)); diff != "" {
			t.Errorf("%v (-want +got)\n%s", c.args, diff)
		}
	}
	code, stdout, _ := call(t, "fusion", "status", "--dir", dir, "--lang", "zh")
	if code != exitOK || !strings.Contains(stdout, "已暂停：所有平台，环节 order") || !strings.Contains(stdout, "排空中：平台 p2") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	code, stdout, _ = call(t, "fusion", "quarantine", "list", "--dir", dir, "--lang", "en")
	if code != exitOK || stdout != "the quarantine is empty\n" {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

func TestFusionCommandsThatFail(t *testing.T) {
	dir := nodeWithOperator(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no scope":         {[]string{"pause"}, "--all"},
		"two scopes":       {[]string{"drain", "p1", "--all"}, "--all"},
		"unknown step":     {[]string{"pause", "p1", "--step", "steal"}, "review.request"},
		"unknown platform": {[]string{"drain", "p9"}, "no such platform"},
		"never paused":     {[]string{"resume", "p1"}, "nothing was ordered"},
		"not there":        {[]string{"quarantine", "release", "p1/7"}, "no such message"},
		"nowhere":          {[]string{"quarantine", "discard", "p1/7", "--dir", t.TempDir()}, "no fusion node runs"},
	} {
		args := append([]string{"--lang", "en", "fusion"}, c.args...)
		if !strings.Contains(strings.Join(c.args, " "), "--dir") {
			args = append(args, "--dir", dir)
		}
		code, stdout, stderr := call(t, args...)
		if code != exitFailed || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("%s: exit %d\n%s%s", name, code, stdout, stderr)
		}
	}
}

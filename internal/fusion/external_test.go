package fusion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
)

// cluster is three nats-server processes on loopback.
type cluster struct {
	t       *testing.T
	bin     string
	clients []string // host:port
	leaves  []string
	servers []*exec.Cmd
}

// newCluster builds nats-server from the module that go.mod names, and starts
// three of them.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts three servers")
	}
	c := &cluster{t: t, bin: filepath.Join(t.TempDir(), "nats-server")}
	if out, err := exec.Command("go", "build", "-o", c.bin, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("building nats-server: %v\n%s", err, out)
	}
	var routes []string
	ports := freePorts(t, 9)
	for i := range 3 {
		c.clients = append(c.clients, ports[i])
		c.leaves = append(c.leaves, ports[3+i])
		routes = append(routes, "nats://"+ports[6+i])
	}
	for i := range 3 {
		text := fmt.Sprintf(`
server_name: s%d
listen: %q
max_payload: 4MB
jetstream { domain: hub, store_dir: %q, max_file_store: 100GB }
cluster { name: c, listen: %q, routes: [%s] }
leafnodes { listen: %q }
accounts {
  node { jetstream: enabled, users: [{user: node, password: secret}] }
  other { jetstream: enabled, users: [{user: other, password: secret}] }
}
`, i, c.clients[i], t.TempDir(), strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "), c.leaves[i])
		file := filepath.Join(t.TempDir(), "server.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.servers = append(c.servers, exec.Command(c.bin, "-c", file))
	}
	for _, s := range c.servers {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = s.Process.Kill()
			_ = s.Wait()
		})
	}
	return c
}

// freePorts are addresses that nobody listened at a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// external is the cluster by one of its accounts: each node has its own.
func (c *cluster) external(account string) *External {
	e := &External{Domain: "hub", Replicas: 3}
	for _, at := range c.leaves {
		e.URLs = append(e.URLs, "nats://"+account+":secret@"+at)
	}
	return e
}

// connect opens the cluster from its own side, as its operator may.
func (c *cluster) connect(account string) (*nats.Conn, jetstream.JetStream) {
	c.t.Helper()
	conn, err := nats.Connect("nats://"+account+":secret@"+c.clients[0], nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn, js
}

// persist calls do until it succeeds, as an outbox does.
func persist(t *testing.T, do func(context.Context) error) {
	t.Helper()
	end := time.Now().Add(2 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not succeed: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestExternalCluster(t *testing.T) {
	c := newCluster(t)
	t.Run("reaches no party", c.reachesNoParty)
	t.Run("loses a server and nothing else", c.losesAServer)
}

// R1.3: with a cluster of three behind the node, submissions and decisions flow,
// and the end of one server by kill -9 in the middle loses none of them.
func (c *cluster) losesAServer(t *testing.T) {
	n := start(t, NodeConfig{External: c.external("node"), Redeliver: 2 * time.Second, MaxBytes: minBytes, Routes: []Route{{north, rx}}})
	d := directory(t, n)
	_, js := c.connect("node")
	kept, err := js.Stream(t.Context(), streamOf(submissions, north))
	if err != nil {
		t.Fatal(err)
	}
	if got := kept.CachedInfo().Config.Replicas; got != 3 {
		t.Fatalf("submissions are kept by %d servers", got)
	}
	if _, err := os.Stat(filepath.Join(n.cfg.Dir, "jetstream")); err == nil {
		t.Error("the node keeps streams on its own disk too")
	}

	const count, killAfter = 300, 100
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 16, func(ctx context.Context, batch []Delivery) []error {
			errs := make([]error, len(batch))
			for i, one := range batch {
				h, err := one.Submission.Open()
				if err == nil {
					err = d.Authority().Publish(ctx, flow.Decision{ID: h.ID, Platform: one.Platform, Business: one.Business, Verdict: flow.Granted})
				}
				errs[i] = err
			}
			return errs
		})
	})
	var mu sync.Mutex
	decided := map[flow.ID]bool{}
	all := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return d.Platform(north).Decisions(ctx, func(_ context.Context, one flow.Decision) error {
			mu.Lock()
			defer mu.Unlock()
			if decided[one.ID] = true; len(decided) == count {
				close(all)
			}
			return nil
		})
	})
	for i := range uint64(count) {
		if i == killAfter {
			leader := kept.CachedInfo().Cluster.Leader // of the busiest stream
			if err := c.servers[leader[1]-'0'].Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		persist(t, func(ctx context.Context) error {
			return d.Platform(north).Submit(ctx, submissionOf(t, north, rx, i, 200))
		})
	}
	select {
	case <-all:
	case <-time.After(time.Minute):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d of %d submissions have a decision", len(decided), count)
	}
}

// R7.1, R7.2: who is on the cluster can't push past the node's gate into what
// the node's parties use, and hears nothing of what they say to the node.
func (c *cluster) reachesNoParty(t *testing.T) {
	n := start(t, NodeConfig{Name: "other", External: c.external("other"), MaxBytes: minBytes, Routes: []Route{{north, rx}}})
	d := directory(t, n)
	conn, _ := c.connect("other")
	heard := make(chan *nats.Msg, 10)
	for _, s := range []string{prefixSubmission + ".>", prefixPull + ".>", prefixPut + ".>", prefixAck + ".>", subjectAdmit} {
		if _, err := conn.ChanSubscribe(s, heard); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.FlushTimeout(waitLong); err != nil {
		t.Fatal(err)
	}
	fill(t, d, north, 0, 1)
	data, err := flow.Marshal(submissionOf(t, north, rx, 1, 10))
	if err != nil {
		t.Fatal(err)
	}
	s := address{submissions, Route{north, rx}, flow.Register}.subject()
	if err := conn.PublishMsg(&nats.Msg{Subject: s, Data: data}); err != nil {
		t.Fatal(err)
	}
	own := next(t, heard) // the cluster's own copy of what it says itself
	if own.Subject != s {
		t.Errorf("heard %s", own.Subject)
	}
	fill(t, d, north, 2, 1)
	if got := health(t, n.Node).Backlog[0].Submissions; got != 2 {
		t.Errorf("%d submissions wait, want the node's own 2", got)
	}
	if len(heard) > 0 {
		t.Errorf("the cluster heard %s", (<-heard).Subject)
	}
}

// A node whose cluster is away does not start as if it had one.
func TestExternalConfigurationIsChecked(t *testing.T) {
	for name, e := range map[string]External{
		"no server":       {Domain: "hub"},
		"no domain":       {URLs: []string{"nats://host:1"}},
		"domain of two":   {Domain: "a.b", URLs: []string{"nats://host:1"}},
		"no port":         {Domain: "hub", URLs: []string{"nats://host"}},
		"other scheme":    {Domain: "hub", URLs: []string{"http://host:1"}},
		"half a pair":     {Domain: "hub", URLs: []string{"tls://host:1"}, Certificate: "c.pem"},
		"too many copies": {Domain: "hub", URLs: []string{"nats://host:1"}, Replicas: 7},
	} {
		cfg := NodeConfig{Name: "node", Dir: "d", Routes: []Route{{north, rx}}, External: &e}
		if _, err := NewNode(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	secret := External{Domain: "hub", URLs: []string{"nats://user:secret@:bad"}}
	if err := secret.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
	n, err := NewNode(NodeConfig{Name: "node", Dir: t.TempDir(), Routes: []Route{{north, rx}}, External: &External{Domain: "hub", URLs: []string{"tls://127.0.0.1:1"}, CA: "/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its certificates the node ends with %v", err)
	}
}

package fusion

import (
	"errors"
	"log/slog"
	"testing"
)

// A node whose disk is full ends, so that whoever supervises it starts it again:
// the embedded server would refuse everything for ever, whatever space there is
// by then. The words are the server's; test/faults fills a real disk.
func TestFullDiskEndsTheNode(t *testing.T) {
	n, err := NewNode(NodeConfig{Name: "node-1", Dir: t.TempDir(), Routes: []Route{{Platform: "p", Business: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(t.Context()) }()
	select {
	case <-n.ready:
	case err := <-ended:
		t.Fatal(err)
	}
	l := serverLog{log: slog.New(slog.DiscardHandler), broken: n.broken}
	l.Errorf("JetStream failed to store a msg on stream %s: %s", "submissions-p", "maximum bytes exceeded")
	select {
	case err := <-ended:
		t.Fatalf("a full stream ended the node: %v", err)
	default:
	}
	for range 2 { // each stream says it
		l.Errorf("Filestore [%s] Critical write error: %v", "submissions-p", errors.New("no space left on device"))
	}
	if err := <-ended; !errors.Is(err, ErrDisk) {
		t.Errorf("ended with %v, want ErrDisk", err)
	}
}

package party

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/ops"
)

func TestOpsServer(t *testing.T) {
	if s, err := (Ops{}).Server("v1", nil, nil); s != nil || err != nil {
		t.Errorf("without an address: %v, %v", s, err)
	}
	if _, err := (Ops{Listen: "0.0.0.0:0", Profile: true}).Server("v1", nil, nil); err == nil {
		t.Error("profiles for everybody")
	}
	s, err := (Ops{Listen: "127.0.0.1:0"}).Server("v1", nil, nil, ops.Links(map[string]func() bool{"node": func() bool { return true }}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-s.Bound()
	w, err := http.Get("http://" + s.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`signalbox_link_up{peer="node"} 1`, `signalbox_build_info{version="v1"} 1`} {
		if !strings.Contains(string(body), line) {
			t.Errorf("no line %q", line)
		}
	}
}

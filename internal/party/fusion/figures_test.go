package fusion

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/ops/opstest"
)

func TestFigures(t *testing.T) {
	n, err := fusion.NewNode(fusion.NodeConfig{Name: "node", Dir: t.TempDir(), Routes: []fusion.Route{{Platform: "p1", Business: "prescription"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-n.Ready()
	if err := n.Pause(ctx, fusion.Scope{Platform: "p1", Step: flow.Order}); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"signalbox_part_unread{fusion node}":                    0,
		"signalbox_fusion_backlog{p1,prescription,submissions}": 0,
		"signalbox_fusion_backlog{p1,prescription,decisions}":   0,
		"signalbox_fusion_backlog{p1,prescription,anchors}":     0,
		"signalbox_fusion_oldest_seconds{p1,submissions}":       0,
		"signalbox_fusion_oldest_seconds{p1,decisions}":         0,
		"signalbox_fusion_oldest_seconds{p1,anchors}":           0,
		"signalbox_fusion_quarantined{p1}":                      0,
		"signalbox_fusion_set_aside_total":                      0,
		"signalbox_fusion_paused{p1,order}":                     1,
	}
	if diff := cmp.Diff(want, opstest.Gather(t, Figures(n))); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

const reconciliation = "/api/v1/reconciliation"

// The comparison of database and business chain is there for operators, with
// texts in both languages (protocol, write 7).
func TestReconciliation(t *testing.T) {
	f := newFake(t)
	s, _ := serve(t, f)
	w := do(s, request("GET", reconciliation, ""))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"findings":[]`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	zh, en := reconcile.MissingRecord.Texts()
	f.compared = platform.Reconciliation{
		Open: 1, Kinds: map[string]int64{"missing_record": 1}, Followed: 7, NextBefore: 3, SweptAt: day,
		Findings: []reconcile.Finding{{ID: 3, Kind: reconcile.MissingRecord, Zh: zh, En: en, Key: "k", First: day, Last: day}},
	}
	w = do(s, request("GET", reconciliation+"?state=resolved&before=9&limit=2", ""))
	var got platform.Reconciliation
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f.compared, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff(reconcile.Filter{Resolved: true, Before: 9, Limit: 2}, f.asked); d != "" {
		t.Errorf("asked for (-want +got)\n%s", d)
	}
	wantProblem(t, do(s, request("GET", reconciliation+"?state=all", "")), http.StatusUnprocessableEntity, "invalid-parameter")
	f.err = errors.New("the disk is full")
	wantProblem(t, do(s, request("GET", reconciliation, "")), http.StatusInternalServerError, "internal")
}

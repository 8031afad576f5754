package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// record gives the i-th of endlessly many records, of as many subjects.
func (c *cluster) record(i int) []byte {
	c.Helper()
	series, err := samples.Series("F")
	must(c.T, err)
	return series(i)
}

// register has n new records taken in, each again and again with the same
// idempotency key until the platform says that it has it, at most at once many
// at a time. It gives their refs.
func (c *cluster) register(ctx context.Context, n, atOnce int) []string {
	c.Helper()
	c.mu.Lock()
	from := c.next
	c.next += n
	c.mu.Unlock()
	refs := make([]string, n)
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			refs[i] = c.registerOne(ctx, from+i)
		})
	}
	wg.Wait()
	return refs
}

func (c *cluster) registerOne(ctx context.Context, i int) string {
	key, data := fmt.Sprintf("faults-%d", i), c.record(i)
	busy := time.Second // as Retry-After asks, and longer each time
	for ctx.Err() == nil {
		ref, err := c.post(ctx, key, data)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.want[key] = ref
			return ref
		}
		wait := 50 * time.Millisecond
		if errors.Is(err, errBusy) {
			wait, busy = busy, min(2*busy, 30*time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return ""
}

// errBusy is a platform whose backlog is full.
var errBusy = errors.New("the platform says to come back later")

func (c *cluster) post(ctx context.Context, key string, data []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/api/v1/records", bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	r, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if r.StatusCode == http.StatusServiceUnavailable {
		return "", errBusy
	}
	if r.StatusCode != http.StatusAccepted && r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", r.Status, body)
	}
	var reg struct {
		Ref string `json:"ref"`
	}
	return reg.Ref, json.Unmarshal(body, &reg)
}

// flows gives a page of flows, newest first, and where the next begins.
func (c *cluster) flows(ctx context.Context, before int64, limit int) ([]platform.FlowView, int64, error) {
	url := fmt.Sprintf("%s/api/v1/flows?limit=%d", c.url, limit)
	if before > 0 {
		url += fmt.Sprintf("&before=%d", before)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	r, err := c.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("listing flows: %s", r.Status)
	}
	var page struct {
		Flows []platform.FlowView `json:"flows"`
		Next  int64               `json:"next"`
	}
	err = json.NewDecoder(r.Body).Decode(&page)
	return page.Flows, page.Next, err
}

// standing is how the newest flows stand.
type standing struct {
	flows   int
	moving  int    // steps without their end
	ended   int    // flows that are delivered, everything anchored
	refused int    // flows with a refused step
	first   string // what the first flow that has not ended waits for
}

// look counts the newest n flows; the error is the platform's that is away.
func (c *cluster) look(ctx context.Context, n int) (s standing, err error) {
	for before := int64(0); s.flows < n; {
		page, next, err := c.flows(ctx, before, min(n-s.flows, 500))
		if err != nil {
			return s, err
		}
		for _, f := range page {
			s.count(f)
		}
		if before = next; next == 0 {
			break
		}
	}
	return s, nil
}

func (s *standing) count(f platform.FlowView) {
	s.flows++
	anchored := true
	for _, step := range f.Steps {
		if !step.State.Final() {
			s.moving++
		}
		if step.BusinessTx != "" && !step.Anchored {
			anchored = false
		}
		if step.State == "refused" {
			s.refused++
		}
	}
	if f.State == flow.Delivered && anchored {
		s.ended++
	} else if s.first == "" || f.State == dossier.Refused {
		last := f.Steps[len(f.Steps)-1]
		s.first = fmt.Sprintf("%s is %s, its step %s %s (anchored: %t) %v %s", f.Number, f.State, last.Step, last.State, anchored, last.Reasons, last.Problem)
	}
}

// await waits until the newest n flows have ended, and says when.
func (c *cluster) await(n int, within time.Duration) time.Time {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), within)
	defer cancel()
	var s standing
	for every := 50 * time.Millisecond; ctx.Err() == nil; time.Sleep(every) {
		// All of them only when the newest have ended: listing thousands takes the
		// platform longer than what is waited for.
		now, err := c.look(ctx, min(n, 500))
		if err == nil && n > 500 && now.ended == now.flows {
			now, err = c.look(ctx, n)
		}
		if err != nil {
			continue
		}
		if s = now; s.ended == n {
			return time.Now()
		}
		if n > 500 {
			every = time.Second
		}
	}
	c.Errorf("%d of %d flows ended within %s; %s\n%s", s.ended, n, within, s.first, c.tails())
	return time.Now()
}

// inFlight is how many steps are on their way among the newest n flows, as far as
// the platform can say.
func (c *cluster) inFlight(n int) int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, _ := c.look(ctx, n)
	return s.moving
}

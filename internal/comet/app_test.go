package comet

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// register is the smallest application of use: it keeps every transaction, once.
type register struct {
	kv      KV
	waiters Waiters[string, uint32]

	mu       sync.Mutex
	batch    Batch
	at       Position
	next     Position
	told     map[string]uint32
	times    []time.Time
	breaks   string // a transaction that Finalize fails on
	finished int    // Commit calls
}

func newRegister(t testing.TB, kv KV) *register {
	t.Helper()
	a := &register{kv: kv}
	raw, err := kv.Get([]byte("position"))
	if err != nil {
		t.Fatal(err)
	}
	if raw != nil {
		a.at = Position{Height: int64(binary.BigEndian.Uint64(raw)), AppHash: raw[8:]}
	}
	return a
}

func (a *register) Last() (Position, error) { return a.at, nil }

func (a *register) Init(g Genesis) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(g.ChainID), g.AppState...))
	a.at.AppHash = sum[:]
	return sum[:], nil
}

func (a *register) Check(tx []byte) *Refusal {
	if string(tx) == "bad twin" {
		time.Sleep(20 * time.Millisecond) // so that others come while it is being checked
	}
	if strings.HasPrefix(string(tx), "bad") {
		return &Refusal{Code: 7, Log: "bad by name"}
	}
	return nil
}

func (a *register) Finalize(b Block) (Outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.batch, a.told = a.kv.NewBatch(), map[string]uint32{}
	sum := sha256.New()
	sum.Write(a.at.AppHash)
	out := Outcome{AppHash: a.at.AppHash}
	for _, tx := range b.Txs {
		if a.breaks != "" && string(tx) == a.breaks {
			return Outcome{}, errors.New("no space left on device")
		}
		code := uint32(0)
		if strings.HasPrefix(string(tx), "late") {
			code = 9
		} else {
			sum.Write(tx)
			if err := a.batch.Set(append([]byte("tx/"), tx...), binary.BigEndian.AppendUint64(nil, uint64(b.Height))); err != nil {
				return Outcome{}, err
			}
		}
		a.told[string(tx)] = code
		out.Results = append(out.Results, Result{Code: code})
	}
	out.Validators = seats(b.Txs)
	if len(b.Txs) > 0 {
		for _, v := range b.Voted {
			fmt.Fprintf(sum, "%x %d %t\n", v.Address, v.Power, v.Signed)
		}
		out.AppHash = sum.Sum(nil)
		a.times = append(a.times, b.Time)
	}
	a.next = Position{Height: b.Height, AppHash: out.AppHash}
	return out, nil
}

// seats reads the changes of validators from transactions "seat KEY POWER".
func seats(txs [][]byte) []Validator {
	var all []Validator
	for _, tx := range txs {
		var v Validator
		if n, _ := fmt.Sscanf(string(tx), "seat %x %d", &v.Key, &v.Power); n == 2 {
			all = append(all, v)
		}
	}
	return all
}

func (a *register) Commit() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.batch.Close()
	if err := a.batch.Set([]byte("position"), append(binary.BigEndian.AppendUint64(nil, uint64(a.next.Height)), a.next.AppHash...)); err != nil {
		return err
	}
	if err := a.batch.WriteSync(); err != nil {
		return err
	}
	a.at = a.next
	a.finished++
	for tx, code := range a.told {
		a.waiters.Deliver(tx, code)
	}
	return nil
}

func (a *register) position() Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// put submits tx and waits for its block.
func (a *register) put(ctx context.Context, n *Node, tx string) (uint32, error) {
	w := a.waiters.Register(tx)
	defer w.Cancel()
	return Await(ctx, n, []byte(tx), w)
}

// has says in which block tx took effect, 0 for none.
func (a *register) has(t testing.TB, tx string) int64 {
	t.Helper()
	raw, err := a.kv.Get([]byte("tx/" + tx))
	if err != nil {
		t.Fatal(err)
	}
	if raw == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}

// open starts a node of chain "test" on dir; close it with the returned function.
func open(t testing.TB, dir string, change ...func(*Config)) (*Node, *register, func()) {
	t.Helper()
	kv, err := OpenKV(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	app := newRegister(t, kv)
	c := Config{Dir: filepath.Join(dir, "node"), ChainID: "test", App: app, Genesis: json.RawMessage(`{ "hello": "<world>" }`)}
	for _, f := range change {
		f(&c)
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	shut := func() {
		once.Do(func() {
			if err := errors.Join(n.Close(), kv.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(shut)
	return n, app, shut
}

// fill puts count transactions at once and waits for all.
func fill(t testing.TB, n *Node, app *register, prefix string, count int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			code, err := app.put(t.Context(), n, fmt.Sprintf("%s-%03d", prefix, i))
			if err != nil || code != 0 {
				t.Errorf("put: code %d, %v", code, err)
			}
		})
	}
	wg.Wait()
}

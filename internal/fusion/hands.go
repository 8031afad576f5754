package fusion

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/durable"
)

const (
	// endsTogether is how often the process may end while it had a message among
	// others, before it is given the message alone and nothing beside.
	endsTogether = 3
	// endsAlone is how often it may then end with the message alone, before the
	// message is set aside.
	endsAlone = 5
	// settling is how long a process that has begun to take messages takes all
	// others first. One that is killed every few seconds for reasons of its own
	// never comes to try a message alone, and holds nothing against any.
	settling = 5 * time.Second
	// aloneAtOnce is the most messages of one batch that are tried alone, one
	// after the other; the others come again after aloneLater.
	aloneAtOnce = 8
	aloneLater  = time.Second
	// maxMarks and marksLast bound what is remembered of messages that the process
	// ended with: how many, and for how long after they were last seen.
	maxMarks  = 4096
	marksLast = 7 * 24 * time.Hour
)

// Files of the folder of hands: marks, and a note for each batch in hand.
const (
	marksFile     = "marks.json"
	noteTogether  = ".together"
	noteAlone     = ".alone"
	headerRelease = "Signalbox-Released" // which release from the quarantine brought a message back
)

// hands remember in a folder what is in hand, so that a process that ends again
// and again finds out with which message. What was in hand is noted before it is
// looked at, and taken off the notes when there is an outcome; a note that a new
// process finds is of one that ended. The notes need not survive the loss of
// power, which ends all processes and says nothing about any message.
//
// The node can't say it: its consumers are in memory, are made anew when a link
// ends, and count what was given out, of which most was only waiting its turn.
type hands struct {
	dir    string
	settle time.Duration
	log    *slog.Logger
	run    string // names this process's notes
	notes  atomic.Uint64

	alone sync.RWMutex // held for writing while one message is in hand alone, for reading while others are

	mu    sync.Mutex // guards what follows
	began time.Time  // when the first message came
	marks marks
}

// mark is what is held against a message.
type mark struct {
	Together int    `json:"together"`           // times that the process ended with it and others in hand
	Alone    int    `json:"alone"`              // times that it ended with it alone
	Seen     int64  `json:"seen"`               // Unix seconds
	Released string `json:"released,omitempty"` // the last release that gave it another try
}

// marks are the content of the marks' file.
type marks struct {
	Counted  []string           `json:"counted"` // notes that are in the marks already
	Messages map[flow.Hash]mark `json:"messages"`
}

// openHands counts what the folder's last process had in hand when it ended.
// Marks that can't be read are begun anew: nothing but time is lost with them.
func openHands(dir string, log *slog.Logger) (*hands, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of what is in hand: %w", err)
	}
	h := &hands{dir: dir, settle: settling, log: log, run: rand.Text(), marks: marks{Messages: map[flow.Hash]mark{}}}
	data, err := os.ReadFile(filepath.Join(dir, marksFile))
	if err == nil {
		err = json.Unmarshal(data, &h.marks)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Error("what the process ended with before can't be read, and is counted anew", "file", filepath.Join(dir, marksFile), "error", err)
		h.marks = marks{}
	}
	if h.marks.Messages == nil {
		h.marks.Messages = map[flow.Hash]mark{}
	}
	if err := h.count(time.Now()); err != nil {
		return nil, fmt.Errorf("counting what was in hand: %w", err)
	}
	return h, nil
}

// count turns notes into marks: marks first, then the notes go, so that dying in
// between counts none twice.
func (h *hands) count(now time.Time) error {
	files, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	var found []string
	ended := map[flow.Hash]bool{} // with it alone
	for _, f := range files {
		kind := filepath.Ext(f.Name())
		if kind != noteTogether && kind != noteAlone {
			continue
		}
		found = append(found, f.Name())
		if slices.Contains(h.marks.Counted, f.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(h.dir, f.Name()))
		if err != nil {
			return err
		}
		for len(data) >= len(flow.Hash{}) {
			id := flow.Hash(data[:len(flow.Hash{})])
			ended[id] = ended[id] || kind == noteAlone
			data = data[len(id):]
		}
	}
	for id, alone := range ended {
		h.blame(id, alone, now)
	}
	h.marks.Counted = found
	h.prune(now)
	if err := h.save(); err != nil {
		return err
	}
	for _, name := range found {
		if err := os.Remove(filepath.Join(h.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (h *hands) blame(id flow.Hash, alone bool, now time.Time) {
	m := h.marks.Messages[id]
	m.Seen = now.Unix()
	if alone {
		m.Alone++
		h.log.Error("the process ended while it had one message in hand and nothing else", "message", id, "times", m.Alone, "set_aside_at", endsAlone)
	} else {
		m.Together++
	}
	h.marks.Messages[id] = m
}

// prune forgets what was not seen for long, and of too many the least suspect.
func (h *hands) prune(now time.Time) {
	var all []flow.Hash
	for id, m := range h.marks.Messages {
		if now.Sub(time.Unix(m.Seen, 0)) > marksLast {
			delete(h.marks.Messages, id)
			continue
		}
		all = append(all, id)
	}
	if len(all) <= maxMarks {
		return
	}
	slices.SortFunc(all, func(x, y flow.Hash) int {
		a, b := h.marks.Messages[x], h.marks.Messages[y]
		return cmp.Or(cmp.Compare(b.Alone, a.Alone), cmp.Compare(b.Together, a.Together), cmp.Compare(b.Seen, a.Seen))
	})
	for _, id := range all[maxMarks:] {
		delete(h.marks.Messages, id)
	}
}

// save writes the marks. h.mu is held, or nobody else has h yet.
func (h *hands) save() error {
	data, err := json.Marshal(h.marks)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(h.dir, marksFile), data)
}

func (h *hands) saveOrLog() {
	if err := h.save(); err != nil {
		h.log.Error("what the process ended with can't be written", "folder", h.dir, "error", err)
	}
}

// identify names a message by what it says, so that a copy that is pushed again
// is the same message.
func identify(t taken) flow.Hash { return flow.SumHash([]byte(t.Subject), []byte{0}, t.Data) }

// take notes what is about to be in hand, one message alone or several, and waits
// until that may be. done must be called when there is an outcome for each.
func (h *hands) take(batch []taken, alone bool) (done func()) {
	kind, leave := noteTogether, h.alone.RUnlock
	if alone {
		kind, leave = noteAlone, h.alone.Unlock
		h.alone.Lock()
	} else {
		h.alone.RLock()
	}
	var ids []byte
	for _, t := range batch {
		id := identify(t)
		ids = append(ids, id[:]...)
	}
	name := filepath.Join(h.dir, h.run+"-"+strconv.FormatUint(h.notes.Add(1), 10)+kind)
	err := os.WriteFile(name, ids, 0o600)
	if err != nil { // a full disk must not stop what needs none
		h.log.Warn("what is in hand can't be noted", "error", err)
	}
	return func() {
		if err == nil {
			if err := os.Remove(name); err != nil {
				h.log.Warn("what was in hand stays noted", "error", err)
			}
		}
		leave()
	}
}

// verdict is what is to become of a message that was taken.
type verdict int

const (
	together verdict = iota // as any other
	apart                   // alone
	later                   // alone, when the process has settled
	aside                   // into the quarantine: the process ended with it alone too often
)

// judge says what is to become of a message, and how often the process ended
// with it.
func (h *hands) judge(t taken, now time.Time) (verdict, mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began.IsZero() {
		h.began = now
	}
	if len(h.marks.Messages) == 0 {
		return together, mark{}
	}
	id := identify(t)
	m, known := h.marks.Messages[id]
	if !known {
		return together, m
	}
	if release := t.Header.Get(headerRelease); release != "" && release != m.Released {
		m.Released, m.Alone = release, min(m.Alone, endsAlone-1)
		h.marks.Messages[id] = m
		h.saveOrLog()
	}
	switch {
	case m.Alone >= endsAlone:
		m.Seen = now.Unix()
		h.marks.Messages[id] = m
		h.saveOrLog()
		return aside, m
	case m.Alone == 0 && m.Together < endsTogether:
		return together, m
	case now.Sub(h.began) < h.settle:
		return later, m
	default:
		return apart, m
	}
}

// cleared forgets what is held against messages: there is an outcome.
func (h *hands) cleared(batch []taken) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.marks.Messages) == 0 {
		return
	}
	before := len(h.marks.Messages)
	for _, t := range batch {
		delete(h.marks.Messages, identify(t))
	}
	if len(h.marks.Messages) != before {
		h.saveOrLog()
	}
}

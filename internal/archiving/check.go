package archiving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/receipt"
)

// Checked is what a check of a whole archive came to.
type Checked struct {
	Chain        string          `json:"chain"`
	Segments     int64           `json:"segments"`
	Decisions    int64           `json:"decisions"`
	Transactions int             `json:"transactions"`
	Erased       int             `json:"erased"` // of the transactions
	Checkpoints  int             `json:"checkpoints"`
	Bytes        int64           `json:"bytes"`
	Size         int64           `json:"size"` // of the log at the last checkpoint
	Root         string          `json:"root"` // base64
	Faults       []segment.Fault `json:"faults"`

	root tlog.Hash
}

// Check verifies every segment of an archive and goes on after what is wrong. say
// is told each segment that was checked, and how many there are. An error says that
// the check could not be made.
func Check(ctx context.Context, s archive.Store, keys receipt.Keys, say func(number, count int64)) (Checked, error) {
	out := Checked{Chain: keys.Origin(), Faults: []segment.Fault{}}
	numbers, err := numbers(ctx, s)
	if err != nil {
		return out, err
	}
	v := segment.NewVerifier(keys, fetcher(ctx, s))
	for i, n := range numbers {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if int64(i) != n && (i == 0 || numbers[i-1] != n-1) {
			out.fault(n-1, segment.ManifestName(n-1), archive.ErrNotFound)
		}
		found, err := v.Segment(n)
		switch {
		case ctx.Err() != nil:
			return out, ctx.Err()
		case err != nil:
			out.fault(n, segment.ManifestName(n), err)
		default:
			out.add(found)
		}
		say(n, numbers[len(numbers)-1]+1)
	}
	return out, out.newest(ctx, s, keys)
}

func (c *Checked) fault(n int64, file string, err error) {
	c.Faults = append(c.Faults, segment.Fault{Segment: n, File: file, What: err.Error()})
}

func (c *Checked) add(v segment.Verified) {
	m := v.Manifest
	c.Segments++
	c.Decisions += m.To - m.From
	c.Transactions += v.Transactions
	c.Erased += v.Erased
	c.Checkpoints += v.Checkpoints
	c.Size, c.root, c.Root = m.Size, m.Root, m.Root.String()
	for _, f := range m.Files {
		c.Bytes += f.Size
	}
	c.Faults = append(c.Faults, v.Faults...)
}

// newest checks the checkpoint that other readers of the log begin with. A process
// that ended between manifest and checkpoint leaves the one before.
func (c *Checked) newest(ctx context.Context, s archive.Store, keys receipt.Keys) error {
	if c.Segments == 0 {
		return nil
	}
	raw, err := s.Get(ctx, segment.Checkpoint)
	if err == nil {
		var cp receipt.Checkpoint
		cp, err = receipt.VerifyCheckpoint(raw, keys, keys.Origin())
		if err == nil && (cp.Size > c.Size || cp.Size == c.Size && cp.Root != c.root) {
			err = errors.New("it is not one that the segments cover")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.fault(c.Segments-1, segment.Checkpoint, err)
	}
	return nil
}

// numbers lists the segments that are there in any part, so that one whose manifest
// is lost does not go unseen, unless it is the last and was never finished.
func numbers(ctx context.Context, s archive.Store) ([]int64, error) {
	seen, whole := map[int64]bool{}, int64(-1)
	err := s.List(ctx, segment.Folder, func(name string) error {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, segment.Folder), "/")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 {
			return nil // nothing of ours
		}
		seen[n] = true
		if name == segment.ManifestName(n) {
			whole = max(whole, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []int64
	for n := range seen {
		if n <= whole {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Copy makes a verified copy of an archive, segment by segment, in the order in
// which they were written: the log with its leaves, and everything beside it. A
// fault ends it, with what was copied before in place.
func Copy(ctx context.Context, from, to archive.Store, keys receipt.Keys, done func(Written) error) (Checked, error) {
	out := Checked{Chain: keys.Origin(), Faults: []segment.Fault{}}
	count, err := Count(ctx, from)
	if err != nil {
		return out, err
	}
	if there, err := Count(ctx, to); err != nil || there > count {
		return out, errors.Join(err, errors.New("copying the archive: the place to restore to holds another one"))
	}
	v := segment.NewVerifier(keys, fetcher(ctx, from))
	for n := range count {
		found, err := v.Segment(n)
		if err != nil {
			return out, fmt.Errorf("segment %d: %w", n, err)
		}
		if out.add(found); len(found.Faults) > 0 {
			return out, nil
		}
		if err := copySegment(ctx, from, to, found.Manifest); err != nil {
			return out, fmt.Errorf("copying segment %d: %w", n, err)
		}
		if err := done(WrittenOf(found.Manifest)); err != nil {
			return out, err
		}
	}
	return out, nil
}

func copySegment(ctx context.Context, from, to archive.Store, m segment.Manifest) error {
	names := make([]string, 0, len(m.Files)+2)
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	for _, name := range append(names, segment.Name(m.Number, segment.Erased), segment.ManifestName(m.Number)) {
		data, err := from.Get(ctx, name)
		if errors.Is(err, archive.ErrNotFound) && name == segment.Name(m.Number, segment.Erased) {
			continue
		}
		if err != nil {
			return err
		}
		if err := to.Put(ctx, name, data); err != nil {
			return err
		}
	}
	return to.Put(ctx, segment.Checkpoint, []byte(m.Checkpoint))
}

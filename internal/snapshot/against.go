package snapshot

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
)

// Found is what a check of a store of snapshots came to.
type Found struct {
	Snapshots int      `json:"snapshots"` // that are whole
	Compared  int      `json:"compared"`  // of them, with the header of the chain's block
	Problems  []string `json:"problems"`  // for people; empty when all is well
}

// Against checks every snapshot of a store: each in itself, its log against the
// chain's, and what it says of its block against the next block's header, where the
// chain has that still. An error says that the check could not be made.
func Against(ctx context.Context, s archive.Store, c *chain.Source) (Found, error) {
	out := Found{Problems: []string{}}
	whole, _, err := Heights(ctx, s)
	if err != nil {
		return out, err
	}
	for _, height := range whole {
		problem, compared, err := against(ctx, s, c, height)
		if err != nil {
			return out, err
		}
		out.Snapshots++
		if compared {
			out.Compared++
		}
		if problem != "" {
			out.Problems = append(out.Problems, fmt.Sprintf("snapshot of block %d: %s", height, problem))
		}
	}
	return out, nil
}

func against(ctx context.Context, s archive.Store, c *chain.Source, height int64) (problem string, compared bool, err error) {
	m, a, root, err := check(ctx, s, height)
	var damage *Damage
	switch {
	case errors.As(err, &damage), errors.Is(err, chain.ErrForged):
		return err.Error(), false, nil
	case err != nil:
		return "", false, err
	case m.Chain != c.ID():
		return "it is of chain " + m.Chain, false, nil
	}
	size, err := c.Size()
	if err != nil {
		return "", false, err
	}
	if m.Decisions > size {
		return fmt.Sprintf("it has %d decisions, the chain %d", m.Decisions, size), false, nil
	}
	// The hashes for a size that the chain has come past may be forgotten.
	if is, err := tlog.TreeHash(m.Decisions, c); err == nil && is != root {
		return "its log is not the chain's", false, nil
	}
	hash, err := c.Header(height + 1)
	switch {
	case errors.Is(err, comet.ErrNoBlock):
		return "", false, nil // pruned
	case err != nil:
		return "", false, err
	case !bytes.Equal(hash, a.After()):
		return fmt.Sprintf("it names block %d by the hash %s, the chain has %s", height+1, hex.EncodeToString(a.After()), hex.EncodeToString(hash)), true, nil
	}
	return "", true, nil
}

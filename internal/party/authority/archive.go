package authority

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/receipt"
)

// archiver is the part that archives; nil for none.
type archiver struct {
	conf  Archive
	store archive.Store
	keys  receipt.Keys
}

// newArchiver opens the archive, where the configuration names one.
func newArchiver(c Archive, published string) (*archiver, error) {
	if c.Place == "" {
		return nil, nil
	}
	keys, err := receipt.ParseKeys(published)
	if err != nil {
		return nil, err
	}
	store, err := blob.Open(context.Background(), c.Place)
	if err != nil {
		return nil, fmt.Errorf("archive.place: %w", err)
	}
	return &archiver{c, store, keys}, nil
}

// archived is what the chain reads pruned blocks from.
func (a *archiver) archived() chain.Archived {
	if a == nil {
		return nil
	}
	return archiving.NewReader(a.store, a.keys).Archived()
}

func (a *archiver) close() error {
	if a == nil {
		return nil
	}
	return a.store.Close()
}

// layers is the part above the chain that archives at intervals.
func (a *archiver) layers(p *Party) []party.Layer {
	if a == nil {
		return nil
	}
	s := &archiving.Schedule{
		Writer: archiving.Writer{Source: p.Chain.Source(), Store: a.store, Keys: a.keys, Leaves: int64(a.conf.Decisions)},
		Chain:  p.Chain, Every: a.conf.Every, Announce: p.Authority.Archived, Logger: p.parts.Logger.With("part", "archive"),
	}
	return []party.Layer{{Name: "archive", Run: func(ctx context.Context) error {
		return errors.Join(s.Run(ctx), a.close())
	}}}
}

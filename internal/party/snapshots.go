package party

import (
	"context"
	"fmt"
	"log/slog"

	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/snapshot"
)

// Snapshots is the section `snapshots` of a node of the supervision chain.
type Snapshots struct {
	Every int    `yaml:"every" min:"0" max:"1000000000" doc:"Blocks from one snapshot of the chain's state to the next. The same on all nodes, so that their fingerprints can be compared. 0 takes none." zh:"每隔多少个区块生成一份链状态快照。各节点应取相同值，以便比对指纹。0 表示不生成。"`
	Keep  int    `yaml:"keep" min:"1" max:"100" doc:"How many of the newest snapshots stay." zh:"保留的最新快照份数。"`
	Place string `yaml:"place" doc:"A folder, file:///PATH, or s3://BUCKET?region=REGION in a program built with the tag s3; of this node alone. Empty: the folder snapshots in the node's own." zh:"目录、file:///PATH，或（以 s3 标签构建的程序）s3://BUCKET?region=REGION，由本节点独用。留空则为节点目录下的 snapshots。"`
}

// DefaultSnapshots takes none.
func DefaultSnapshots() Snapshots { return Snapshots{Keep: 3} }

// SnapshotsDir is where a party's snapshots are where nothing else is said.
func SnapshotsDir(dir Dir) string { return dir.Path("snapshots") }

// Check says which key is unfit. keepBlocks is how many blocks the node keeps, 0 for
// all, and key is where that is said: of the blocks after the newest snapshot none may
// be missing, or nobody can go on from it.
func (s Snapshots) Check(keepBlocks int, key string) error {
	if s.Every > 0 && keepBlocks > 0 && keepBlocks < 2*s.Every {
		return config.Bad(key, "%d: keep twice as many blocks as are between two snapshots (snapshots.every: %d), or more", keepBlocks, s.Every)
	}
	return nil
}

// Open gives what takes the snapshots, and what closes their place.
func (s Snapshots) Open(dir Dir, log *slog.Logger) (chain.Snapshots, func() error, error) {
	if s.Every == 0 {
		return chain.Snapshots{}, func() error { return nil }, nil
	}
	place := s.Place
	if place == "" {
		place = SnapshotsDir(dir)
	}
	store, err := blob.Open(context.Background(), place)
	if err != nil {
		return chain.Snapshots{}, nil, fmt.Errorf("snapshots.place: %w", err)
	}
	taker := &snapshot.Taker{Store: store, Keep: s.Keep, Logger: log.With("part", "snapshots")}
	return chain.Snapshots{Every: int64(s.Every), Take: taker.Take}, store.Close, nil
}

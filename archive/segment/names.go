package segment

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	// Width is how many hashes or leaves a whole tile or bundle has.
	Width = 1 << tileHeight
)

// Checkpoint is the name of the newest checkpoint.
const Checkpoint = "checkpoint"

// The parts of a segment beside the log's tiles.
const (
	Transactions = "transactions"
	Decisions    = "decisions"
	Orders       = "orders"
	Checkpoints  = "checkpoints"
	Index        = "index"
	Erased       = "erased"
	manifest     = "manifest"
)

// Folder is what the names of all segments' parts begin with.
const Folder = "segment/"

// Name is that of a segment's part.
func Name(number int64, part string) string { return fmt.Sprintf("%s%09d/%s", Folder, number, part) }

// ManifestName is that of a segment's manifest.
func ManifestName(number int64) string { return Name(number, manifest) }

// tileName is a tile's as c2sp.org/tlog-tiles has it: golang.org/x/mod's without
// the height, and "entries" for leaves.
func tileName(t tlog.Tile) string {
	name := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	return "tile/" + strings.Replace(name, "data/", "entries/", 1)
}

// wide gives the tile at a place as wide as it is in a log of the given size.
func wide(level int, n, size int64) tlog.Tile {
	width := min(Width, size>>(tileHeight*max(level, 0))-n<<tileHeight)
	return tlog.Tile{H: tileHeight, L: level, N: n, W: int(width)}
}

// tiles are those that a log of size has beyond one of from, which ends with a
// whole tile: hashes of every level, and leaves.
func tiles(from, size int64) []tlog.Tile {
	all := tlog.NewTiles(tileHeight, from, size)
	for _, t := range all {
		if t.L == 0 {
			t.L = -1
			all = append(all, t)
		}
	}
	return all
}

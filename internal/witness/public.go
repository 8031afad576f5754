package witness

import (
	"net/http"

	"golang.org/x/mod/sumdb/tlog"
)

// Public is what a log shows to everybody.
type Public interface {
	// Checkpoint is the newest signed checkpoint, with what cosignatures it has;
	// nil while the log is empty.
	Checkpoint() (signed []byte, size int64, err error)
	// Tile gives the hashes of a tile that the log is large enough for.
	Tile(tlog.Tile) ([]byte, error)
}

// PublicHandler serves a log's public files by c2sp.org/tlog-tiles: /checkpoint
// and tiles of hashes. Entries are not among them: they are the business of those
// whom they concern. From the hashes anyone computes consistency and inclusion
// proofs, so the log computes none and its answers can be cached.
func PublicHandler(log Public) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", func(w http.ResponseWriter, _ *http.Request) {
		signed, _, err := log.Checkpoint()
		switch {
		case err != nil:
			http.Error(w, "the checkpoint can't be read", http.StatusInternalServerError)
			return
		case signed == nil:
			http.Error(w, "the log is empty", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", textType)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(signed) // it went away
	})
	mux.HandleFunc("GET /tile/", func(w http.ResponseWriter, r *http.Request) {
		t, ok := ParseTilePath(r.URL.Path)
		if !ok {
			http.Error(w, "no tile of hashes", http.StatusNotFound)
			return
		}
		_, size, err := log.Checkpoint()
		if err != nil || !holds(size, t) {
			http.Error(w, "the log is not that large", http.StatusNotFound)
			return
		}
		data, err := log.Tile(t)
		if err != nil {
			http.Error(w, "the tile can't be read", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(data) // it went away
	})
	return mux
}

// holds says whether a log of the size has all of the tile.
func holds(size int64, t tlog.Tile) bool {
	shift := uint(t.L * TileHeight)
	if shift > 56 || t.N > 1<<40 {
		return false
	}
	return t.N<<TileHeight+int64(t.W) <= size>>shift
}

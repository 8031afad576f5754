package witness

import (
	"fmt"
	"path/filepath"
)

// Remembered is what a witness's folder holds of one log.
type Remembered struct {
	Head     []byte   // the checkpoint that it has cosigned last, as the log signed it; nil: none
	Evidence []string // files of evidence against the log
}

// Recall reads a witness's folder for a check, and changes nothing. The witness may run.
func Recall(dir, origin string) (Remembered, error) {
	s := store{dir: dir}
	head, err := s.read(fileOf(origin, "head"))
	if err != nil {
		return Remembered{}, err
	}
	evidence, err := filepath.Glob(filepath.Join(dir, "evidence", OriginHash(origin)[:16]+"-*.evidence"))
	if err != nil {
		return Remembered{}, fmt.Errorf("reading the witness's memory: %w", err)
	}
	return Remembered{Head: head, Evidence: evidence}, nil
}

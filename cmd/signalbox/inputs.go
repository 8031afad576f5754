package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signalbox.dev/signalbox/profile/prescription/samples"
)

// input is one record to play.
type input struct {
	name string
	data []byte
	err  error // it could not be read from disk
}

// inputs reads files, and the .json files of directories in order of name; the
// built-in set where none are named.
func inputs(paths []string) ([]input, error) {
	if len(paths) == 0 {
		set, err := samples.All()
		if err != nil {
			return nil, fmt.Errorf("reading the built-in set: %w", err)
		}
		var out []input
		for _, s := range set {
			out = append(out, input{name: s.Name, data: s.Data})
		}
		return out, nil
	}
	var out []input
	for _, p := range paths {
		files, err := filesOf(p)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			in := input{name: f}
			in.data, in.err = os.ReadFile(f)
			out = append(out, in)
		}
	}
	return out, nil
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading input: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading input: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && strings.EqualFold(filepath.Ext(e.Name()), ".json") {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("reading input: %s holds no .json file", path)
	}
	slices.Sort(out)
	return out, nil
}

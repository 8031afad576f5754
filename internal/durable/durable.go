// Package durable puts files in place so that the loss of power leaves the old
// content or the new, never a part.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile writes a file beside the old one, with mode 0600, syncs it, puts it in its
// place, and syncs the folder: when it returns nil the new content survives the loss
// of power, and whoever reads meanwhile has one or the other. On error the old
// content stands. It is not for two at once on one path.
func WriteFile(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

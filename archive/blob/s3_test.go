//go:build s3

package blob_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/archivetest"
	"signalbox.dev/signalbox/archive/blob"
)

// R10.1: an S3-compatible server keeps the port's word. SIGNALBOX_TEST_S3 names a
// bucket of a running one, as a place; make test-s3 starts one.
func TestS3(t *testing.T) {
	bucket := os.Getenv("SIGNALBOX_TEST_S3")
	if bucket == "" {
		t.Skip("SIGNALBOX_TEST_S3 names no bucket: make test-s3")
	}
	n, place := 0, ""
	archivetest.Run(t, archivetest.Kind{
		Open: func(t *testing.T) archive.Store {
			n++
			place = fmt.Sprintf("%s&prefix=%s-%d/", bucket, strings.ToLower(t.TempDir()[1:]), n)
			return opened(t, place)
		},
		Reopen: func(t *testing.T, readOnly bool) archive.Store {
			if !readOnly {
				return opened(t, place)
			}
			s, err := blob.OpenReadOnly(t.Context(), place)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	})
}

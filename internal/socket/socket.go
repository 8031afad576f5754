// Package socket serves HTTP on a unix socket that its owner alone can open, and
// asks there: how tools on the same machine reach a running party. What is said
// there is for the packages that use it (internal/oversight, internal/operator).
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// ErrNotRunning says that nobody serves the socket.
var ErrNotRunning = errors.New("nobody answers at the socket")

// Serve answers on a unix socket that its owner alone can open (0600), until ctx
// ends; then it answers what it has in hand and takes the socket away. A socket
// that a killed process has left is replaced: who serves holds the folder's
// lock, so nobody else does.
func Serve(ctx context.Context, path string, h http.Handler) error {
	l, err := listen(ctx, path)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", filepath.Base(path), err)
	}
	defer os.Remove(path)
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", filepath.Base(path), err)
	case <-ctx.Done():
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := server.Shutdown(last); err != nil {
		server.Close() // a long answer may go on for long
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", filepath.Base(path), err)
	}
	return nil
}

// Client asks at the socket, whatever host a request names. It dials nothing
// yet; an error of a socket that nobody serves is ErrNotRunning.
func Client(path string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		name, release, err := short(path)
		if err != nil {
			return nil, err
		}
		defer release()
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", name)
		if err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		return c, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1}}
}

func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	name, release, err := short(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the short name may mean nothing by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// maxSocketPath is what a socket's address holds on the systems that hold least.
const maxSocketPath = 100

// short gives a name that fits into a socket's address: where the path is too
// long, one by way of the open directory.
func short(path string) (string, func(), error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("%s: over %d bytes, which a socket's address can't hold: use a data directory with a shorter path", path, maxSocketPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(path)), func() { dir.Close() }, nil
}

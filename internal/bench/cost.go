package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cost is what the process has used so far.
type cost struct {
	at    time.Time
	cpu   time.Duration // in the kernel too
	count uint64        // objects allocated
	bytes uint64        // allocated
	rss   int64         // the most memory that it ever had, in bytes
}

func costs() (cost, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return cost{}, fmt.Errorf("reading processor time: %w", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	most := u.Maxrss
	if runtime.GOOS == "linux" { // in KiB; elsewhere in bytes
		most <<= 10
	}
	return cost{
		at: time.Now(), cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()), count: m.Mallocs, bytes: m.TotalAlloc, rss: most,
	}, nil
}

// onDisk adds up what the files below dir take on the disk.
func onDisk(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return skipGone(err)
		}
		info, err := e.Info()
		if err != nil {
			return skipGone(err)
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += s.Blocks * 512 // whatever the file system's own are
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("adding up %s: %w", dir, err)
	}
	return sum, nil
}

// skipGone lets files go while they are counted.
func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Machine is what was measured on.
type Machine struct {
	CPU     string  `json:"cpu"` // its model
	Cores   int     `json:"cores"`
	OS      string  `json:"os"`
	Kernel  string  `json:"kernel"`
	Go      string  `json:"go"`
	FsyncUS float64 `json:"fsync_us"` // of 4 KiB in the data directory, in the middle of 100
	Load    float64 `json:"load"`     // the system's, over a minute, when it began: how busy others kept it
}

// machine describes this one; dir is on the disk that counts.
func machine(dir string) (Machine, error) {
	m := Machine{CPU: model(), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, fmt.Errorf("reading the kernel's version: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:])
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &m.Load) // 0 says that it isn't known
	}
	took, err := fsync(dir, 100)
	m.FsyncUS = round(float64(took)/1000, 1)
	return m, err
}

func model() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fsync gives the median time of writing and syncing 4 KiB.
func fsync(dir string, times int) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, fmt.Errorf("measuring the disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, times)
	for i := range took {
		begun := time.Now()
		if _, err = f.Write(page); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return 0, fmt.Errorf("measuring the disk: %w", err)
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return took[times/2], nil
}

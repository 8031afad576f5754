package party

import (
	"fmt"
	"io"
	"log/slog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/config"
)

// Log is the section `log` of every role.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"Least level that is logged." zh:"记录日志的最低级别。"`
	Format string `yaml:"format" enum:"text,json" doc:"Form of the lines on standard error." zh:"标准错误输出中日志行的格式。"`
}

// DefaultLog is what runs without being told otherwise.
func DefaultLog() Log { return Log{Level: "info", Format: "text"} }

// New makes the logger, on w.
func (l Log) New(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// Ops is the section `ops` of every role: what operators' tools look at.
type Ops struct {
	Listen  string `yaml:"listen" form:"host:port" doc:"Address of /healthz, /readyz and /metrics. It has no access control: keep it on loopback, or on a network of the operators' own. Empty: none." zh:"提供 /healthz、/readyz 和 /metrics 的地址。该地址不做访问控制：请绑定回环地址或运维专用网络。留空则不提供。"`
	Profile bool   `yaml:"profile" doc:"Offer profiles of the process under /debug/pprof/ too, on a loopback address alone: they hold parts of its memory." zh:"同时提供进程的性能分析 /debug/pprof/，仅限回环地址：其中含有部分内存内容。"`
}

// Route is one kind of business of one platform (R1.3).
type Route struct {
	Platform string `yaml:"platform" required:"true" form:"name" doc:"The platform's identity." zh:"流转平台的标识。"`
	Business string `yaml:"business" required:"true" form:"name" doc:"The kind of business, such as prescription." zh:"业务类型，例如 prescription。"`
}

// CheckRoutes says which route stands twice, under key.
func CheckRoutes(key string, routes []Route) error {
	seen := map[Route]bool{}
	for i, r := range routes {
		if seen[r] {
			return config.Bad(fmt.Sprintf("%s[%d]", key, i), "%s of platform %s stands twice", r.Business, r.Platform)
		}
		seen[r] = true
	}
	return nil
}

// CheckPin says what is wrong with the SHA-256 of a public key, under key.
func CheckPin(key, pin string) error {
	var h flow.Hash
	if err := h.UnmarshalText([]byte(pin)); err != nil || h.IsZero() {
		return config.Bad(key, "%.80q is no pin: want the 64 lower-case hex digits that `signalbox init` printed", pin)
	}
	return nil
}

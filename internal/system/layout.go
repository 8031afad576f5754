package system

import (
	"time"

	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

// Settings are what a data directory was founded with. They don't change.
type Settings struct {
	Suite    string    `json:"suite"`    // "gm" or "intl"
	Chain    string    `json:"chain"`    // supervision chain id
	Network  string    `json:"network"`  // business chain's network id
	Platform string    `json:"platform"` // the platform's identity
	Begun    time.Time `json:"begun"`    // genesis time of both chains
}

const (
	chainID    = "rx-supervision"
	networkID  = "rx-network-1"
	platformID = "rx-platform-1"
	// zone is the authority's time zone, in which its day begins (R2.3).
	zoneName   = "Asia/Shanghai"
	zoneOffset = 8 * 60 * 60
)

// layout is a data directory.
type layout struct{ party.Dir }

func (l layout) authority() party.Dir { return party.Dir(l.Path("authority")) }
func (l layout) platform() party.Dir  { return party.Dir(l.Path("platform")) }
func (l layout) network() string      { return l.Path("business", "keys", "sealing.pem") }
func (l layout) chain() string        { return authority.ChainDir(l.authority()) }
func (l layout) published() string    { return l.Path("authority.pub") }
func (l layout) ledger() string       { return l.Path("business", "chain") }
func (l layout) database() string     { return l.Path("platform", "platform.db") }
func (l layout) fusion() string       { return l.Path("fusion") }
func (l layout) receipts() string     { return l.Path("receipts") }
func (l layout) settings() string     { return l.Path("signalbox.json") }
func (l layout) passphrase() string   { return l.Path("passphrase") }

func dataDir(dir string) layout { return layout{party.Dir(dir)} }

// SupervisionChain is the directory of the supervision chain's node, for tools
// that read a stopped one.
func SupervisionChain(dir string) string { return dataDir(dir).chain() }

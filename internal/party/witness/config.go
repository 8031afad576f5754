package witness

import (
	"fmt"
	"strings"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/receipt"
)

// Config is witness.yaml.
type Config struct {
	Directory      string        `yaml:"directory" form:"path" doc:"The witness's folder, with its key and its memory. A memory that was lost or restored must not be used with the same key." zh:"见证人的目录，存放密钥和已签记录。记录一旦丢失或被还原，不得再用同一密钥。"`
	PassphraseFile string        `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key file; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Listen         string        `yaml:"listen" required:"true" form:"host:port" example:"0.0.0.0:7500" doc:"Where logs and monitors reach the witness, by HTTP (c2sp.org/tlog-witness). What passes is signed and public; for TLS, put a proxy before it." zh:"日志方和监视方访问见证人的 HTTP 地址（c2sp.org/tlog-witness）。内容均已签名且公开；如需 TLS，请在前面放置代理。"`
	Logs           []Log         `yaml:"logs" doc:"The logs that it cosigns. At least one." zh:"所见证的日志，至少一个。"`
	Drain          time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take." zh:"停止时的最长等待。"`
	Ops            party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// Log is one log by its keys.
type Log struct {
	Keys []string `yaml:"keys" doc:"The log's public keys, a vkey line each, as authority.pub has them; of each kind among them one must have signed." zh:"该日志的公钥，每项一行 vkey，与 authority.pub 一致；其中每种密钥都必须签名。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", Drain: 10 * time.Second,
		Ops: party.Ops{Listen: "127.0.0.1:9105"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return config.Bad("directory", "is empty")
	}
	_, err := c.logs()
	return err
}

// logs reads the logs' keys.
func (c *Config) logs() ([]receipt.Keys, error) {
	if len(c.Logs) == 0 {
		return nil, config.Bad("logs", "none: name at least one log that the witness cosigns")
	}
	var out []receipt.Keys
	for i, l := range c.Logs {
		key := fmt.Sprintf("logs[%d]", i)
		keys, err := receipt.ParseKeys(strings.Join(l.Keys, "\n"))
		if err != nil {
			return nil, config.Bad(key+".keys", "%v", err)
		}
		for j, have := range out {
			if have.Origin() == keys.Origin() {
				return nil, config.Bad(key, "log %s is logs[%d] already", keys.Origin(), j)
			}
		}
		out = append(out, keys)
	}
	return out, nil
}

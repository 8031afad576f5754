package ledger

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
)

// Config is ledger.yaml.
type Config struct {
	Directory      string        `yaml:"directory" form:"path" doc:"The business chain's folder, with its key, its genesis and its node." zh:"业务链的目录，存放密钥、创世信息和节点数据。"`
	PassphraseFile string        `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key file; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Listen         string        `yaml:"listen" required:"true" form:"host:port" example:"0.0.0.0:7400" doc:"Where platforms reach the business chain, by TLS 1.3; each side knows the other's key." zh:"平台访问业务链的地址，使用 TLS 1.3，双方互认公钥。"`
	Platforms      []Platform    `yaml:"platforms" doc:"The platforms that may use the chain, each by its key. At least one." zh:"可使用业务链的平台及其公钥，至少一个。"`
	Drain          time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take: calls in hand are answered first." zh:"停止时的最长等待：先答复正在处理的调用。"`
	Ops            party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// Platform is who may use the chain.
type Platform struct {
	ID  string `yaml:"id" required:"true" form:"name" doc:"The platform's identity." zh:"流转平台的标识。"`
	Pin string `yaml:"pin" required:"true" doc:"SHA-256 of its public key for this chain, 64 hex digits, as its operator reads it out." zh:"其访问业务链所用公钥的 SHA-256（64 位十六进制），由其运营方告知。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", Drain: 15 * time.Second,
		Ops: party.Ops{Listen: "127.0.0.1:9104"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return config.Bad("directory", "is empty")
	}
	if len(c.Platforms) == 0 {
		return config.Bad("platforms", "none: name at least one platform that may use the chain")
	}
	for i, p := range c.Platforms {
		key := fmt.Sprintf("platforms[%d]", i)
		if err := party.CheckPin(key+".pin", p.Pin); err != nil {
			return err
		}
		for j, q := range c.Platforms[:i] {
			if q.ID == p.ID || q.Pin == p.Pin {
				return config.Bad(key, "has the id or the pin of platforms[%d]", j)
			}
		}
	}
	return nil
}

package platform

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
)

// Config is platform.yaml.
type Config struct {
	Directory      string        `yaml:"directory" form:"path" doc:"The platform's folder, with keys, certificates and database." zh:"流转平台的目录，存放密钥、证书和数据库。"`
	PassphraseFile string        `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key files; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Admission      string        `yaml:"admission" form:"path" doc:"The admission file that the authority gave to the platform." zh:"监管机关发给该平台的准入文件。"`
	Network        string        `yaml:"network" required:"true" form:"name" example:"rx-network-1" doc:"The business network that the platform works in, as the authority knows it." zh:"平台所属的业务网络，与监管机关登记的一致。"`
	Nodes          []Node        `yaml:"nodes" doc:"The fusion nodes that serve the platform. At least one." zh:"服务该平台的融合节点，至少一个。"`
	Ledger         Ledger        `yaml:"ledger" doc:"The business chain." zh:"业务链。"`
	API            API           `yaml:"api" doc:"The platform's HTTP API." zh:"平台的 HTTP 接口。"`
	Producers      []Producer    `yaml:"producers" doc:"The producers that subjects may order from." zh:"患者可下单的生产端。"`
	Backlog        int           `yaml:"backlog" min:"1" max:"1000000" doc:"Steps that may wait for a decision or for the business chain; beyond that the API answers 503 and Retry-After. Registrations have nine tenths of it, steps of flows that have begun all." zh:"可等待决定或上链的环节数，超出后接口返回 503 和 Retry-After。新登记最多占用其中九成，已开始流程的后续环节可用满。"`
	Trial          bool          `yaml:"trial" doc:"Have the built-in reviewers, producers and subjects take part, with keys that signalbox init platform --trial made, take prices from a made-up list and payments without money. Not for real use." zh:"由内置的审核人员、生产端和患者参与（密钥由 signalbox init platform --trial 生成），使用虚拟价目和模拟支付，不得用于正式运行。"`
	Drain          time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take: requests in hand are answered first." zh:"停止时的最长等待：先答复正在处理的请求。"`
	Ops            party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// Node is a fusion node as the platform reaches it.
type Node struct {
	Name       string   `yaml:"name" required:"true" form:"name" doc:"The node's identity, as it was admitted." zh:"融合节点的标识，与准入时一致。"`
	Address    string   `yaml:"address" required:"true" form:"host:port" doc:"Where it listens." zh:"融合节点的监听地址。"`
	Businesses []string `yaml:"businesses" form:"name" doc:"The kinds of business that it serves." zh:"该节点服务的业务类型。"`
}

// Ledger is where the business chain is.
type Ledger struct {
	Address string `yaml:"address" required:"true" form:"host:port" example:"127.0.0.1:7400" doc:"Where the business chain's node listens." zh:"业务链节点的监听地址。"`
	Pin     string `yaml:"pin" required:"true" doc:"SHA-256 of the ledger's public key, 64 hex digits, as its operator reads it out. No other is spoken to." zh:"业务链节点公钥的 SHA-256（64 位十六进制），由其运营方告知；不与其他节点通信。"`
}

// API is the platform's HTTP API.
type API struct {
	Listen  string   `yaml:"listen" form:"host:port" doc:"Its address. It speaks HTTP without TLS: beyond loopback put a gateway before it that does." zh:"接口地址。接口为不加密的 HTTP：对外提供时须在前面放置负责 TLS 的网关。"`
	Access  string   `yaml:"access" form:"path" doc:"Who may call: a file that signalbox token writes. Empty: whoever reaches it; then it must listen on loopback." zh:"允许调用者清单：由 signalbox token 写入的文件。留空则凡能访问者均可调用，此时必须绑定回环地址。"`
	Hosts   []string `yaml:"hosts" doc:"Names beside loopback ones that requests may use." zh:"除回环地址外，请求可使用的主机名。"`
	BaseURL string   `yaml:"base_url" doc:"What payment links begin with. Empty: http:// and the address." zh:"支付链接的前缀。留空则为 http:// 加接口地址。"`
}

// Producer is a producer with the key that orders are sealed to (R4.1).
type Producer struct {
	ID   string `yaml:"id" required:"true" form:"name" doc:"Its identity, as it was admitted." zh:"生产端的标识，与准入时一致。"`
	Name string `yaml:"name" required:"true" doc:"What subjects read." zh:"患者看到的名称。"`
	Key  string `yaml:"key" required:"true" form:"path" doc:"PEM file of its public sealing key, or its request file." zh:"其公开加密密钥的 PEM 文件，或其申请文件。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", Admission: "admission.json",
		API: API{Listen: "127.0.0.1:8080"}, Backlog: 10_000, Drain: 15 * time.Second,
		Ops: party.Ops{Listen: "127.0.0.1:9103"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	switch {
	case c.Directory == "":
		return config.Bad("directory", "is empty")
	case c.Admission == "":
		return config.Bad("admission", "is empty: name the file that `signalbox authority admit` made for this platform")
	case len(c.Nodes) == 0:
		return config.Bad("nodes", "none: the platform reaches the authority through fusion nodes alone")
	case c.API.Listen == "":
		return config.Bad("api.listen", "is empty")
	}
	if err := party.CheckPin("ledger.pin", c.Ledger.Pin); err != nil {
		return err
	}
	seen, ids := map[string]bool{}, map[string]bool{}
	for i, n := range c.Nodes {
		key := fmt.Sprintf("nodes[%d]", i)
		if len(n.Businesses) == 0 {
			return config.Bad(key+".businesses", "none: say which kinds of business %s serves", n.Name)
		}
		if ids[n.Name] {
			return config.Bad(key+".name", "%s stands twice", n.Name)
		}
		ids[n.Name] = true
		for _, b := range n.Businesses {
			if seen[b] {
				return config.Bad(key+".businesses", "%s is served by a node before it already", b)
			}
			seen[b] = true
		}
	}
	return nil
}

package authority

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
)

// Config is authority.yaml. What the chain began with (its id, suite, zone,
// networks and kinds of business) is not in it: that stands in genesis.json and
// never changes.
type Config struct {
	Directory      string        `yaml:"directory" form:"path" doc:"The authority's folder, with keys, certificates and its node of the supervision chain." zh:"监管机关的目录，存放密钥、证书及其监管链节点。"`
	PassphraseFile string        `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key files; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Nodes          []Node        `yaml:"nodes" doc:"The fusion nodes, and what each serves. At least one." zh:"融合节点及其服务范围，至少一个。"`
	Chain          party.Chain   `yaml:"chain" doc:"The authority's node of the supervision chain, one of several. Nothing of it is set where the chain has one validator." zh:"监管机关自己的监管链节点（多节点时）。监管链只有一个验证节点时不填。"`
	SubjectKey     string        `yaml:"subject_key" enum:"hmac,sha256" doc:"How subjects' keys on the chain are made: hmac, or sha256 as in the source, which can be undone by trial." zh:"链上患者键的生成方式：hmac，或与原方案一致的 sha256（可被穷举还原）。"`
	Licences       string        `yaml:"licences" form:"path" doc:"The licence register that enrolments are checked against: a CSV file of lines licence,name. Empty: no licence is known, and nobody can enrol." zh:"核验登记申请所用的执业证登记册：CSV 文件，每行为“执业证号,姓名”。留空则不认可任何执业证，无人可以登记。"`
	TrialLicences  bool          `yaml:"trial_licences" doc:"Take the licences of the built-in people of trial platforms too. Not for real use." zh:"同时认可试用平台内置人员的执业证，不得用于正式运行。"`
	Drain          time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take: what has been taken is answered first." zh:"停止时的最长等待：先答复已接收的提交。"`
	Ops            party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// Node is a fusion node as the authority reaches it.
type Node struct {
	Name    string        `yaml:"name" required:"true" form:"name" doc:"The node's identity, as it was admitted." zh:"融合节点的标识，与准入时一致。"`
	Address string        `yaml:"address" required:"true" form:"host:port" doc:"Where it listens." zh:"融合节点的监听地址。"`
	Routes  []party.Route `yaml:"routes" doc:"What it serves; no route may be served by two nodes." zh:"服务的平台与业务类型；同一路由不得由两个节点服务。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", SubjectKey: "hmac", Drain: 15 * time.Second,
		Ops: party.Ops{Listen: "127.0.0.1:9101"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return config.Bad("directory", "is empty")
	}
	if err := party.CheckPeers("chain.peers", c.Chain.Peers); err != nil {
		return err
	}
	if len(c.Nodes) == 0 {
		return config.Bad("nodes", "none: platforms reach the authority through fusion nodes alone")
	}
	served := map[party.Route]string{}
	for i, n := range c.Nodes {
		key := fmt.Sprintf("nodes[%d]", i)
		if len(n.Routes) == 0 {
			return config.Bad(key+".routes", "none: say which platform and kind of business %s serves", n.Name)
		}
		for j, m := range c.Nodes[:i] {
			if m.Name == n.Name {
				return config.Bad(key+".name", "%s is nodes[%d] already", n.Name, j)
			}
		}
		for j, r := range n.Routes {
			if by, ok := served[r]; ok {
				return config.Bad(fmt.Sprintf("%s.routes[%d]", key, j), "%s of platform %s is served by %s already", r.Business, r.Platform, by)
			}
			served[r] = n.Name
		}
	}
	return nil
}

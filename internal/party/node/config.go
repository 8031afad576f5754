package node

import (
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
)

// Config is node.yaml.
type Config struct {
	Directory      string          `yaml:"directory" form:"path" doc:"The node's folder, with its keys and its part of the chain." zh:"节点的目录，存放密钥和链数据。"`
	PassphraseFile string          `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key file; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Genesis        string          `yaml:"genesis" form:"path" doc:"A copy of the authority's genesis.json." zh:"监管机关创世文件 genesis.json 的副本。"`
	Fingerprint    string          `yaml:"genesis_fingerprint" doc:"The fingerprint of genesis, as the authority reads it out, 64 hex digits; another genesis is refused. Empty: it is logged and not compared." zh:"监管机关告知的创世指纹（64 位十六进制），不符即拒绝启动。留空则只记入日志、不作比对。"`
	Listen         string          `yaml:"listen" required:"true" form:"host:port" example:"0.0.0.0:7100" doc:"Where other nodes reach this one." zh:"其他节点访问本节点的地址。"`
	Peers          []party.Peer    `yaml:"peers" doc:"Nodes to keep connected to. None: those that genesis names, where it says." zh:"保持连接的节点。不填则为创世文件中列出的节点。"`
	KeepBlocks     int             `yaml:"keep_blocks" min:"0" max:"1000000000" doc:"How many of the newest blocks are never pruned; older ones are, once the authority has archived all they hold. 0 keeps all. A block with an erased payload goes in any case, with all before it." zh:"始终保留的最新区块数；更早的区块在监管机关归档其内容后裁剪。0 表示全部保留。含已删除载荷的区块及其之前的区块一律裁剪。"`
	Snapshots      party.Snapshots `yaml:"snapshots" doc:"Snapshots of the chain's state, from which nodes go on that have not the blocks before." zh:"链状态快照，缺少更早区块的节点可由此继续。"`
	Drain          time.Duration   `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take." zh:"停止时的最长等待。"`
	Ops            party.Ops       `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log       `yaml:"log" doc:"The log." zh:"日志。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", Genesis: party.GenesisFile, Drain: 15 * time.Second,
		Snapshots: party.DefaultSnapshots(), Ops: party.Ops{Listen: "127.0.0.1:9105"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	switch {
	case c.Directory == "":
		return config.Bad("directory", "is empty")
	case c.Genesis == "":
		return config.Bad("genesis", "is empty: name a copy of the authority's genesis.json")
	}
	if err := c.Snapshots.Check(c.KeepBlocks, "keep_blocks"); err != nil {
		return err
	}
	if c.Fingerprint != "" {
		if err := party.CheckPin("genesis_fingerprint", c.Fingerprint); err != nil {
			return err
		}
	}
	return party.CheckPeers("peers", c.Peers)
}

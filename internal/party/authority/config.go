package authority

import (
	"fmt"
	"time"

	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Config is authority.yaml. What the chain began with (its id, suite, zone,
// networks and kinds of business) is not in it: that stands in genesis.json and
// never changes.
type Config struct {
	Directory      string          `yaml:"directory" form:"path" doc:"The authority's folder, with keys, certificates and its node of the supervision chain." zh:"监管机关的目录，存放密钥、证书及其监管链节点。"`
	PassphraseFile string          `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key files; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Nodes          []Node          `yaml:"nodes" doc:"The fusion nodes, and what each serves. At least one." zh:"融合节点及其服务范围，至少一个。"`
	Chain          party.Chain     `yaml:"chain" doc:"The authority's node of the supervision chain, one of several. Nothing of it is set where the chain has one validator." zh:"监管机关自己的监管链节点（多节点时）。监管链只有一个验证节点时不填。"`
	SubjectKey     string          `yaml:"subject_key" enum:"hmac,sha256" doc:"How subjects' keys on the chain are made: hmac, or sha256 as in the source, which can be undone by trial." zh:"链上患者键的生成方式：hmac，或与原方案一致的 sha256（可被穷举还原）。"`
	Licences       string          `yaml:"licences" form:"path" doc:"The licence register that enrolments are checked against: a CSV file of lines licence,name. Empty: no licence is known, and nobody can enrol." zh:"核验登记申请所用的执业证登记册：CSV 文件，每行为“执业证号,姓名”。留空则不认可任何执业证，无人可以登记。"`
	TrialLicences  bool            `yaml:"trial_licences" doc:"Take the licences of the built-in people of trial platforms too. Not for real use." zh:"同时认可试用平台内置人员的执业证，不得用于正式运行。"`
	Archive        Archive         `yaml:"archive" doc:"Where the supervision chain's data are archived at intervals, and what the chain may then prune." zh:"监管链数据定期归档的位置，以及归档后可裁剪的范围。"`
	Witnesses      []Witness       `yaml:"witnesses" doc:"Parties that cosign the log's checkpoints. They never hold up a decision." zh:"联署日志检查点的见证人。见证人不会拖延任何决定。"`
	Public         string          `yaml:"public" form:"host:port" doc:"Where anyone may read the log's checkpoint and tiles of hashes, by HTTP (c2sp.org/tlog-tiles); no decision is among them. Monitors need it. Empty: nowhere." zh:"以 HTTP 公开日志检查点和哈希分块的地址（c2sp.org/tlog-tiles），不含任何决定内容；供监视方使用。留空则不公开。"`
	Drain          time.Duration   `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take: what has been taken is answered first." zh:"停止时的最长等待：先答复已接收的提交。"`
	Snapshots      party.Snapshots `yaml:"snapshots" doc:"Of a chain of several nodes: snapshots of its state, from which nodes go on that have not the blocks before." zh:"多节点链：链状态快照，缺少更早区块的节点可由此继续。"`
	Ops            party.Ops       `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log       `yaml:"log" doc:"The log." zh:"日志。"`
}

// Node is a fusion node as the authority reaches it.
type Node struct {
	Name    string        `yaml:"name" required:"true" form:"name" doc:"The node's identity, as it was admitted." zh:"融合节点的标识，与准入时一致。"`
	Address string        `yaml:"address" required:"true" form:"host:port" doc:"Where it listens." zh:"融合节点的监听地址。"`
	Routes  []party.Route `yaml:"routes" doc:"What it serves; no route may be served by two nodes." zh:"服务的平台与业务类型；同一路由不得由两个节点服务。"`
}

// Archive is the section `archive` (R10.1).
type Archive struct {
	Place      string        `yaml:"place" doc:"A folder, file:///PATH, or s3://BUCKET?region=REGION in a program built with the tag s3. Empty: nothing is archived." zh:"目录、file:///PATH，或（以 s3 标签构建的程序）s3://BUCKET?region=REGION。留空则不归档。"`
	Every      time.Duration `yaml:"every" min:"1s" max:"720h" doc:"How often it is looked whether a segment is whole." zh:"检查是否已满一个分段的间隔。"`
	Decisions  int           `yaml:"decisions" min:"256" max:"1048576" doc:"How many decisions a segment holds: a multiple of 256. It may change; segments that were written stay as they are." zh:"每个分段的决定条数，须为 256 的倍数。可以更改，已写入的分段不变。"`
	KeepBlocks int           `yaml:"keep_blocks" doc:"How many of the newest blocks are never pruned; older ones are, once all they hold is archived and verified. 0 keeps all. A block with an erased payload goes in any case, with all before it." zh:"始终保留的最新区块数；更早的区块在内容归档并验证后裁剪。0 表示全部保留。含已删除载荷的区块及其之前的区块一律裁剪。"`
}

// validate says which key is unfit.
func (a Archive) validate() error {
	switch {
	case a.Decisions%segment.Width != 0:
		return config.Bad("archive.decisions", "%d: want a multiple of %d", a.Decisions, segment.Width)
	case a.KeepBlocks < 0:
		return config.Bad("archive.keep_blocks", "is negative")
	case a.KeepBlocks > 0 && a.Place == "":
		return config.Bad("archive.keep_blocks", "nothing is archived: name archive.place, or keep all blocks (0)")
	}
	return nil
}

// Witness is a party that cosigns checkpoints.
type Witness struct {
	URL string `yaml:"url" required:"true" doc:"Where it is reached: its submission prefix (c2sp.org/tlog-witness)." zh:"见证人的访问地址，即其 submission prefix（c2sp.org/tlog-witness）。"`
	Key string `yaml:"key" required:"true" doc:"Its public key, one vkey line, as witness.pub has it." zh:"见证人的公钥，一行 vkey，与 witness.pub 一致。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", SubjectKey: "hmac", Drain: 15 * time.Second,
		Archive: Archive{Every: time.Hour, Decisions: archiving.DefaultLeaves}, Snapshots: party.DefaultSnapshots(),
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
	if err := c.Archive.validate(); err != nil {
		return err
	}
	if err := c.Snapshots.Check(c.Archive.KeepBlocks, "archive.keep_blocks"); err != nil {
		return err
	}
	if len(c.Nodes) == 0 {
		return config.Bad("nodes", "none: platforms reach the authority through fusion nodes alone")
	}
	if _, err := c.witnesses(); err != nil {
		return err
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

// witnesses makes the clients of those that the configuration names.
func (c *Config) witnesses() ([]*witness.Client, error) {
	h := witness.NewHTTP(witnessTime)
	var out []*witness.Client
	for i, w := range c.Witnesses {
		key := fmt.Sprintf("witnesses[%d]", i)
		cosigner, err := receipt.ParseCosigner(w.Key)
		if err != nil {
			return nil, config.Bad(key+".key", "%v", err)
		}
		for j, have := range out {
			if have.Key().Name() == cosigner.Name() {
				return nil, config.Bad(key, "%s is witnesses[%d] already", cosigner.Name(), j)
			}
		}
		client, err := witness.NewClient(w.URL, cosigner, h)
		if err != nil {
			return nil, config.Bad(key+".url", "%v", err)
		}
		out = append(out, client)
	}
	return out, nil
}

// witnessTime bounds one call to a witness.
const witnessTime = 5 * time.Second

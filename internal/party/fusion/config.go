package fusion

import (
	"time"

	"signalbox.dev/signalbox/internal/config"
	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/party"
)

// Config is fusion.yaml.
type Config struct {
	Directory      string        `yaml:"directory" form:"path" doc:"The node's folder, with keys, certificates and streams." zh:"融合节点的目录，存放密钥、证书和消息流。"`
	PassphraseFile string        `yaml:"passphrase_file" form:"path" doc:"File with the passphrase of the key files; its owner alone may read it. SIGNALBOX_PASSPHRASE_FILE goes before it." zh:"密钥文件口令所在的文件，只允许其所有者读取。环境变量 SIGNALBOX_PASSPHRASE_FILE 优先。"`
	Admission      string        `yaml:"admission" form:"path" doc:"The admission file that the authority gave to the node." zh:"监管机关发给该节点的准入文件。"`
	Listen         string        `yaml:"listen" required:"true" form:"host:port" example:"0.0.0.0:4222" doc:"Where authority and platforms reach the node, by TLS 1.3 with certificates on both sides." zh:"监管机关和平台访问该节点的地址，使用 TLS 1.3 双向证书认证。"`
	Routes         []party.Route `yaml:"routes" doc:"What the node serves; it takes nothing else. At least one." zh:"节点服务的平台与业务类型，其余一概不收。至少一项。"`
	MaxWaiting     int           `yaml:"max_waiting" min:"1" max:"10000000" doc:"Messages that may wait on one route; beyond that the platform is told to wait." zh:"单个路由可排队的消息数，超出后平台须等待。"`
	MaxBytes       config.Size   `yaml:"max_bytes" min:"64MiB" doc:"Disk that each of the streams may take." zh:"每个消息流可占用的磁盘空间。"`
	DecisionAge    time.Duration `yaml:"decision_age" min:"1m" doc:"How long a decision waits for its platform. A platform that stays away longer asks again." zh:"决定等待平台领取的最长时间，超时后平台会重新询问。"`
	Redeliver      time.Duration `yaml:"redeliver" min:"1s" max:"10m" doc:"How long a taken message may stay without a sign of life before it is given out again." zh:"已取出的消息无响应多久后重新投递。"`
	Rate           int           `yaml:"rate" min:"0" doc:"Messages that each platform may push in a second, in bursts of a second's worth; more are told to wait. Twice what is usual for a platform keeps a flood from slowing the others. 0: no bound." zh:"每个平台每秒可推送的消息数，突发上限为一秒的量，超出的须等待。取平常流量的两倍，可避免某一平台的洪流拖慢其他平台。0 表示不限。"`
	Tries          int           `yaml:"tries" min:"1" max:"1000" doc:"Times that a message may fail, while others go through, before it is quarantined." zh:"其他消息正常时，单条消息失败多少次后被隔离。"`
	External       External      `yaml:"external" doc:"An external NATS cluster that keeps the streams, in place of the node's own disk. Without servers: none." zh:"由外部 NATS 集群代替本机磁盘保存消息流。未配置服务器则不使用。"`
	Drain          time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take." zh:"停止时的最长等待。"`
	Ops            party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log            party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// External is the section external.
type External struct {
	Servers     []string `yaml:"servers" doc:"Leaf ports of the cluster's servers: nats://host:port or tls://host:port." zh:"集群各服务器的 leaf 端口，形如 nats://host:port 或 tls://host:port。"`
	Domain      string   `yaml:"domain" doc:"The domain of the cluster's JetStream. Needed with servers." zh:"集群 JetStream 的域名（domain），使用集群时必填。"`
	Credentials string   `yaml:"credentials" form:"path" doc:"File with the credentials of the node's own account there." zh:"节点在集群中专用账户的凭据文件。"`
	CA          string   `yaml:"ca" form:"path" doc:"Certificates (PEM) that the servers' are checked against. Empty: the system's." zh:"校验服务器证书所用的 CA 证书（PEM）。留空则使用系统证书。"`
	Certificate string   `yaml:"certificate" form:"path" doc:"The node's own certificate (PEM) towards the cluster, and with it key." zh:"节点访问集群所用的证书（PEM），须与 key 一起配置。"`
	Key         string   `yaml:"key" form:"path" doc:"Its private key (PEM)." zh:"上述证书的私钥（PEM）。"`
	Replicas    int      `yaml:"replicas" min:"1" max:"5" doc:"Servers that keep each stream." zh:"每个消息流的副本数。"`
}

// cluster is the section as the node takes it.
func (e External) cluster() *role.External {
	if len(e.Servers) == 0 {
		return nil
	}
	return &role.External{
		URLs: e.Servers, Domain: e.Domain, Credentials: e.Credentials, CA: e.CA,
		Certificate: e.Certificate, Key: e.Key, Replicas: e.Replicas,
	}
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", PassphraseFile: "passphrase", Admission: "admission.json",
		MaxWaiting: 65_536, MaxBytes: 1 << 30, DecisionAge: 7 * 24 * time.Hour, Redeliver: 6 * time.Second, Rate: 400, Tries: 20,
		External: External{Replicas: 3},
		Drain:    15 * time.Second, Ops: party.Ops{Listen: "127.0.0.1:9102"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	switch {
	case c.Directory == "":
		return config.Bad("directory", "is empty")
	case c.Admission == "":
		return config.Bad("admission", "is empty: name the file that `signalbox authority admit` made for this node")
	case len(c.Routes) == 0:
		return config.Bad("routes", "none: name at least one platform and kind of business to serve")
	}
	if e := c.External.cluster(); e != nil {
		if err := e.Validate(); err != nil {
			return config.Bad("external", "%v", err)
		}
	}
	return party.CheckRoutes("routes", c.Routes)
}

package ops

// The names of the figures. Prometheus's rules: seconds and bytes, _total for
// what only grows.
const (
	PartUnread = "signalbox_part_unread"

	OutboxSteps      = "signalbox_outbox_steps"
	OutboxOldest     = "signalbox_outbox_oldest_seconds"
	OutboxUnanchored = "signalbox_outbox_unanchored"

	ReconcileOpen     = "signalbox_reconcile_findings"
	ReconcileFollowed = "signalbox_reconcile_followed"
	LinkUp            = "signalbox_link_up"

	ChainHeight    = "signalbox_chain_height"
	ChainDecisions = "signalbox_chain_log_size"
	Decisions      = "signalbox_decisions_total"
	HoldsOpen      = "signalbox_holds_open"

	ChainPeers   = "signalbox_chain_peers"
	ChainMembers = "signalbox_chain_members"
	ChainSeated  = "signalbox_chain_seated"

	FusionBacklog     = "signalbox_fusion_backlog"
	FusionOldest      = "signalbox_fusion_oldest_seconds"
	FusionQuarantined = "signalbox_fusion_quarantined"
	FusionSetAside    = "signalbox_fusion_set_aside_total"
	FusionPaused      = "signalbox_fusion_paused"
	FusionDraining    = "signalbox_fusion_draining"

	LedgerRecords   = "signalbox_ledger_records"
	LedgerLinks     = "signalbox_ledger_connections"
	LedgerPutting   = "signalbox_ledger_puts_in_hand"
	LedgerFollowing = "signalbox_ledger_followers"
	LedgerStrangers = "signalbox_ledger_strangers_total"

	FeedSize     = "signalbox_witness_fed_size"
	FeedRefusals = "signalbox_witness_contradictions_total"

	WitnessCosigned = "signalbox_witness_cosigned_total"
	WitnessRefused  = "signalbox_witness_refused_total"
	WitnessForks    = "signalbox_witness_forks_total"
	WitnessSize     = "signalbox_witness_size"

	MonitorAlarms = "signalbox_monitor_alarms"
	MonitorSize   = "signalbox_monitor_size"
	MonitorUnread = "signalbox_monitor_unread"
)

// Metric is a figure's place in the vocabulary.
type Metric struct {
	Name    string
	Role    string // who gives it: "platform", "authority", "fusion", "ledger", "witness", "monitor", or "every role"
	Labels  []string
	Counter bool   // it only grows while the process lives; otherwise it is what is now
	En, Zh  string // what it counts
	Look    string // when an operator should look into it, in English; empty: it is background
}

// Vocabulary is every figure that Signalbox itself gives, in the order of docs/operations.md.
func Vocabulary() []Metric {
	var out []Metric
	for _, part := range [][]Metric{common(), platform(), authority(), node(), fusion(), ledger(), witness(), monitor()} {
		out = append(out, part...)
	}
	return out
}

func common() []Metric {
	return []Metric{
		{Name: PartUnread, Role: "every role", Labels: []string{"part"}, En: "1 while a part could not be asked for its figures.", Zh: "某部分的指标无法读取时为 1。", Look: "1 for minutes"},
		{Name: LinkUp, Role: "every role", Labels: []string{"peer"}, En: "1 while the link to another party stands.", Zh: "与对方的连接正常时为 1。", Look: "0 for a minute"},
	}
}

func platform() []Metric {
	const role = "platform"
	return []Metric{
		{Name: OutboxSteps, Role: role, Labels: []string{"state"}, En: "Steps in the outbox by state: pending, held, granted.", Zh: "发件箱中各状态的环节数。", Look: "pending or granted grows without falling"},
		{Name: OutboxOldest, Role: role, Labels: []string{"state"}, En: "Age of the oldest step in that state, in seconds; 0 where there is none.", Zh: "该状态下最早环节的等待秒数，没有则为 0。", Look: "pending or granted over 60"},
		{Name: OutboxUnanchored, Role: role, En: "Records on the business chain whose place was not reported to the supervision chain yet.", Zh: "已上业务链但尚未向监管链报告位置的记录数。", Look: "grows without falling"},
		{Name: ReconcileOpen, Role: role, Labels: []string{"kind"}, En: "Differences between the platform's database and the business chain that stand, by kind.", Zh: "平台数据库与业务链之间尚未消除的差异数（按类别）。", Look: "anything but undecided, not_stored or not_anchored over 0"},
		{Name: ReconcileFollowed, Role: role, En: "The last record of the business chain that was compared with the database.", Zh: "已与数据库比对的业务链最后一条记录的序号。", Look: "stands still while records are stored"},
	}
}

func authority() []Metric {
	const role = "authority"
	return []Metric{
		{Name: Decisions, Role: role, Labels: []string{"verdict"}, Counter: true, En: "Decisions by verdict since the process began.", Zh: "进程启动以来各类决定数。", Look: "refused jumps"},
		{Name: FeedSize, Role: role, Labels: []string{"witness"}, En: "Size of the log that a witness has cosigned last, since the process began.", Zh: "进程启动以来见证人最后联署的日志大小。", Look: "falls behind signalbox_chain_log_size for minutes"},
		{Name: FeedRefusals, Role: role, Labels: []string{"witness"}, Counter: true, En: "Times that a witness said that this log contradicts what it cosigned before.", Zh: "见证人认定本日志与其先前联署内容矛盾的次数。", Look: "over 0: the chain was restored or tampered with; stop and compare"},
		{Name: HoldsOpen, Role: role, En: "Submissions that wait for an officer; beyond 1,000 they are not counted.", Zh: "等待监管人员处理的挂起数，最多计到 1,000。", Look: "grows over a day"},
	}
}

func node() []Metric {
	const role = "authority, node"
	return []Metric{
		{Name: ChainHeight, Role: role, En: "The supervision chain's last committed block.", Zh: "监管链最新区块高度。", Look: "stands still while a fusion node's submissions grow, or behind that of other nodes"},
		{Name: ChainDecisions, Role: role, En: "Decisions in the supervision chain's log.", Zh: "监管链日志中的决定数。"},
		{Name: ChainPeers, Role: role, En: "Other nodes of the supervision chain that this one is connected to; given where it is one of several.", Zh: "与本节点相连的其他监管链节点数（多节点时）。", Look: "below two thirds of the members, or 0"},
		{Name: ChainMembers, Role: role, En: "Nodes with a seat; given by one of several.", Zh: "拥有席位的节点数（多节点时）。", Look: "below the seats that officers have set"},
		{Name: ChainSeated, Role: role, En: "1 while this node has a seat; given by one of several.", Zh: "本节点拥有席位时为 1（多节点时）。", Look: "0 for longer than rotation explains"},
	}
}

func fusion() []Metric {
	const role = "fusion"
	route := []string{"platform", "business", "stream"}
	return []Metric{
		{Name: FusionBacklog, Role: role, Labels: route, En: "Messages that nobody has done with, by stream: submissions, decisions, anchors.", Zh: "尚未处理完的消息数，按消息流。", Look: "grows without falling"},
		{Name: FusionOldest, Role: role, Labels: []string{"platform", "stream"}, En: "Age of the oldest of them, in seconds; 0 where there is none.", Zh: "其中最早消息的等待秒数，没有则为 0。", Look: "submissions over 60"},
		{Name: FusionQuarantined, Role: role, Labels: []string{"platform"}, En: "Messages in quarantine.", Zh: "隔离中的消息数。", Look: "over 0"},
		{Name: FusionSetAside, Role: role, Counter: true, En: "Messages that were put into quarantine since the process began.", Zh: "进程启动以来被隔离的消息数。", Look: "grows: a platform's software, or the disk"},
		{Name: FusionPaused, Role: role, Labels: []string{"platform", "step"}, En: "1 where an operator has paused a platform, a step, or a platform's step; an empty label is every one.", Zh: "被运维人员暂停的平台或环节为 1，空标签表示全部。", Look: "longer than meant"},
		{Name: FusionDraining, Role: role, Labels: []string{"platform"}, En: "1 where an operator has new submissions refused; an empty label is every platform.", Zh: "被运维人员设为拒收新提交的平台为 1，空标签表示全部。", Look: "longer than meant"},
	}
}

func ledger() []Metric {
	const role = "ledger"
	return []Metric{
		{Name: LedgerRecords, Role: role, En: "Records on the business chain.", Zh: "业务链上的记录数。"},
		{Name: LedgerLinks, Role: role, En: "Open connections.", Zh: "打开的连接数。", Look: "at its limit of 256"},
		{Name: LedgerPutting, Role: role, Labels: []string{"peer"}, En: "Puts in hand.", Zh: "正在处理的写入数。", Look: "at its limit of 256"},
		{Name: LedgerFollowing, Role: role, Labels: []string{"peer"}, En: "Followers.", Zh: "正在跟随的客户端数。"},
		{Name: LedgerStrangers, Role: role, Counter: true, En: "Handshakes of keys that are not in the configuration.", Zh: "未登记公钥的连接尝试次数。", Look: "over 0: a pin is wrong, or somebody tries"},
	}
}

func witness() []Metric {
	const role = "witness"
	return []Metric{
		{Name: WitnessSize, Role: role, Labels: []string{"log"}, En: "Size of a log that was cosigned last.", Zh: "某日志最后被联署的大小。", Look: "stands still while the log grows"},
		{Name: WitnessCosigned, Role: role, Counter: true, En: "Cosignatures given since the process began.", Zh: "进程启动以来联署的次数。"},
		{Name: WitnessRefused, Role: role, Counter: true, En: "Checkpoints of a known log that don't continue what was cosigned.", Zh: "不能接续已联署内容的检查点数。", Look: "grows: a log's software is wrong, or the log has two histories"},
		{Name: WitnessForks, Role: role, Counter: true, En: "Checkpoints with another root at the size that was cosigned: proof that a log has two histories.", Zh: "同一大小出现不同根哈希的次数，即日志存在两份历史的证据。", Look: "over 0: publish the evidence"},
	}
}

func monitor() []Metric {
	const role = "monitor"
	return []Metric{
		{Name: MonitorAlarms, Role: role, En: "Alarms that stand: logs that have shown different histories.", Zh: "未解除的警报数：日志出示过不同的历史。", Look: "over 0: at once"},
		{Name: MonitorSize, Role: role, Labels: []string{"log"}, En: "Size of a log that was verified last.", Zh: "某日志最后核实的大小。", Look: "stands still while the log grows"},
		{Name: MonitorUnread, Role: role, Labels: []string{"log"}, En: "Of a log and its witnesses, how many gave nothing valid in the last round.", Zh: "上一轮中未给出有效内容的日志与见证人数。", Look: "over 0 for an hour"},
	}
}

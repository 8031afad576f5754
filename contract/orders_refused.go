package contract

import (
	"fmt"
	"strings"
)

// OrderRefused says that an officer's order may not be carried out, why, and
// what to do about it. The state is as it was and the number is unused.
type OrderRefused struct {
	Code   string  // stable, "order_expired"
	Why    Message // for people
	Advice Message // what the officer can do
}

// Error gives code and English text.
func (r *OrderRefused) Error() string {
	return fmt.Sprintf("order refused: %s: %s: %s", r.Code, r.Why.En, r.Advice.En)
}

// orderText is how an order's refusal reads.
type orderText struct{ why, advice text }

// orderTexts holds every refusal of an order by its code. It is never written to.
var orderTexts = map[string]orderText{
	"order_kind":        {text{"没有“%[1]s”这种指令", "there is no kind of order %[1]q"}, text{"请使用本监管链支持的指令种类", "use one of the kinds that this chain knows"}},
	"order_replayed":    {text{"第 %[1]d 号指令已执行过", "order %[1]d has been carried out already"}, text{"如需再次执行，请以第 %[2]d 号重新签发", "if it is to be carried out again, sign it anew as number %[2]d"}},
	"order_number":      {text{"指令编号 %[1]d 不连续", "number %[1]d leaves a gap"}, text{"下一号为 %[2]d，请重新签发", "the next number is %[2]d: sign it anew"}},
	"order_expired":     {text{"指令已过有效期", "the order has expired"}, text{"请以新的有效期重新签发", "sign it anew with a later expiry"}},
	"order_reason":      {text{"指令须写明理由，且不超过 %[1]d 字节", "an order wants a reason of at most %[1]d bytes"}, text{"请补充理由后重新签发", "give a reason and sign it anew"}},
	"order_body":        {text{"指令内容有误：%[1]s", "the order's content is wrong: %[1]s"}, text{"请更正内容后重新签发", "correct it and sign it anew"}},
	"order_officer":     {text{"签发人不能签发指令：%[1]s", "whoever signed can't give orders: %[2]s"}, text{"请由在职且身份有效的监管人员签发", "let an active officer within validity sign it"}},
	"order_second":      {text{"“%[1]s”须两名监管人员签发", "%[1]s needs a second officer"}, text{"请另一名监管人员会签", "let another officer sign it too"}},
	"order_second_same": {text{"会签人与签发人是同一人", "the second officer is the first"}, text{"请另一名监管人员会签", "let another officer sign it"}},

	"identity_exists":  {text{"该身份标识已登记", "there is an identity of this id"}, text{"如为换证，请用 identity.renew", "to renew it, use identity.renew"}},
	"identity_unknown": {text{"没有该身份", "there is no such identity"}, text{"请核对标识；新身份用 identity.admit", "check the id; a new one is admitted with identity.admit"}},
	"identity_taken":   {text{"密钥或执业证属于其他身份", "the key or licence is another identity's"}, text{"请核对证书", "check the certificate"}},
	"identity_final":   {text{"身份已吊销，不能恢复", "a revoked identity stays revoked"}, text{"请以新标识重新准入", "admit it anew under another id"}},
	"identity_status":  {text{"身份不能从当前状态变为该状态", "this status can't follow on the one it has"}, text{"顺序为：申请、核实、激活；激活与暂停可互换", "the order is: applied, verified, active; active and suspended may alternate"}},
	"identity_own":     {text{"监管人员不能暂停或吊销自己", "an officer can't suspend or revoke their own identity"}, text{"请由另一名监管人员签发", "let another officer give the order"}},

	"list_exists":        {text{"已有同名名单", "there is a list of this name"}, text{"请另取名称", "take another name"}},
	"list_full":          {text{"名单数量或同一对象的条目已达上限", "a step has as many lists, or a key as many entries, as it can have"}, text{"请使用已有名单或条目", "use those that there are"}},
	"entry_unknown":      {text{"名单没有该条目", "the list has no such entry"}, text{"请核对名单和条目编号", "check list and number"}},
	"entry_lifted":       {text{"该条目已解除", "the entry is lifted already"}, text{"无需处理；如需恢复请新增条目", "nothing is to be done; to restrict again, add an entry"}},
	"entry_not_appealed": {text{"该条目没有待处理的申诉", "no appeal against the entry is open"}, text{"请先登记申诉", "record the appeal first"}},

	"grant_unknown": {text{"没有该授权码", "there is no such grant"}, text{"请核对授权码", "check the code"}},
	"grant_revoked": {text{"该授权码已撤销", "the grant is revoked"}, text{"请签发新的授权码", "issue another"}},
	"grants_full":   {text{"该机构的有效授权码已达上限（%[1]d 个）", "the institution has %[1]d grants, as many as it can have at a time"}, text{"请续期或撤销已有授权码", "renew or revoke one that it has"}},

	"not_frozen":  {text{"该对象未被冻结", "it is not frozen"}, text{"请核对对象", "check what is to be let go"}},
	"not_stopped": {text{"该环节未被停止", "the step is not stopped"}, text{"请核对业务类型和环节", "check business and step"}},

	"hold_unknown":  {text{"没有该挂起事项", "no such submission is held"}, text{"请核对交易哈希", "check the transaction hash"}},
	"hold_resolved": {text{"该挂起事项已处理", "the submission is decided already"}, text{"无需处理", "nothing is to be done"}},

	"rules_refused":   {text{"规则未通过准入：%[1]s", "the rules are not admitted: %[1]s"}, text{"请按提示修改规则及其用例后重新发布", "correct the rules or their cases and publish again"}},
	"rules_past":      {text{"生效高度或时间已过，或两者同时指定", "the height or time to take force has passed, or both are given"}, text{"请指定将来的高度或时间之一，或都留空（下一区块生效）", "give one of them, in the future, or neither (the next block)"}},
	"rules_unknown":   {text{"没有该规则版本或待生效的发布", "there is no such version, or none of that order waits to take force"}, text{"请核对版本号或指令编号", "check the version or the order's number"}},
	"rules_scheduled": {text{"待生效的规则已达上限（%[1]d 个）", "%[1]d bundles wait to take force, as many as can"}, text{"请先取消其中之一", "cancel one of them first"}},

	"node_identity":  {text{"节点身份不能参与：%[1]s", "the node's identity can't take part: %[2]s"}, text{"请先准入并激活角色为 node 的身份", "admit and activate an identity of role node first"}},
	"node_unknown":   {text{"没有该节点", "there is no such node"}, text{"请核对标识", "check the id"}},
	"committee_last": {text{"最后一名委员不能离席，否则监管链将停止", "the last member can't leave, or the chain would stand still"}, text{"请先让另一节点入席", "give another node a seat first"}},
	"committee_none": {text{"该监管链在创世时没有委员会", "this chain began without a committee"}, text{"请以含有节点的创世文件建立监管链", "found a chain whose genesis names nodes"}},

	"erase_basis":   {text{"依法删除须写明依据", "an erasure by law wants its basis"}, text{"请写明法规条款、判决或申请", "name the provision, judgment or request"}},
	"erase_unknown": {text{"日志中没有交易 %[1]s 的决定", "the log has no decision on transaction %[1]s"}, text{"请核对交易哈希；已归档的决定须附证明", "check the hash; for an archived decision the order carries a proof"}},
	"erase_held":    {text{"交易 %[1]s 正在等待监管人员处理", "transaction %[1]s waits for an officer"}, text{"请先处理该挂起事项", "decide the hold first"}},
	"erase_done":    {text{"交易 %[1]s 的载荷已由第 %[2]d 号指令删除", "the payload of transaction %[1]s was erased by order %[2]d"}, text{"无需处理", "nothing is to be done"}},
	"erase_forever": {text{"业务类型“%[2]s”没有保存期限，交易 %[1]s 不能按期限删除", "no retention is set for business %[2]q: transaction %[1]s can't be erased by it"}, text{"请先用 retention.set 设定保存期限，或写明法律依据", "set one with retention.set, or give the legal ground"}},
	"erase_early":   {text{"交易 %[1]s 的保存期限（%[2]d 天）还有 %[3]d 天", "transaction %[1]s is kept for %[2]d days, %[3]d of which are left"}, text{"请到期后再签发，或写明法律依据", "wait for its time, or give the legal ground"}},

	"policy_second": {text{"设置会签要求的指令须由两名监管人员签发", "a policy that asks for second officers must be signed by two"}, text{"请另一名监管人员会签，以证明有两名监管人员", "let another officer sign it too, which shows that there are two"}},
}

// refuseOrder words a refusal.
func refuseOrder(code string, args ...any) error {
	t := orderTexts[code]
	format := func(s string) string {
		if !strings.Contains(s, "%") {
			return s
		}
		return fmt.Sprintf(s, args...)
	}
	return &OrderRefused{
		Code:   code,
		Why:    Message{Zh: format(t.why.zh), En: format(t.why.en)},
		Advice: Message{Zh: format(t.advice.zh), En: format(t.advice.en)},
	}
}

package contract

import (
	"fmt"
	"regexp"

	"signalbox.dev/signalbox/flow"
)

// text is a reason's wording. Arguments are placed by number, so that the two
// languages may order them as they like.
type text struct{ zh, en string }

// texts holds every reason of the contract by its code, but for those of rules,
// which bring their own. It is never written to.
var texts = map[string]text{
	// What the authority could not take. The facts carry the code; profiles
	// have codes of their own for what they refuse.
	"unreadable":                 {"内容无法读取", "the payload can't be read"},
	"unopened":                   {"内容无法解封", "the sealed payload does not open"},
	"not_recipient":              {"内容未加密给本监管机关", "the payload is not sealed to this authority"},
	"malformed":                  {"内容格式不符合要求", "the payload does not have the required form"},
	"certificate_invalid":        {"证书无效或非监管机关签发", "the certificate is not valid or not signed by the authority"},
	"licence_unknown":            {"执业证不存在、无效或不属于本人", "the licence is unknown, not this person's, or not valid"},
	"cancellation_not_supported": {"暂不支持撤销或变更", "cancelling or changing is not supported yet"},
	"not_taken":                  {"不予受理（%[1]s）", "not taken (%[1]s)"},
	"facts_too_large":            {"内容超出规模上限", "the payload is larger than the contract takes"},
	"incomplete_facts":           {"缺少核验所需的信息", "a value that the contract needs is missing"},

	// Admission.
	"wrong_chain":         {"提交的目标不是本监管链", "the submission is for another supervision chain"},
	"wrong_suite":         {"密码套件与本监管链不一致", "the cryptographic suite is not this chain's"},
	"unknown_business":    {"未准入的业务类型", "this kind of business is not admitted"},
	"unknown_network":     {"未准入的业务网络", "this business network is not admitted"},
	"unknown_identity":    {"身份未登记", "the identity is not registered"},
	"identity_suspended":  {"身份已暂停", "the identity is suspended"},
	"identity_not_active": {"身份尚未核实激活", "the identity has not been verified and activated yet"},
	"identity_revoked":    {"身份已吊销", "the identity is revoked"},
	"identity_expired":    {"身份不在有效期内", "the identity is outside its validity"},
	"wrong_role":          {"身份角色不符", "the identity has another role"},
	"wrong_key":           {"签名密钥不属于该身份", "the signing key is not the identity's"},
	"actor_mismatch":      {"内容中的操作方与提交头不一致", "the payload names another actor than the header"},
	"business_mismatch":   {"业务类型前后不一致", "the kind of business differs"},
	"foreign_flow":        {"该业务流转属于其他平台", "the flow belongs to another platform"},
	"network_mismatch":    {"业务网络与登记时不一致", "the flow was registered for another business network"},
	"already_enrolled":    {"标识、密钥或执业证已被登记", "the id, key or licence is registered already"},
	"bad_enrolment":       {"登记申请不完整或不允许", "the enrolment is incomplete or not allowed"},

	// Freeze: the order's number.
	"frozen_flow":        {"该业务流转已被监管机关冻结（指令第 %[1]d 号），等待监管人员处理", "the authority has frozen this flow (order %[1]d): an officer will decide"},
	"frozen_subject":     {"该患者的业务已被监管机关冻结（指令第 %[1]d 号），等待监管人员处理", "the authority has frozen this subject (order %[1]d): an officer will decide"},
	"frozen_institution": {"该机构已被监管机关冻结（指令第 %[1]d 号），等待监管人员处理", "the authority has frozen this institution (order %[1]d): an officer will decide"},
	"step_stopped":       {"“%[2]s”环节已被紧急停止（指令第 %[1]d 号），等待监管人员处理", "%[3]s is stopped for this business (order %[1]d): an officer will decide"},

	// Sequence.
	"unknown_flow":          {"监管链上没有该业务流转", "the supervision chain has no such flow"},
	"out_of_order":          {"环节顺序错误：当前为“%[1]s”，不能进行“%[3]s”", "step out of order: %[4]s can't follow on the state %[2]s"},
	"duplicate_record":      {"同一编号已登记了不同内容", "the same record number is registered with other content"},
	"same_record":           {"该业务信息已登记", "this record is registered already"},
	"record_expired":        {"业务信息已过有效期", "the record is past its last day"},
	"in_review_by_another":  {"其他审核人员正在审核", "another reviewer has it under review"},
	"order_pending":         {"已有未使用的有效订单令牌", "an order with a valid unused token stands"},
	"wrong_subject":         {"患者与业务信息不一致", "the subject is not the record's"},
	"wrong_producer":        {"生产端与订单不一致", "the producer is not the order's"},
	"no_items":              {"订单没有项目", "the order has no items"},
	"item_not_prescribed":   {"项目不在处方内", "the item is not in the record"},
	"quantity_exceeds":      {"数量超过处方数量", "the quantity is above the record's"},
	"quantity_not_positive": {"数量必须大于零", "the quantity must be above zero"},

	// Tokens.
	"token_missing":   {"缺少有效令牌", "there is no token"},
	"token_wrong":     {"令牌与该环节不符", "the token is not for this"},
	"token_expired":   {"令牌已过期", "the token has expired"},
	"token_used":      {"令牌已使用", "the token has been used"},
	"token_replaced":  {"令牌已被新令牌取代", "a later token has replaced this one"},
	"amount_mismatch": {"结算金额、医保金额或币种与订单不一致", "the settlement's total, insured part or currency differs from the order's"},

	// Lists: entry number and legal basis.
	"LIST-REVIEWER":         {"受限审核人员（名单第 %[1]d 条，依据：%[2]s）", "restricted reviewer (entry %[1]d, basis: %[2]s)"},
	"LIST-SUBJECT":          {"受限患者（名单第 %[1]d 条，依据：%[2]s）", "restricted subject (entry %[1]d, basis: %[2]s)"},
	"LIST-SUBJECT-ITEM":     {"受限患者项目（名单第 %[1]d 条，依据：%[2]s）", "restricted item for this subject (entry %[1]d, basis: %[2]s)"},
	"LIST-PRODUCER-SUBJECT": {"受限生产端与患者组合（名单第 %[1]d 条，依据：%[2]s）", "restricted pair of producer and subject (entry %[1]d, basis: %[2]s)"},
	"LIST-ABNORMAL":         {"异常交易（名单第 %[1]d 条，依据：%[2]s）", "abnormal transaction (entry %[1]d, basis: %[2]s)"},

	"list": {"%[3]s（名单第 %[1]d 条，依据：%[2]s）", "%[4]s (entry %[1]d, basis: %[2]s)"},

	// Standing and batch grants.
	"standing_deny":  {"该机构在黑名单内，每次提交均须监管人员决定", "this institution is deny-listed: an officer decides each of its submissions"},
	"grant_required": {"“%[1]s”须持有效的批量授权码：请该机构向监管机关申请，写明机构标识、环节、起止时间和数量", "%[2]s needs a batch grant in force: the institution asks the authority for one, naming its id, the steps, from when to when, and how many"},
	"grant_used_up":  {"批量授权码 %[1]s 的数量已用完：请向监管机关申请续期或新的授权码", "batch grant %[1]s is used up: ask the authority to renew it, or for another"},

	// Holds.
	"officer_refused": {"监管人员不予批准：%[1]s", "an officer has refused: %[1]s"},
	"hold_expired":    {"挂起期限已过，监管人员未作决定，按不予批准处理", "no officer decided before the deadline, and so it is refused"},

	// Rules.
	"rule_error": {"规则 %[1]s 无法求值，按拒绝处理", "rule %[1]s can't be evaluated and so refuses"},
}

// reason words a reason of the contract.
func reason(code, path string, args ...any) flow.Reason {
	t := texts[code]
	if len(args) == 0 {
		return flow.Reason{Code: code, Path: path, Zh: t.zh, En: t.en}
	}
	return flow.Reason{Code: code, Path: path, Zh: fmt.Sprintf(t.zh, args...), En: fmt.Sprintf(t.en, args...)}
}

// because is one reason, as a check returns it.
func because(code, path string, args ...any) []flow.Reason {
	return []flow.Reason{reason(code, path, args...)}
}

var codePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// notTaken words what the authority or a profile could not take: its code
// passes through, under the contract's words for it or general ones.
func notTaken(code, path string) flow.Reason {
	if !codePattern.MatchString(code) {
		return reason("unreadable", path)
	}
	if _, known := texts[code]; known {
		return reason(code, path)
	}
	r := reason("not_taken", path, code)
	r.Code = code
	return r
}

// outOfOrder names the flow's state and the step in both languages.
func outOfOrder(at flow.State, step flow.Step) []flow.Reason {
	return because("out_of_order", "flow", stateName(at), stateText(at), stepName(step), string(step))
}

func stateText(s flow.State) string {
	if s == flow.Unregistered {
		return "unregistered"
	}
	return string(s)
}

func stateName(s flow.State) string {
	switch s {
	case flow.Unregistered:
		return "未登记"
	case flow.Registered:
		return "已登记"
	case flow.InReview:
		return "审核中"
	case flow.Approved:
		return "审核通过"
	case flow.Rejected:
		return "审核不通过"
	case flow.Ordered:
		return "已下单"
	case flow.Settled:
		return "已结算"
	case flow.Delivered:
		return "已配送"
	default:
		return string(s)
	}
}

func stepName(s flow.Step) string {
	switch s {
	case flow.Enrol:
		return "人员登记"
	case flow.Register:
		return "登记"
	case flow.ReviewRequest:
		return "申请审核"
	case flow.ReviewResult:
		return "审核结果"
	case flow.Order:
		return "下单"
	case flow.Settle:
		return "结算"
	case flow.Deliver:
		return "配送"
	default:
		return string(s)
	}
}

// Zh is the stage's name in Chinese; in English it is b itself.
func (b Basis) Zh() string {
	switch b {
	case BasisContent:
		return "内容"
	case BasisAdmission:
		return "准入"
	case BasisFreeze:
		return "冻结与停止"
	case BasisSequence:
		return "顺序"
	case BasisTokens:
		return "令牌"
	case BasisLists:
		return "名单"
	case BasisStanding:
		return "名单等级与批量授权"
	case BasisRules:
		return "规则"
	case BasisHold:
		return "监管人员决定"
	default:
		return string(b)
	}
}

package api

import "net/http"

// kind is a problem's stable code: the last part of its type.
type kind string

// prefix is what every problem's type begins with.
const prefix = "urn:signalbox:problem:"

// The kinds of problem. docs/api.md lists them for callers.
const (
	malformedRecord     kind = "malformed-record"
	malformedRequest    kind = "malformed-request"
	unauthenticated     kind = "unauthenticated"
	notPermitted        kind = "not-permitted"
	crossOrigin         kind = "cross-origin"
	flowNotFound        kind = "flow-not-found"
	receiptNotFound     kind = "receipt-not-found"
	routeNotFound       kind = "route-not-found"
	methodNotAllowed    kind = "method-not-allowed"
	requestTimeout      kind = "request-timeout"
	contentTooLarge     kind = "content-too-large"
	recordTooLarge      kind = "record-too-large"
	mediaType           kind = "media-type-not-supported"
	hostNotServed       kind = "host-not-served"
	recordRefused       kind = "record-refused"
	registrationRefused kind = "registration-refused"
	registrationLapsed  kind = "registration-lapsed"
	keyReused           kind = "idempotency-key-reused"
	invalidParameter    kind = "invalid-parameter"
	internalError       kind = "internal"
	busy                kind = "busy"
	backlogFull         kind = "backlog-full"
	notReady            kind = "not-ready"
)

// text is said to people in their language.
type text struct{ en, zh string }

func (t text) in(zh bool) string {
	if zh {
		return t.zh
	}
	return t.en
}

// class is what all problems of a kind have in common.
type class struct {
	kind   kind
	status int
	title  text // the same for every problem of the kind (RFC 9457, 3.1.3)
	detail text
}

// classes lists every kind, by status.
func classes() []class {
	return []class{
		{malformedRecord, http.StatusBadRequest, text{"Malformed record", "业务信息格式有误"}, text{"The record is malformed or incomplete: see problems.", "业务信息格式有误或不完整，见 problems。"}},
		{malformedRequest, http.StatusBadRequest, text{"Malformed request", "请求格式有误"}, text{"The request could not be read.", "无法读取该请求。"}},
		{unauthenticated, http.StatusUnauthorized, text{"Who are you?", "未通过身份验证"}, text{"Send Authorization: Bearer and a token that the platform's operator gave you.", "请在 Authorization: Bearer 中出示平台运营方发放的令牌。"}},
		{notPermitted, http.StatusForbidden, text{"Not permitted", "无此权限"}, text{"This token does not allow that. The platform's operator can permit it.", "该令牌无此权限，可请平台运营方授予。"}},
		{crossOrigin, http.StatusForbidden, text{"Cross-origin request", "跨源请求"}, text{"A page of another origin may not write here.", "其他来源的页面不得在此写入。"}},
		{flowNotFound, http.StatusNotFound, text{"No such flow", "无此业务流转"}, text{"The platform knows no flow by this id.", "平台没有该编号的业务流转。"}},
		{receiptNotFound, http.StatusNotFound, text{"No such receipt", "无此回执"}, text{"The platform has no receipt of this transaction.", "平台没有该交易的回执。"}},
		{routeNotFound, http.StatusNotFound, text{"Nothing here", "无此地址"}, text{"The API has no such path.", "接口没有该路径。"}},
		{methodNotAllowed, http.StatusMethodNotAllowed, text{"Method not allowed", "不支持该方法"}, text{"This path has other methods: see Allow.", "该路径支持的方法见 Allow。"}},
		{requestTimeout, http.StatusRequestTimeout, text{"Request too slow", "请求超时"}, text{"The request took too long to arrive.", "请求未能及时送达。"}},
		{contentTooLarge, http.StatusRequestEntityTooLarge, text{"Body too large", "请求体过大"}, text{"A record may have up to 1048576 bytes.", "业务信息最多 1048576 字节。"}},
		{recordTooLarge, http.StatusRequestEntityTooLarge, text{"Record too large", "业务信息过大"}, text{"The sealed record is too large for the business chain.", "密封后的业务信息超出业务链的上限。"}},
		{mediaType, http.StatusUnsupportedMediaType, text{"Media type not supported", "不支持该媒体类型"}, text{"Send application/fhir+json or application/json, in UTF-8, without content coding.", "请发送 application/fhir+json 或 application/json，UTF-8，不加内容编码。"}},
		{hostNotServed, http.StatusMisdirectedRequest, text{"Host not served", "不服务该主机名"}, text{"The request's Host is no name of this server.", "请求的 Host 不是本服务器的名称。"}},
		{recordRefused, http.StatusUnprocessableEntity, text{"Record refused", "业务信息不予受理"}, text{"The record was understood and is not taken.", "业务信息已读懂，但不予受理。"}},
		{registrationRefused, http.StatusUnprocessableEntity, text{"Registration refused", "登记被拒绝"}, text{"The authority refused the registration. This is final.", "监管机关拒绝了该登记，不可更改。"}},
		{registrationLapsed, http.StatusUnprocessableEntity, text{"Registration lapsed", "登记失效"}, text{"The registration was granted, but the business chain did not take the record. This is final.", "登记已获准，但业务链未接受该记录，不可更改。"}},
		{keyReused, http.StatusUnprocessableEntity, text{"Idempotency key reused", "幂等键被重复使用"}, text{"The Idempotency-Key was sent with another record before.", "该 Idempotency-Key 曾用于另一条业务信息。"}},
		{invalidParameter, http.StatusUnprocessableEntity, text{"Invalid parameter", "参数无效"}, text{"A parameter is not as it should be: see problems.", "参数不符合要求，见 problems。"}},
		{internalError, http.StatusInternalServerError, text{"Internal error", "内部错误"}, text{"Something went wrong here. The log has it under this instance.", "服务器内部出错，日志中以 instance 记录。"}},
		{busy, http.StatusServiceUnavailable, text{"Busy", "服务繁忙"}, text{"Try again later.", "请稍后重试。"}},
		{backlogFull, http.StatusServiceUnavailable, text{"Backlog full", "待答复事项已满"}, text{"Too many steps wait for the authority or the business chain. Nothing was stored: send it again later.", "等待监管机关或业务链答复的环节过多。未保存任何内容，请稍后重新发送。"}},
		{notReady, http.StatusServiceUnavailable, text{"Not ready", "尚未就绪"}, text{"The server is starting or ending.", "服务器正在启动或停止。"}},
	}
}

func (k kind) class() class {
	for _, c := range classes() {
		if c.kind == k {
			return c
		}
	}
	return internalError.class()
}

package oversight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/chain"
)

// Problem is the body of every answer that is not a success (RFC 9457), in both
// languages: an officer's tool picks one.
type Problem struct {
	Type     string `json:"type"`   // "urn:signalbox:problem:" and the kind
	Title    string `json:"title"`  // the kind in words
	Status   int    `json:"status"` // HTTP
	Detail   string `json:"detail"` // as En
	Code     string `json:"code"`   // the kind; of an order that was refused, the contract's code
	En       string `json:"en"`     // what is wrong
	Zh       string `json:"zh"`     //
	AdviceEn string `json:"advice_en,omitempty"`
	AdviceZh string `json:"advice_zh,omitempty"`
}

// Error gives code and English text.
func (p *Problem) Error() string { return p.Code + ": " + p.In(false) }

// In says what is wrong and what to do about it, in Chinese or English.
func (p *Problem) In(zh bool) string {
	what, advice, join := p.En, p.AdviceEn, ": "
	if zh {
		what, advice, join = p.Zh, p.AdviceZh, "："
	}
	if advice == "" {
		return what
	}
	return what + join + advice
}

const (
	problemType   = "application/problem+json"
	problemPrefix = "urn:signalbox:problem:"
)

func problem(status int, code, title, en, zh string) *Problem {
	return &Problem{Type: problemPrefix + code, Title: title, Status: status, Detail: en, Code: code, En: en, Zh: zh}
}

func badParameter(name, enWant, zhWant string) *Problem {
	return problem(http.StatusUnprocessableEntity, "invalid-parameter", "Invalid parameter",
		fmt.Sprintf("%s: want %s", name, enWant), fmt.Sprintf("%s：应为%s", name, zhWant))
}

func notFound(en, zh string) *Problem {
	return problem(http.StatusNotFound, "not-found", "Not found", en, zh)
}

func unreadable() *Problem {
	return problem(http.StatusBadRequest, "malformed-request", "Malformed request", "the request could not be read", "无法读取该请求")
}

// refused words an order that the contract did not carry out.
func refused(r *contract.OrderRefused) *Problem {
	status := http.StatusUnprocessableEntity
	if r.Code == codeReplayed || r.Code == codeNumber {
		status = http.StatusConflict
	}
	p := problem(status, "order-refused", "Order refused", r.Why.En, r.Why.Zh)
	p.Code, p.AdviceEn, p.AdviceZh = r.Code, r.Advice.En, r.Advice.Zh
	return p
}

// Codes of orders whose number another officer's order has taken.
const (
	codeReplayed = "order_replayed"
	codeNumber   = "order_number"
)

// NumberTaken says whether an order was refused because of its number alone:
// signed anew with the next one it may be carried out.
func NumberTaken(err error) bool {
	var p *Problem
	return errors.As(err, &p) && (p.Code == codeReplayed || p.Code == codeNumber)
}

// problemOf turns an error into what the caller may know of it. What it does
// not know it logs.
func (h *handler) problemOf(ctx context.Context, doing string, err error) *Problem {
	var p *Problem
	var no *contract.OrderRefused
	var gone *chain.ErasedError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &no):
		return refused(no)
	case errors.As(err, &gone):
		return problem(http.StatusGone, "erased", "Erased",
			fmt.Sprintf("the payload was erased by order %d of %s, ground: %s; the decision and its receipt stand", gone.Order, Moment(gone.At).Time().UTC().Format(time.DateOnly), gone.Ground),
			fmt.Sprintf("载荷已依第 %d 号指令（%s）删除，依据：%s；决定及回执仍然有效", gone.Order, Moment(gone.At).Time().UTC().Format(time.DateOnly), gone.Ground))
	case errors.Is(err, chain.ErrNotFound):
		return notFound("the supervision chain has no such decision", "监管链上没有该决定")
	case errors.Is(err, chain.ErrSender), errors.Is(err, chain.ErrRefused):
		return problem(http.StatusUnprocessableEntity, "order-not-taken", "Order not taken",
			"the chain does not take the order: "+err.Error(), "监管链不接受该指令："+err.Error())
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "unknown", "Outcome unknown",
			"no answer in time: whether it was carried out is seen in the history of orders", "未能及时得到结果：是否已执行，请查看指令历史")
	}
	h.log.LogAttrs(ctx, slog.LevelError, doing, slog.Any("error", err))
	return problem(http.StatusInternalServerError, "internal", "Internal error", "something went wrong in the authority: its log tells more", "监管机关系统内部出错，详见其日志")
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, doing string, err error) {
	p := h.problemOf(r.Context(), doing, err)
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = encode(w, p) // who asked may be gone
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = encode(w, v)
}

func encode(w http.ResponseWriter, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

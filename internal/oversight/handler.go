package oversight

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"signalbox.dev/signalbox/flow"
)

// Bounds of what is asked and answered.
const (
	maxBody      = 2 * flow.MaxMessage // bytes of a request
	defaultPage  = 100
	maxPage      = 500
	maxPseudonym = 4000 // ids in one request
	orderWait    = 60 * time.Second
)

type handler struct {
	Config
	log *slog.Logger
}

// NewHandler answers for what the configuration names. It checks no caller:
// whoever can open the socket may read, and orders are signed.
func NewHandler(cfg Config) (http.Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	h := &handler{Config: cfg, log: cfg.Logger}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	routes := []struct {
		pattern string
		does    string
		answer  func(*http.Request) (any, error)
	}{
		{"GET /v1/status", "reading the status", h.status},
		{"POST /v1/orders", "carrying out an order", h.order},
		{"GET /v1/orders", "listing orders", h.orders},
		{"GET /v1/identities", "listing identities", h.identities},
		{"GET /v1/committee", "reading the committee", h.committee},
		{"GET /v1/nodes", "listing nodes", h.nodes},
		{"GET /v1/keys", "reading the log's keys", h.logKeys},
		{"POST /v1/keys/proposals", "drawing log keys", h.proposeKeys},
		{"POST /v1/certificates", "reading a certificate", h.certified},
		{"GET /v1/lists", "listing lists", h.lists},
		{"GET /v1/lists/{list}", "listing entries", h.entries},
		{"POST /v1/lists/{list}/match", "looking keys up", h.match},
		{"GET /v1/holds", "listing holds", h.holds},
		{"GET /v1/unanchored", "listing records without an anchor", h.unanchored},
		{"GET /v1/anchor-findings", "listing anchors that can't stand", h.findings},
		{"GET /v1/grants", "listing grants", h.grants},
		{"GET /v1/rules", "reading the rules", h.rules},
		{"GET /v1/rules/{version}", "reading a version", h.version},
		{"GET /v1/payloads/{tx}", "naming a payload", h.payload},
		{"GET /v1/erasures", "listing erasures", h.erasures},
		{"GET /v1/explain/{tx}", "explaining", h.explain},
		{"POST /v1/pseudonyms", "making pseudonyms", h.pseudonyms},
	}
	for _, route := range routes {
		mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			v, err := route.answer(r)
			if err != nil {
				h.fail(w, r, route.does, err)
				return
			}
			answer(w, v)
		})
	}
	mux.HandleFunc("GET /v1/past", h.past)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, "routing", notFound("there is nothing here", "无此地址"))
	})
	return mux, nil
}

func (h *handler) now() int64 { return h.Clock().Unix() }

// number reads a whole number from the query.
func number(r *http.Request, name string, otherwise uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, badParameter(name, "a whole number", "非负整数")
	}
	return n, nil
}

// limit reads how long a page may be.
func limit(r *http.Request) (uint64, error) {
	n, err := number(r, "limit", defaultPage)
	if err == nil && (n == 0 || n > maxPage) {
		return 0, badParameter("limit", "1 to "+strconv.Itoa(maxPage), "1 至 "+strconv.Itoa(maxPage)+" 的整数")
	}
	return n, err
}

// page reads from and limit.
func page(r *http.Request) (from, most uint64, err error) {
	if from, err = number(r, "from", 1); err != nil {
		return 0, 0, err
	}
	most, err = limit(r)
	return max(from, 1), most, err
}

func body(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, unreadable()
	}
	return data, nil
}

package contract

import (
	"fmt"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// State is the supervision chain's state as the contract sees it. The host
// gives one that belongs to the block being decided.
type State interface {
	// Get returns the value under key, among them values that were set
	// earlier in the same block; nil means that there is none. An error is a
	// failure of the storage and ends the block.
	Get(key []byte) ([]byte, error)
	// Set stages value under key in the host's batch for the block; it stands
	// when the block is committed. The contract keeps neither slice and never
	// sets nil.
	Set(key, value []byte)
}

// The layout of the state. Every value is deterministic CBOR (flow.Marshal).
// Hashes and key ids stand in keys as lower hex, names as they are; the parts
// of a list key are netstrings ("5:abcde"), so that no two keys run together.
//
//	params                          params, set at genesis
//	identity/<id>                   Identity
//	key/<key id>                    string, the identity that owns the key
//	licence/<pseudonym>             string, the identity that holds the licence
//	list/<list>/<part>...           []Entry, the entries for this very key
//	count/<list>                    uint64, entries ever added to the list
//	entry/<list>/<number>           []string, the key of the numbered entry
//	definition/<list>               Definition, of a list of the authority's own
//	step-lists/<step>               []Definition, those that the step looks up
//	record/<pseudonym>              recordState: which flow a record has, and its content
//	flow/<flow id>                  FlowState
//	permit/<transaction hash>       permit: a token given by this decision
//	counter/<hash>                  days: what a counter has under one key
//	observed/<address>/<rule>       uint64, hits of a rule in mode observe
//	bundle/current                  bundleRef: address and version in force
//	bundle/due                      []Scheduled, bundles that wait to take force
//	bundle/<address>                []byte, the bundle as published (YAML)
//	version/<number>                Version: which bundle it was, since when, by which order
//	standing/<institution>          standing, as the last order set it
//	grant/<code>                    Grant
//	grants/<institution>            []string, codes of the grants that it may still use
//	automatic/<rule>/<institution>  automatic: what a rule has issued to it
//	automatic-grant/<number>        string, code of the numbered batch grant by rule
//	automatic-grants                uint64, batch grants that rules have issued
//	frozen/<what>/<id>              frozen: whether a flow, subject or institution is frozen
//	stop/<business>/<step>          stopped: until when the step is stopped for the business
//	hold/<transaction hash>         heldRequest: a submission that waits for an officer, or did
//	hold-number/<number>            flow.Hash, the transaction of the numbered hold
//	holds                           holdCount: how many holds there were, and which may still be open
//	order/<number>                  OrderRecord, an officer's order that was carried out
//	orders                          uint64, orders carried out
//	policy                          Policy: which kinds of order need a second officer
//	committee                       committee.Committee: who validates, and who may
//	node/<id>                       NodeSeat: the keys of a node's identity
//	retention/<business>            int64, days that its payloads are kept; 0: for good
//	erasure/<transaction hash>      Erased: a payload that an officer ordered to be destroyed
//	log-keys                        string, the key file of the log (receipt.Keys)
//	network/<network id>            string, the identity of the node that others know by it; empty: no more
func paramsKey() []byte                  { return []byte("params") }
func identityKey(id string) []byte       { return []byte("identity/" + id) }
func keyKey(k flow.KeyID) []byte         { return []byte("key/" + k.String()) }
func licenceKey(pseudonym string) []byte { return []byte("licence/" + pseudonym) }
func countKey(list List) []byte          { return []byte("count/" + string(list)) }
func recordKey(pseudonym string) []byte  { return []byte("record/" + pseudonym) }
func flowKey(id flow.Hash) []byte        { return []byte("flow/" + id.String()) }
func permitKey(tx flow.Hash) []byte      { return []byte("permit/" + tx.String()) }
func currentBundleKey() []byte           { return []byte("bundle/current") }
func bundleKey(address flow.Hash) []byte { return []byte("bundle/" + address.String()) }
func dueKey() []byte                     { return []byte("bundle/due") }
func versionKey(n uint64) []byte         { return []byte("version/" + ordinal(n)) }
func definitionKey(list List) []byte     { return []byte("definition/" + string(list)) }
func stepListsKey(step flow.Step) []byte { return []byte("step-lists/" + string(step)) }
func standingKey(id string) []byte       { return []byte("standing/" + id) }
func grantKey(code string) []byte        { return []byte("grant/" + code) }
func grantsKey(id string) []byte         { return []byte("grants/" + id) }
func holdKey(tx flow.Hash) []byte        { return []byte("hold/" + tx.String()) }
func holdNumberKey(n uint64) []byte      { return []byte("hold-number/" + ordinal(n)) }
func holdsKey() []byte                   { return []byte("holds") }
func orderKey(n uint64) []byte           { return []byte("order/" + ordinal(n)) }
func ordersKey() []byte                  { return []byte("orders") }
func policyKey() []byte                  { return []byte("policy") }
func committeeKey() []byte               { return []byte("committee") }
func logKeysKey() []byte                 { return []byte("log-keys") }
func nodeKey(id string) []byte           { return []byte("node/" + id) }
func networkKey(id string) []byte        { return []byte("network/" + id) }

func retentionKey(business string) []byte { return []byte("retention/" + business) }
func erasureKey(tx flow.Hash) []byte      { return []byte("erasure/" + tx.String()) }

func automaticKey(rule, id string) []byte { return []byte("automatic/" + rule + "/" + id) }
func automaticGrantKey(n uint64) []byte   { return []byte("automatic-grant/" + ordinal(n)) }
func automaticCountKey() []byte           { return []byte("automatic-grants") }

func frozenKey(what Frozen, id string) []byte {
	return []byte("frozen/" + string(what) + "/" + id)
}

func stopKey(business string, step flow.Step) []byte {
	return []byte("stop/" + business + "/" + string(step))
}

func entryKey(list List, number uint64) []byte {
	return []byte("entry/" + string(list) + "/" + ordinal(number))
}

// ordinal writes a number so that keys sort as numbers do: the host can list a
// history with one scan.
func ordinal(n uint64) string { return fmt.Sprintf("%020d", n) }

func listKey(list List, parts []string) []byte {
	var b strings.Builder
	b.WriteString("list/" + string(list) + "/")
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)) + ":" + p)
	}
	return []byte(b.String())
}

// load reads the value under key into v and says whether there is one.
func load(s State, key []byte, v any) (bool, error) {
	data, err := s.Get(key)
	if err != nil {
		return false, fmt.Errorf("reading state: %w", err)
	}
	if data == nil {
		return false, nil
	}
	if err := flow.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("reading state: value under %q: %w", key, err)
	}
	return true, nil
}

func store(s State, key []byte, v any) error {
	data, err := flow.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing state: value for %q: %w", key, err)
	}
	s.Set(key, data)
	return nil
}

// FlowState is what the supervision chain knows of a flow.
type FlowState struct {
	_ struct{} `cbor:",toarray"`

	State      flow.State //
	Platform   string     // the identity that registered it and alone may go on with it
	Network    string     // the business chain whose records it permits
	Business   string     //
	Record     string     // pseudonym, as in Facts
	Subject    string     // pseudonym
	Originator string     // pseudonym
	Lines      []Line     // what was prescribed, one line an item
	ExpiresOn  int64      // last day of the record's validity, days since 1970-01-01; 0 unknown
	Reviewer   string     // who approved or rejected; empty before
	Pending    flow.Hash  // transaction whose token waits to be used; zero for none
	Order      OrderState // the order granted last
	Tags       []string   // of the record, sorted
}

// Line is one item and how much of it.
type Line struct {
	_ struct{} `cbor:",toarray"`

	Item     string // pseudonym
	Quantity int64  // thousandths of the unit
}

// OrderState is what later steps must agree with.
type OrderState struct {
	_ struct{} `cbor:",toarray"`

	Producer string
	Amount   int64  // minor units
	Insured  int64  // the part of it borne by insurance
	Currency string // ISO 4217
}

// recordState remembers which flow a record has (its number and content), so
// that a second registration of it is recognised.
type recordState struct {
	_ struct{} `cbor:",toarray"`

	Flow     flow.Hash
	Platform string
	Content  string
}

// permit is a token as given by one granted review request or order.
type permit struct {
	_ struct{} `cbor:",toarray"`

	Flow    flow.Hash
	Step    flow.Step // the step that gave it
	Actor   string    // the reviewer or producer it was given to
	Token   flow.Hash
	Expires int64 // Unix seconds; no longer valid from this second on
	Used    bool
}

// FlowOf returns what is known of a flow; false when the chain has none under id.
func FlowOf(s State, id flow.Hash) (FlowState, bool, error) {
	var f FlowState
	ok, err := load(s, flowKey(id), &f)
	return f, ok, err
}

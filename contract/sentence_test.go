package contract_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// split gives a sentence's words; what stands in quotes is one word, commas
// only help to read.
func split(sentence string) []string {
	var words []string
	for i, part := range strings.Split(sentence, `"`) {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(strings.ReplaceAll(part, ",", " "))...)
	}
	return words
}

func number(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

// txOf is the transaction hash of the submission of that name.
func txOf(name string) flow.Hash { return flow.SumHash([]byte("transaction " + name)) }

// request reads "platform P1 submits STEP NAME" and the clauses after it, or
// "NAME again as NAME2": the same submission under another transaction.
func (w *world) request(words []string) (string, contract.Request, error) {
	if len(words) >= 4 && words[1] == "again" && words[2] == "as" {
		r, ok := w.requests[words[0]]
		if !ok {
			return "", r, fmt.Errorf("there is no submission %s", words[0])
		}
		r.Tx, r.Now = txOf(words[3]), w.now
		return words[3], r, w.clauses(&r, words[4:])
	}
	if len(words) < 5 || words[0] != "platform" || words[2] != "submits" {
		return "", contract.Request{}, fmt.Errorf("want: platform NAME submits STEP NAME ...")
	}
	platform, step, name := words[1], flow.Step(words[3]), words[4]
	_, key := keyOf(platform)
	r := contract.Request{
		Header: flow.Header{
			Version: 1, Suite: "intl", Chain: "chain-1", Network: "net-1", Business: "prescription",
			Platform: platform, Step: step, Sender: key,
		},
		Tx: txOf(name), Now: w.now,
	}
	if step == flow.Register {
		r.Facts.Record, r.Facts.Content = "record-"+name, "content-"+name
	}
	return name, r, w.clauses(&r, words[5:])
}

// clauses reads what follows, each clause a word and its values.
func (w *world) clauses(r *contract.Request, words []string) error {
	for len(words) > 0 {
		taken, err := w.clause(r, words[0], words[1:])
		if err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
		words = words[1+taken:]
	}
	return nil
}

// clause applies one clause and says how many values it took.
func (w *world) clause(r *contract.Request, word string, values []string) (int, error) {
	switch word {
	case "approved":
		r.Facts.Approved = true
		return 0, nil
	case "rejected":
		r.Facts.Approved = false
		return 0, nil
	}
	if len(values) == 0 {
		return 0, fmt.Errorf("wants a value")
	}
	switch word {
	case "items":
		return items(&r.Facts, values)
	case "tags":
		r.Facts.Tags = values
		return len(values), nil
	case "amount", "insured", "days", "expires", "issued", "item-count":
		return 1, w.quantity(&r.Facts, word, values[0])
	case "token", "permit":
		return 1, w.token(&r.Facts, word, values[0])
	case "enrols", "role", "licence", "status", "with-key-of", "valid-to":
		return 1, w.enrolment(&r.Facts, word, values[0])
	}
	return 1, text(r, word, values[0])
}

func text(r *contract.Request, word, value string) error {
	switch word {
	case "of":
		r.Header.Flow = txOf(value)
	case "by":
		r.Header.Actor = value
		switch r.Header.Step {
		case flow.ReviewRequest, flow.ReviewResult:
			r.Facts.Reviewer = value
		default:
			r.Facts.Producer = value
		}
	case "for":
		r.Facts.Subject = value
	case "record":
		r.Facts.Record = value
	case "content":
		r.Facts.Content = value
	case "currency":
		r.Facts.Currency = value
	case "unreadable":
		r.Facts.Unreadable = value
	case "at":
		r.Facts.UnreadablePath = value
	case "actor":
		r.Header.Actor = value
	case "signed-by":
		_, r.Header.Sender = keyOf(value)
	case "chain":
		r.Header.Chain = value
	case "suite":
		r.Header.Suite = value
	case "network":
		r.Header.Network = value
	case "business":
		r.Header.Business = value
	case "payload-business":
		r.Facts.Business = value
	default:
		return fmt.Errorf("is no clause")
	}
	return nil
}

// items reads ITEM*QUANTITY words, with +TAG after them.
func items(f *contract.Facts, values []string) (int, error) {
	f.Items = nil
	for n, v := range values {
		name, rest, isItem := strings.Cut(v, "*")
		if !isItem {
			return n, nil
		}
		parts := strings.Split(rest, "+")
		quantity, err := number(parts[0])
		if err != nil {
			return 0, err
		}
		f.Items = append(f.Items, contract.ItemFacts{Item: name, Quantity: quantity, Tags: parts[1:], DaysSupply: f.DaysSupply})
	}
	return len(values), nil
}

func (w *world) quantity(f *contract.Facts, word, value string) error {
	if word == "expires" || word == "issued" {
		at, err := w.time(value)
		_, offset := w.zoneOffset(at)
		day := (at + offset) / 86400
		if word == "expires" {
			f.ExpiresOn = day
		} else {
			f.IssuedOn = day
		}
		return err
	}
	n, err := number(value)
	switch word {
	case "amount":
		f.Amount = n
		if f.Currency == "" {
			f.Currency = "CNY"
		}
	case "insured":
		f.Insured = n
	case "days":
		f.DaysSupply = n
	case "item-count":
		f.Items = make([]contract.ItemFacts, n)
	}
	return err
}

func (w *world) zoneOffset(at int64) (string, int64) {
	if w.genesis.Zone == "" {
		return "", 8 * 60 * 60
	}
	return w.genesis.Zone, w.genesis.ZoneOffset
}

// token takes token and permit of an earlier answer; "permit" takes the latter alone.
func (w *world) token(f *contract.Facts, word, name string) error {
	if name == "none" {
		f.Token, f.Permit = flow.Hash{}, flow.Hash{}
		return nil
	}
	d, ok := w.answers[name]
	if !ok && word == "token" {
		return fmt.Errorf("there is no answer to %s", name)
	}
	f.Permit = txOf(name)
	if word == "token" {
		f.Token = d.Token
	}
	return nil
}

func (w *world) enrolment(f *contract.Facts, word, value string) error {
	if f.Enrol == nil {
		i := identity(contract.RoleReviewer, value)
		f.Enrol = &i
	} else {
		i := *f.Enrol // a repeated submission has facts of its own
		f.Enrol = &i
	}
	var err error
	switch word {
	case "role":
		f.Enrol.Role = contract.Role(value)
	case "licence":
		f.Enrol.Licence = value
	case "status":
		f.Enrol.Status = contract.Status(value)
	case "with-key-of":
		f.Enrol.SPKI, f.Enrol.Key = keyOf(value)
	case "valid-to":
		f.Enrol.NotAfter, err = w.time(value)
	}
	return err
}

// then compares the last answer, or the state.
func (w *world) then(sentence string) error {
	words := split(sentence)
	switch words[0] {
	case "granted", "refused", "held":
		return w.thenVerdict(words)
	case "erased":
		return w.thenErased(words[1:])
	case "committee":
		return w.thenCommittee(words[1:])
	case "order", "entry", "hold", "grant":
		return w.thenOffice(words)
	case "flow":
		f, known, err := contract.FlowOf(w.state, txOf(words[1]))
		if err != nil || !known || string(f.State) != words[3] {
			return fmt.Errorf("flow %s: known %t, in state %q, error %v", words[1], known, f.State, err)
		}
		return nil
	case "reviewer", "producer", "platform", "officer", "originator", "node":
		i, known, err := contract.IdentityOf(w.state, words[1])
		if err != nil || !known || string(i.Status) != words[3] {
			return fmt.Errorf("%s: known %t, %q, error %v", words[1], known, i.Status, err)
		}
		return nil
	}
	return fmt.Errorf("%q can't be checked", words[0])
}

// thenVerdict reads "granted", "refused with CODE..." or "held with CODE..."
// and what else the answer must hold.
func (w *world) thenVerdict(words []string) error {
	d := w.last
	if string(d.Verdict) != words[0] {
		return fmt.Errorf("it is %s: %v", d.Verdict, d.Reasons)
	}
	rest := words[1:]
	var codes []string
	if len(rest) > 0 && rest[0] == "with" {
		for rest = rest[1:]; len(rest) > 0 && !slices.Contains(clausesOfThen, rest[0]); rest = rest[1:] {
			codes = append(codes, rest[0])
		}
	}
	var got []string
	for _, r := range d.Reasons {
		got = append(got, r.Code)
		if r.Zh == "" || r.En == "" || strings.Contains(r.Zh+r.En, "%!") {
			return fmt.Errorf("%s has no proper words: %q, %q", r.Code, r.Zh, r.En)
		}
	}
	if !slices.Equal(got, codes) {
		return fmt.Errorf("its reasons are %v", d.Reasons)
	}
	for len(rest) > 1 {
		if err := w.thenClause(rest[0], rest[1]); err != nil {
			return err
		}
		rest = rest[2:]
	}
	return nil
}

var clausesOfThen = []string{"on", "at", "zh", "en", "token", "until", "flags", "observed", "flow", "version", "standing", "grant", "by-order"}

func (w *world) thenClause(word, want string) error {
	d := w.last
	var got string
	switch word {
	case "on":
		got = string(d.Basis)
	case "at": // "id of F1" stands for the hash
		for _, r := range d.Reasons {
			got = strings.TrimPrefix(got+" "+r.Path, " ")
		}
		if name, isFlow := strings.CutPrefix(want, "id of "); isFlow {
			want = txOf(name).String()
		}
	case "zh":
		got = d.Reasons[0].Zh
	case "en":
		got = d.Reasons[0].En
	case "token":
		got = d.Token.String()
	case "until":
		at, err := w.time(want)
		if err != nil {
			return err
		}
		got, want = fmt.Sprint(d.Expires), fmt.Sprint(at)
	case "flags":
		got = strings.Join(d.Flags, " ")
	case "observed":
		got = strings.Join(d.Observed, " ")
	case "flow":
		got, want = d.Flow.String(), txOf(want).String()
		if strings.HasPrefix(want, txOf("none").String()) {
			want = flow.Hash{}.String()
		}
	case "standing":
		got = string(d.Standing)
	case "grant":
		got, want = d.Grant, w.grants[want]
	case "by-order":
		got = fmt.Sprint(d.Order)
	case "version":
		got = fmt.Sprint(d.Version)
	default:
		return fmt.Errorf("an answer has no %q", word)
	}
	if got != want {
		return fmt.Errorf("%s is %q, want %q", word, got, want)
	}
	return nil
}

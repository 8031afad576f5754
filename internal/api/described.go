package api

import (
	"maps"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

const (
	hashPattern = "^[0-9a-f]{64}$"
	idPattern   = "^[0-9a-f]{32}$"
)

func hash(text string) said { return said{text: text, pattern: hashPattern} }

func id(text string) said { return said{text: text, pattern: idPattern} }

// described says what the properties of others' types are, and of what is a hash
// or an id in our own.
func described() map[string]map[string]said {
	all := ofFlows()
	maps.Copy(all, map[string]map[string]said{
		"Reason": {
			"code": {text: "Stable and for programs."},
			"path": {text: "A JSON pointer into the record, or the name of a fact."},
			"zh":   {text: "The reason in Chinese."},
			"en":   {text: "The reason in English."},
		},
		"Event": {
			"id":      {text: "Counts up, with gaps."},
			"at":      {text: "When it happened."},
			"kind":    {text: "What happened.", enum: []any{"step.submitted", "step.held", "step.refused", "step.done", "step.lapsed", "order.fetched", "payment.open", "payment.failed"}},
			"flow":    hash("The flow's txhash, where known."),
			"ref":     id("The flow's registration. Absent from an enrolment."),
			"step":    {text: "Which step.", enum: steps()},
			"verdict": {text: "The authority's decision.", enum: verdicts()},
			"tx":      hash("The decision's transaction on the supervision chain."),
			"party":   {text: "The reviewer or producer whom it concerns."},
		},
		"Registration": {
			"ref":   id("Names the flow from now on: the registration's submission id."),
			"flow":  hash("The flow's txhash, once granted."),
			"state": {text: "Where the flow stands: pending while its registration is undecided.", enum: states()},
		},
		"Reconciliation": {
			"open":     {text: "Open findings, in all."},
			"mending":  {text: "Of them, those that the platform is mending by itself."},
			"dropped":  {text: "Differences that found no room, since the process began."},
			"kinds":    {text: "Open findings by kind."},
			"waiting":  {text: "Steps that wait for a decision or for the business chain."},
			"followed": {text: "The business chain's records that have been compared, by position."},
			"swept_at": {text: "When the slow sweep over all of it went on last."},
			"findings": {text: "A page of them, newest first."},
			"next":     {text: "Pass it as before for the next page. Absent on the last one."},
		},
		"Finding": {
			"id":       {text: "Counts up, with gaps."},
			"kind":     {text: "What differs.", enum: findingKinds()},
			"zh":       {text: "What it means, in Chinese."},
			"en":       {text: "What it means, in English."},
			"key":      {text: "The decision's transaction; of what is undecided, the submission's id."},
			"flow":     hash("The flow's txhash, where known."),
			"step":     {text: "Which step.", enum: steps()},
			"expected": {text: "What the platform's database has."},
			"actual":   {text: "What the business chain has."},
			"first":    {text: "When it was seen first."},
			"last":     {text: "When it was seen last."},
			"resolved": {text: "When it was gone. Absent while it is open."},
		},
		"Problem": {
			"ref": id("The refused registration."),
			"tx":  hash("The decision's transaction; its receipt proves the refusal."),
		},
	})
	return all
}

func ofFlows() map[string]map[string]said {
	return map[string]map[string]said{
		"Flow": {
			"seq":        {text: "Counts up in order of registration."},
			"ref":        id("The registration's submission id: names the flow before it has its txhash."),
			"flow":       hash("The txhash, once granted (R1.6)."),
			"state":      {text: "Where it stands.", enum: states()},
			"title":      {text: "A line for people that names no person."},
			"number":     {text: "The originator's number for the record."},
			"created_at": {text: "When the record came in."},
			"updated_at": {text: "When the state changed last."},
			"steps":      {text: "In the order in which they were taken."},
		},
		"Step": {
			"id":          id("The submission's id."),
			"step":        {text: "Which step.", enum: steps()},
			"actor":       {text: "The reviewer or producer."},
			"state":       {text: "Where it stands. done, refused and lapsed are final; lapsed is granted, but the business chain did not take the record.", enum: []any{"pending", "held", "granted", "done", "refused", "lapsed"}},
			"verdict":     {text: "The authority's decision. Absent while unknown.", enum: verdicts()},
			"reasons":     {text: "Of a refusal or a hold."},
			"tx":          hash("The decision's transaction on the supervision chain."),
			"business_tx": {text: "The record's transaction on the business chain, in that chain's form."},
			"token":       hash("The token of a granted review.request or order (R2.3, R3.3)."),
			"expires":     {text: "When the token expires."},
			"receipt":     {text: "Whether there is a receipt of tx."},
			"anchored":    {text: "Whether the authority was told where the record stands."},
			"at":          {text: "When the step was taken."},
			"ms":          {text: "Milliseconds from the intent to its end, or so far."},
			"problem":     {text: "What went wrong last, while not final."},
		},
		"Parts": {
			"submitting": {text: "Milliseconds until the fusion node had the submission."},
			"deciding":   {text: "Milliseconds from there to the decision."},
			"storing":    {text: "Milliseconds from there until the record stood on the business chain."},
		},
	}
}

func states() []any {
	return []any{"pending", "registered", "in_review", "approved", "rejected", "ordered", "settled", "delivered", "refused"}
}

func steps() []any {
	var out []any
	for _, s := range flow.Steps() {
		out = append(out, s)
	}
	return out
}

func findingKinds() []any {
	var out []any
	for _, k := range reconcile.Kinds() {
		out = append(out, k)
	}
	return out
}

func verdicts() []any { return []any{flow.Granted, flow.Refused, flow.Held} }

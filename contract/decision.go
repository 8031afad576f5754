package contract

import "signalbox.dev/signalbox/flow"

// Request is one submission as the supervision chain puts it to the contract.
// The host has checked the platform's signature and the authority's.
type Request struct {
	Header flow.Header
	Tx     flow.Hash // transaction hash on the supervision chain
	Facts  Facts
	Now    int64 // the block's time, Unix seconds
}

// Basis is the stage that a verdict rests on: the first one with reasons; when
// there were none, the rules, or the standing that passed over them; and for a
// held submission that is resolved, the officer's word.
type Basis string

// The stages, in the contract's order.
const (
	BasisContent   Basis = "content"   // what was sealed could not be taken
	BasisAdmission Basis = "admission" // who may submit what
	BasisFreeze    Basis = "freeze"    // what an officer has frozen or stopped
	BasisSequence  Basis = "sequence"  // what may follow on what
	BasisTokens    Basis = "tokens"
	BasisLists     Basis = "lists"
	BasisStanding  Basis = "standing" // an institution's standing, or its batch grant
	BasisRules     Basis = "rules"
	BasisHold      Basis = "hold" // an officer's word on a held submission, or its deadline
)

// Decision is the contract's answer. Equal state and request give an equal one.
type Decision struct {
	Verdict  flow.Verdict
	Reasons  []flow.Reason // why refused or held; none when granted
	Flags    []string      // ids of rules with effect flag or list that hit, and of the one that issued the batch grant used
	Observed []string      // ids of rules in mode observe that hit, or failed, then with ":error"
	Flow     flow.Hash     // the flow; Tx for a granted registration, zero where there is none
	Contract flow.Hash     // address of the rule bundle in force
	Version  uint64        // and its version
	Basis    Basis         // what the verdict rests on
	Token    flow.Hash     // of a granted review request or order; zero otherwise
	Expires  int64         // Unix seconds from which the token no longer counts; 0 for no token
	Standing Standing      // the strictest of the institutions' (R6.3); empty when it was not asked for
	Grant    string        // code of the batch grant used; empty for none
	Order    uint64        // the officer's order that decided a held submission; 0 for none
}

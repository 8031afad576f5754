package prescription

import (
	"fmt"
	"slices"
	"time"

	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// Names of our own in FHIR, for what FHIR R4 has no element for. Without them a
// prescription has no prices and its items no tags.
const (
	fhirBase        = "https://signalbox.dev/fhir/"
	priceExtension  = fhirBase + "StructureDefinition/line-price"            // on a MedicationRequest, valueMoney
	ratioExtension  = fhirBase + "StructureDefinition/reimbursement-permill" // on a MedicationRequest, valueInteger
	tagSystem       = fhirBase + "CodeSystem/item-tag"                       // coding in MedicationRequest.category
	categorySystem  = fhirBase + "CodeSystem/prescription-category"          // likewise
	personalSystem  = fhirBase + "sid/"                                      // before one of IDTypes, Patient.identifier.system
	residentOID     = "urn:oid:2.16.156.10011.1.3"                           // resident id in Chinese health documents
	nhsNumberSystem = "https://fhir.nhs.uk/Id/nhs-number"
)

// fhirReader carries one input while it is read.
type fhirReader struct {
	*problems
	g      *graph
	rx     *Prescription
	header *resource          // the MessageHeader of a message
	seen   map[*resource]bool // conditions read as diagnoses
}

// readFHIR reads one MedicationRequest, or a Bundle of them. What is malformed
// or missing goes to r, and r.places says where in the input each part of the
// prescription was looked for. The error is a *profile.Refusal, or what r holds
// when there is no prescription to go on with.
func readFHIR(root *jsontree.Node, currency string, rx *Prescription, r *problems) error {
	rx.Source, rx.Currency = FHIR, currency
	r.places = map[string]string{"": ""}
	f := &fhirReader{problems: r, rx: rx, seen: map[*resource]bool{}}
	switch root.Str("resourceType") {
	case "MedicationRequest":
		f.g = newGraph(root, nil, r)
	case "Bundle":
		if err := f.bundle(root); err != nil {
			return err
		}
	default:
		return refusal("resource_not_supported", "/resourceType",
			"不支持该 FHIR 资源：应为 MedicationRequest 或 Bundle", "this FHIR resource is not supported: send a MedicationRequest or a Bundle")
	}
	// A contained request tells of another order, such as the one before.
	requests := slices.DeleteFunc(f.g.ofKind("MedicationRequest"), func(r *resource) bool { return r.home != r })
	if len(requests) == 0 {
		f.addAt("/entry", "缺少 MedicationRequest", "holds no MedicationRequest")
		return r.err()
	}
	if len(requests) > MaxItems {
		f.addAt("/entry", fmt.Sprintf("MedicationRequest 超过 %d 个", MaxItems), fmt.Sprintf("holds over %d MedicationRequests", MaxItems))
		return r.err()
	}
	return f.prescription(requests)
}

func (f *fhirReader) bundle(root *jsontree.Node) error {
	var b fhirBundle
	f.decoded(jsontree.Decode(root, "", &b, jsontree.Lenient))
	if b.Type != "message" && b.Type != "collection" {
		return refusal("bundle_type_not_supported", "/type",
			"不支持该 Bundle 类型：应为 message 或 collection", "this type of Bundle is not supported: send a message or a collection")
	}
	if b.Entry == nil {
		b.Entry = []fhirEntry{}
	}
	f.g = newGraph(root, b.Entry, f.problems)
	if b.Type == "collection" {
		return nil
	}
	if len(f.g.all) == 0 || f.g.all[0].kind != "MessageHeader" {
		f.addAt("/entry/0/resource", "消息的首个资源应为 MessageHeader", "a message begins with a MessageHeader")
		return nil
	}
	f.header = f.g.all[0]
	return f.event()
}

// event takes new orders and refuses other messages by name.
func (f *fhirReader) event() error {
	var h fhirMessageHeader
	f.read(f.header, &h)
	at := f.header.at + "/eventCoding/code"
	switch {
	case h.EventURI != "":
		return refusal("message_event_not_supported", f.header.at+"/eventUri", "不支持该消息事件", "this message event is not supported")
	case h.EventCoding == nil || h.EventCoding.Code == "":
		f.addAt(at, "缺少该字段", "is missing")
	case h.EventCoding.Code == "prescription-order-update":
		return cancellation(at)
	case h.EventCoding.Code != "prescription-order":
		return refusal("message_event_not_supported", at, "不支持该消息事件：应为 prescription-order", "this message event is not supported: send prescription-order")
	}
	return nil
}

func cancellation(at string) *profile.Refusal {
	return refusal("cancellation_not_supported", at, "暂不支持撤销或变更处方", "cancelling or changing a prescription is not supported yet")
}

// read fills v from a resource, and reports what in it has the wrong type.
func (f *fhirReader) read(res *resource, v any) {
	f.decoded(jsontree.Decode(res.node, res.at, v, jsontree.Lenient))
}

// order is one MedicationRequest as it is read.
type order struct {
	*resource
	fhirMedicationRequest
}

func (f *fhirReader) prescription(requests []*resource) error {
	orders := make([]*order, len(requests))
	for i, res := range requests {
		o := &order{resource: res}
		f.read(res, &o.fhirMedicationRequest)
		if err := o.refused(); err != nil {
			return err
		}
		orders[i] = o
	}
	if err := f.same(orders); err != nil {
		return err
	}
	first := orders[0]
	f.places["/diagnosis"] = first.at + "/reasonCode"
	f.number(first)
	f.patient(first)
	prescriber := f.prescriber(first)
	f.originator(prescriber)
	f.rx.Items = make([]Item, len(orders))
	for i, o := range orders {
		f.item(i, o)
		f.dates(o)
		f.diagnoses(o)
		f.marks(o)
		if f.rx.Producer == "" {
			f.producer(o)
		}
	}
	return nil
}

// refused says what a request asks for that is not an order to be filled.
func (o *order) refused() error {
	switch {
	case len(o.ModifierExtension) > 0 || len(o.Dispense.ModifierExtension) > 0 || o.ImplicitRules != "":
		return refusal("modifier_not_understood", o.at, "含有不理解的修饰扩展或隐含规则", "holds a modifier extension or implicit rules that are not understood")
	case o.Status == "cancelled":
		return cancellation(o.at + "/status")
	case o.Status != "active":
		return refusal("status_not_active", o.at+"/status", "处方状态应为 active", "the request's status is not active")
	case !slices.Contains([]string{"order", "original-order", "reflex-order", "filler-order", "instance-order"}, o.Intent):
		return refusal("intent_not_an_order", o.at+"/intent", "不是医嘱：意图应为 order 类", "the request's intent is not an order")
	case o.DoNotPerform:
		return refusal("do_not_perform", o.at+"/doNotPerform", "该请求要求不执行", "the request asks that something is not done")
	}
	return nil
}

// group is what ties requests to one prescription.
func (o *order) group() (value, at string) {
	if v := o.GroupIdentifier.value(); v != "" {
		return v, o.at + "/groupIdentifier/value"
	}
	for i := range o.Identifier {
		if v := o.Identifier[i].Value; v != "" {
			return v, jsontree.Index(o.at+"/identifier", i) + "/value"
		}
	}
	return "", o.at + "/groupIdentifier"
}

// same refuses requests that belong to several prescriptions, patients,
// prescribers or pharmacies.
func (f *fhirReader) same(orders []*order) error {
	value := func(ref *fhirReference, in *order) string {
		if ref == nil {
			return ""
		}
		if res := f.g.find(in.resource, ref.Reference); res != nil && res.home == res {
			return res.at
		}
		return ref.Reference + " " + ref.Identifier.text()
	}
	first := orders[0]
	number, _ := first.group()
	producer := value(first.Dispense.Performer, first)
	for _, o := range orders[1:] {
		if n, at := o.group(); n != number {
			return refusal("several_prescriptions", at, "含有多张处方，请分别发送", "holds several prescriptions: send each by itself")
		}
		if value(o.Subject, o) != value(first.Subject, first) {
			return refusal("several_subjects", o.at+"/subject", "含有多位患者", "holds several patients")
		}
		if value(o.Requester, o) != value(first.Requester, first) {
			return refusal("several_prescribers", o.at+"/requester", "含有多位开方者", "holds several prescribers")
		}
		// Not every request need name one.
		if p := value(o.Dispense.Performer, o); p != "" {
			if producer != "" && p != producer {
				return refusal("several_producers", o.at+"/dispenseRequest/performer", "指定了多家药店", "names several pharmacies")
			}
			producer = p
		}
	}
	return nil
}

func (f *fhirReader) number(o *order) {
	f.rx.Number, f.places["/number"] = o.group()
}

// fhirDay is the day of a FHIR date or dateTime as its own calendar has it. What
// is neither, or has no day, is given back and fails as a date later.
func fhirDay(s string) string {
	if _, err := time.Parse(time.RFC3339, s); err == nil {
		return s[:len(time.DateOnly)]
	}
	return s
}

// dates takes the earliest of each, as the whole prescription lasts no longer.
func (f *fhirReader) dates(o *order) {
	issued, at := o.AuthoredOn, o.at+"/authoredOn"
	if issued == "" {
		issued, at = o.Dispense.ValidityPeriod.Start, o.at+"/dispenseRequest/validityPeriod/start"
	}
	f.earliest("/issued", &f.rx.Issued, fhirDay(issued), at)
	f.earliest("/valid_until", &f.rx.ValidUntil, fhirDay(o.Dispense.ValidityPeriod.End), o.at+"/dispenseRequest/validityPeriod/end")
}

func (f *fhirReader) earliest(place string, day *string, s, at string) {
	// A malformed one is kept, so that it is reported.
	if s != "" && (*day == "" || isDate(*day) && (!isDate(s) || s < *day)) {
		*day, f.places[place] = s, at
	}
}

func (f *fhirReader) diagnoses(o *order) {
	for i := range o.ReasonCode {
		f.diagnosis(&o.ReasonCode[i], jsontree.Index(o.at+"/reasonCode", i))
	}
	for i, ref := range o.ReasonReference {
		if res := f.g.find(o.resource, ref.Reference); res != nil && res.kind == "Condition" {
			if f.seen[res] {
				continue
			}
			f.seen[res] = true
			var c fhirCondition
			f.read(res, &c)
			f.diagnosis(&c.Code, res.at+"/code")
		} else if ref.Display != "" {
			f.diagnosis(&fhirConcept{Text: ref.Display}, jsontree.Index(o.at+"/reasonReference", i)+"/display")
		}
	}
}

// diagnosis adds one, unless another item gave it already.
func (f *fhirReader) diagnosis(c *fhirConcept, at string) {
	d := Diagnosis{Code: c.code(), Name: c.Text}
	if d.Name == "" {
		zh, en := c.names()
		d.Name = max(zh, en) // Han sorts after Latin: the Chinese name where there is one
	}
	if len(f.rx.Diagnosis) <= maxDiagnoses && !slices.Contains(f.rx.Diagnosis, d) {
		f.places[jsontree.Index("/diagnosis", len(f.rx.Diagnosis))] = at
		f.rx.Diagnosis = append(f.rx.Diagnosis, d)
	}
}

// marks reads what holds for the whole prescription.
func (f *fhirReader) marks(o *order) {
	if f.rx.Category == "" {
		f.places["/category"] = o.at + "/category"
	}
	if len(o.Insurance) > 0 {
		f.rx.Insured = true
	}
	if c := o.CourseOfTherapy; c != nil && (c.has("continuous") || c.has("continuous-repeat-dispensing")) {
		f.rx.Chronic = true
	}
	for i, c := range o.Category {
		for _, k := range c.Coding {
			if k.System != categorySystem {
				continue
			}
			at := jsontree.Index(o.at+"/category", i)
			if f.rx.Category != "" && f.rx.Category != Category(k.Code) {
				f.addAt(at, "与前面的处方类别不同", "differs from the category before it")
			}
			f.rx.Category, f.places["/category"] = Category(k.Code), at
		}
	}
}

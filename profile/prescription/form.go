package prescription

// Prescription is the canonical form, and without Source and SourceDigest the
// plain form that originators send. The nhsa tags name the same thing in the
// national e-prescription interface, where that has it; national.md lists them.
type Prescription struct {
	// Number is the originator's own number, never given twice by it.
	Number string `json:"number" nhsa:"hosp_rxno"`
	// InsuranceNumber and TraceCode are what the national platform gave, if it did.
	InsuranceNumber string `json:"hi_rxno,omitempty" nhsa:"hi_rxno"`
	TraceCode       string `json:"rx_trace_code,omitempty" nhsa:"rx_trace_code"`
	// Category is the kind of form; general when the source names none.
	Category   Category   `json:"category"`
	Originator Originator `json:"originator"`
	// Issued and ValidUntil are days, "2006-01-02", as the originator's calendar
	// has them. A plain prescription must say when it was issued.
	Issued     string      `json:"issued,omitempty" nhsa:"prsc_time"`
	ValidUntil string      `json:"valid_until,omitempty" nhsa:"vali_end_time"`
	Patient    Patient     `json:"patient"`
	Prescriber Prescriber  `json:"prescriber"`
	Diagnosis  []Diagnosis `json:"diagnosis,omitempty"`
	Items      []Item      `json:"items"`
	Insured    bool        `json:"insured"`                     // some of it is borne by insurance
	Chronic    bool        `json:"chronic" nhsa:"long_rx_flag"` // a long-term prescription
	// Currency is that of every price: ISO 4217, one with two decimals.
	Currency string `json:"currency"`
	// Producer is the pharmacy that the patient chose beforehand, if any.
	Producer string `json:"producer,omitempty"`

	// Source is "plain" or "fhir", and SourceDigest the content's digest, lower
	// hex (see digest.go). Intake sets both; an input that has them is refused.
	Source       Source `json:"source"`
	SourceDigest string `json:"source_digest"`
}

// Source says which form a prescription was read from.
type Source string

// The sources.
const (
	Plain Source = "plain"
	FHIR  Source = "fhir"
)

// Category is the kind of form, which decides its colour and mark on paper.
type Category string

// The categories of the Chinese rules on prescriptions (处方管理办法).
const (
	General       Category = "general"        // 普通处方
	Emergency     Category = "emergency"      // 急诊处方
	Paediatric    Category = "paediatric"     // 儿科处方
	Narcotic      Category = "narcotic"       // 麻醉药品和第一类精神药品处方 (mark 麻、精一)
	Psychotropic2 Category = "psychotropic-2" // 第二类精神药品处方 (mark 精二)
)

// Originator is the institution that issued the prescription.
type Originator struct {
	ID         string `json:"id" nhsa:"fixmedins_code"` // "system|value", or a plain code
	Name       string `json:"name,omitempty" nhsa:"fixmedins_name"`
	Department string `json:"department,omitempty" nhsa:"prsc_dept_name"`
}

// Patient is the subject. All but the id may be masked (R1.1).
type Patient struct {
	IDType    string `json:"id_type" nhsa:"psn_cert_type"` // one of IDTypes
	ID        string `json:"id" nhsa:"certno"`             // normalised by NormalID
	Name      string `json:"name" nhsa:"patn_name"`
	Gender    string `json:"gender,omitempty" nhsa:"gend"` // male, female, other or unknown
	BirthDate string `json:"birth_date,omitempty"`         // "2006-01-02"
	Phone     string `json:"phone,omitempty"`
	Address   string `json:"address,omitempty"`
}

// Prescriber is the person who issued it. The id must mean the same person at
// every originator (the national physician code does), as it becomes a fact.
type Prescriber struct {
	ID   string `json:"id" nhsa:"dr_code"`
	Name string `json:"name,omitempty" nhsa:"prsc_dr_name"`
}

// Diagnosis is one diagnosis; the first is the main one.
type Diagnosis struct {
	Code string `json:"code,omitempty" nhsa:"diag_code"` // "system|code", or a plain code
	Name string `json:"name" nhsa:"diag_name"`
}

// Item is one thing prescribed. At least one of the two names must be there.
type Item struct {
	Code     string   `json:"code" nhsa:"med_list_codg"` // "system|code", or a plain code
	NameZh   string   `json:"name_zh,omitempty" nhsa:"drug_genname"`
	NameEn   string   `json:"name_en,omitempty"`
	Spec     string   `json:"spec,omitempty" nhsa:"drug_spec"` // strength and package, such as "0.25g*24粒"
	Quantity Quantity `json:"quantity" nhsa:"drug_cnt"`        // in Unit
	Unit     string   `json:"unit" nhsa:"drug_dosunt"`
	Days     int64    `json:"days,omitempty" nhsa:"medc_days"` // of supply; 0 where the source has none
	Dosage   string   `json:"dosage"`                          // as the patient reads it
	// Price is for the whole line, in currency units with at most two decimals:
	// text, "12.50". Left out, the producer prices the line.
	Price Amount `json:"price,omitzero" nhsa:"drug_sumamt"`
	// Ratio is the part that insurance bears, per mill; only when Insured (R4.3).
	Ratio int64 `json:"ratio_permill,omitempty"`
	// Tags are from Tags; sorted in the canonical form.
	Tags []string `json:"tags,omitempty"`
}

// Name is the Chinese name where there is one.
func (i Item) Name() string {
	if i.NameZh != "" {
		return i.NameZh
	}
	return i.NameEn
}

// Tags lists what an item's tags may be. The list is closed, because a rule
// that looks for "narcotic" must not miss a misspelt one.
func Tags() []string {
	return []string{
		"antibiotic", "antibiotic-restricted", "antibiotic-special", // 非限制, 限制, 特殊使用级
		"anticancer", "biologic", "cold-chain", "dual-channel", "high-alert", "hormone",
		"injection", "insulin",
		"narcotic", "psychotropic-1", "psychotropic-2", "radioactive", "toxic",
		"tcm-granules", "tcm-patent", "tcm-pieces", // 配方颗粒, 中成药, 饮片
	}
}

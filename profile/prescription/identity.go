package prescription

import (
	"regexp"
	"strings"
	"time"
)

// idKind is one kind of personal id that Signalbox knows.
type idKind struct {
	name   string
	form   *regexp.Regexp             // of the normalised number
	check  func(number string) bool   // beyond the form; may be nil
	zh, en string                     // what is expected
	birth  func(number string) string // the birth date in it; may be nil
}

// idKinds are read-only.
var idKinds = []idKind{
	{
		name: "resident-id", form: regexp.MustCompile(`^[1-9][0-9]{16}[0-9X]$`), check: residentIDIsTrue,
		zh:    "应为 18 位居民身份证号，出生日期与校验码须正确",
		en:    "want a resident id of 18 characters with a true birth date and check character (GB 11643)",
		birth: func(n string) string { return n[6:10] + "-" + n[10:12] + "-" + n[12:14] },
	},
	{
		name: "passport", form: regexp.MustCompile(`^[A-Z]{3}-[A-Z0-9]{5,17}$`),
		zh: "应为三位国家代码、连字符和护照号，如 USA-123456789",
		en: "want the issuing country's three letters, a dash and the number, such as USA-123456789",
	},
	{
		name: "hk-macao-permit", form: regexp.MustCompile(`^[HM]([0-9]{8}|[0-9]{10})$`),
		zh: "应为 H 或 M 加 8 或 10 位数字", en: "want H or M and 8 or 10 digits",
	},
	{
		name: "taiwan-permit", form: regexp.MustCompile(`^([0-9]{8}|[0-9]{10})$`),
		zh: "应为 8 或 10 位数字", en: "want 8 or 10 digits",
	},
	{
		name: "foreign-resident-id", form: regexp.MustCompile(`^([A-Z]{3}[0-9]{12}|9[0-9]{16}[0-9X])$`), check: foreignIDIsTrue,
		zh: "应为 15 位旧版或 18 位新版永久居留证号", en: "want a permanent resident's number of 15 characters, or of 18 with a true check character",
	},
	{
		name: "nhs-number", form: regexp.MustCompile(`^[0-9]{10}$`), check: nhsNumberIsTrue,
		zh: "应为 10 位 NHS 号码且校验位正确", en: "want 10 digits with a true check digit (modulus 11)",
	},
}

// IDTypes lists the kinds of personal id that a patient may have.
func IDTypes() []string {
	names := make([]string, len(idKinds))
	for i, k := range idKinds {
		names[i] = k.name
	}
	return names
}

func idKindOf(name string) *idKind {
	for i := range idKinds {
		if idKinds[i].name == name {
			return &idKinds[i]
		}
	}
	return nil
}

// NormalID brings a number to the one form under which its subject is known:
// no spaces, upper case, and for all kinds but the passport no dashes. ok is
// false when the kind is unknown or the number can't be one of the kind.
func NormalID(kind, number string) (normal string, ok bool) {
	k := idKindOf(kind)
	if k == nil {
		return "", false
	}
	drop := " -"
	if k.name == "passport" {
		drop = " "
	}
	normal = strings.Map(func(r rune) rune {
		if strings.ContainsRune(drop, r) {
			return -1
		}
		return r
	}, strings.ToUpper(number))
	return normal, k.form.MatchString(normal) && (k.check == nil || k.check(normal))
}

// subjectIDIsNormal says whether s is "type:number" in normal form.
func subjectIDIsNormal(s string) bool {
	kind, number, _ := strings.Cut(s, ":")
	normal, ok := NormalID(kind, number)
	return ok && normal == number
}

// residentIDIsTrue checks the birth date and the check character.
func residentIDIsTrue(n string) bool {
	return isDate(n[6:10]+"-"+n[10:12]+"-"+n[12:14]) && residentCheck(n[:17]) == n[17]
}

// residentCheck is the check character of GB 11643 (ISO 7064 MOD 11-2).
func residentCheck(first17 string) byte {
	sum := 0
	for i := range len(first17) {
		sum = (sum + int(first17[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-sum)%11]
}

func foreignIDIsTrue(n string) bool {
	return len(n) == 15 || residentCheck(n[:17]) == n[17]
}

// nhsNumberIsTrue checks the tenth digit: weights 10 to 2, modulus 11.
func nhsNumberIsTrue(n string) bool {
	sum := 0
	for i := range 9 {
		sum += int(n[i]-'0') * (10 - i)
	}
	check := (11 - sum%11) % 11
	return check != 10 && int(n[9]-'0') == check
}

// isDate says whether s is a day of the calendar, as 2006-01-02.
func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// dayNumber is days since 1970-01-01, 0 for no date.
func dayNumber(s string) int64 {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0
	}
	return t.Unix() / (24 * 60 * 60)
}

package samples

import (
	"bytes"
	"fmt"
	"slices"
)

// visitor is the sample that a series multiplies: its subject's passport number
// can be any, so that rules that count by subject see many.
const visitor = "visitor-influenza-self-paid"

// Series makes endlessly many prescriptions, of as many subjects, out of one
// sample: the i-th has the number "<name><i>-RX…". What it gives may be called
// concurrently, and costs little more than a copy.
func Series(name string) (func(i int) []byte, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(s Sample) bool { return s.Name == visitor })
	if at < 0 {
		return nil, fmt.Errorf("making a series: no sample %s", visitor)
	}
	one := all[at].Data
	return func(i int) []byte {
		out := bytes.Replace(one, []byte(`"number": "`), fmt.Appendf(nil, `"number": "%s%08d-`, name, i), 1)
		return bytes.Replace(out, []byte("UTO-X00000001"), fmt.Appendf(nil, "UTO-X%08d", i), 1)
	}, nil
}

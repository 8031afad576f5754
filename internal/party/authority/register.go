package authority

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"signalbox.dev/signalbox/flow"
	role "signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/party/trial"
)

// register is the licence register of a file (R2.1): the holder's name by the
// licence's number. It is read once.
type register struct {
	holders map[string]string
	trial   bool
}

// openRegister reads a CSV file of lines licence,name; an empty name is a
// register of nobody.
func openRegister(file string, takeTrial bool) (register, error) {
	r := register{holders: map[string]string{}, trial: takeTrial}
	if file == "" {
		return r, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return r, fmt.Errorf("reading the licence register: %w", err)
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord = 2
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, fmt.Errorf("reading the licence register %s: %w", file, err)
		}
		n, _ := in.FieldPos(0)
		licence, name := strings.TrimSpace(line[0]), strings.TrimSpace(line[1])
		if licence == "" || name == "" || r.holders[licence] != "" {
			return r, fmt.Errorf("reading the licence register %s: line %d: a licence or name is empty, or the licence stands twice", file, n)
		}
		r.holders[licence] = name
	}
}

// CheckLicence implements authority.Register.
func (r register) CheckLicence(ctx context.Context, a flow.Application) error {
	if name, ok := r.holders[a.Licence]; ok && name == a.Name {
		return nil
	}
	if r.trial {
		return trial.Licences{}.CheckLicence(ctx, a)
	}
	return role.ErrLicence
}

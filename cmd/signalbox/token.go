package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/durable"
)

// tokenCommand lets a program call the platform's API.
type tokenCommand struct {
	Name   string   `arg:"" help:"Who will call, such as hospital-1."`
	May    []string `help:"What it may do: submit, read or both." enum:"submit,read" default:"submit" placeholder:"PERMISSION"`
	Access string   `help:"The platform's access file; the caller's line is added to it." required:"" type:"path" placeholder:"FILE"`
	JSON   bool     `help:"Print JSON."`
}

// Help implements kong's HelpProvider.
func (tokenCommand) Help() string {
	return "Prints the token once; the access file holds only what it hashes to. A caller is turned away again by taking its line out and " +
		"starting the platform anew.\n\nExamples:\n  signalbox token hospital-1 --access access.txt\n  signalbox token console --may submit,read --access access.txt --json"
}

// Run makes a token.
func (c *tokenCommand) Run(a *app) error {
	may := make([]api.Permission, len(c.May))
	for i, p := range c.May {
		may[i] = api.Permission(p)
	}
	token, line, err := api.NewToken(rand.Reader, c.Name, may...)
	if err != nil {
		return err
	}
	if err := c.add(line); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{"name": c.Name, "may": c.May, "token": token})
	}
	fmt.Fprintf(a.stderr, a.say.of("%s may %s. Hand over this token; it is shown only now:\n", "%s 可 %s。请转交以下令牌，仅此一次显示：\n"), c.Name, strings.Join(c.May, ", "))
	_, err = fmt.Fprintln(a.stdout, token)
	return err
}

// add appends the caller's line to the access file, which its owner alone may read.
func (c *tokenCommand) add(line string) error {
	have, err := os.ReadFile(c.Access)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("reading the access file: %w", err)
	}
	text := string(have)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	text += line + "\n"
	if _, err := api.ParseAccess(text); err != nil {
		return err
	}
	if err := durable.WriteFile(c.Access, []byte(text)); err != nil {
		return fmt.Errorf("writing the access file: %w", err)
	}
	return nil
}

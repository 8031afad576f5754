package main

import (
	"encoding/json"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/party/fusion"
	"signalbox.dev/signalbox/internal/party/ledger"
	"signalbox.dev/signalbox/internal/party/monitor"
	"signalbox.dev/signalbox/internal/party/node"
	"signalbox.dev/signalbox/internal/party/platform"
	"signalbox.dev/signalbox/internal/party/witness"
)

// configurations gives the default configuration of a role.
func configurations(role string) any {
	switch role {
	case "authority":
		return authority.Default()
	case "fusion":
		return fusion.Default()
	case "node":
		return node.Default()
	case "platform":
		return platform.Default()
	case "witness":
		return witness.Default()
	case "monitor":
		return monitor.Default()
	default:
		return ledger.Default()
	}
}

// roles in the order in which documents name them.
var roles = [...]string{"authority", "node", "fusion", "platform", "ledger", "witness", "monitor"}

type configCommand struct {
	Role string `arg:"" enum:"authority,node,fusion,platform,ledger,witness,monitor" help:"authority, node, fusion, platform, ledger, witness or monitor."`
	JSON bool   `help:"Print every key with its kind, default and meaning as JSON."`
}

// Help implements kong's HelpProvider.
func (configCommand) Help() string {
	return "Prints a complete configuration file of the role: every key with its meaning and its default.\n\n" +
		"Examples:\n  signalbox config platform > platform.yaml\n  signalbox --lang zh config authority\n  signalbox config fusion --json"
}

// Run prints.
func (c *configCommand) Run(a *app) error {
	conf := configurations(c.Role)
	if !c.JSON {
		return config.Write(a.stdout, conf, a.say.zh)
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(config.Keys(conf))
}

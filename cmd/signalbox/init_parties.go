package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/fusion"
	"signalbox.dev/signalbox/internal/party/ledger"
	"signalbox.dev/signalbox/internal/party/platform"
)

type initFusionCommand struct {
	applicant
	Listen string   `help:"Where authority and platforms reach the node." required:"" placeholder:"HOST:PORT"`
	Host   []string `help:"A name or address of the machine, for the certificate; may be repeated. Default: that of --listen." placeholder:"HOST"`
	Route  []string `help:"Whom the node serves, as PLATFORM/BUSINESS; may be repeated." required:"" placeholder:"ROUTE"`
	Ops    string   `help:"Address for operators' tools." placeholder:"HOST:PORT"`
}

// Help implements kong's HelpProvider.
func (initFusionCommand) Help() string {
	return "Example:\n  signalbox init fusion node-1 --dir node-1 --listen 127.0.0.1:4222 --route rx-platform-1/prescription"
}

// Run makes the node's folder.
func (c *initFusionCommand) Run(a *app) error {
	conf := fusion.Default()
	conf.Listen = c.Listen
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	var err error
	if conf.Routes, err = routesOf("--route", c.Route); err != nil {
		return err
	}
	hosts := c.Host
	if host, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	} else if ip := net.ParseIP(host); len(hosts) == 0 && host != "" && (ip == nil || !ip.IsUnspecified()) {
		hosts = []string{host}
	}
	return c.apply(a, "fusion", conf, party.Application{
		Card: party.Card{ID: c.ID, Role: link.RoleNode, Suite: c.Suite}, Transport: true, Hosts: hosts,
	}, nil)
}

// apply makes the folder of a party that runs: keys, request, configuration, and
// what more adds.
func (p applicant) apply(a *app, role string, conf any, want party.Application, more func(party.Dir, []byte, *made) error) error {
	m := made{Role: role, ID: p.ID, Request: filepath.Join(p.Dir, party.RequestFile)}
	m.next = []string{p.next(a), a.say.of(
		"Put the admission file that it answers with into the folder as admission.json, and compare the authority's fingerprint.",
		"请将其返回的准入文件以 admission.json 为名放入该目录，并核对监管机关指纹。")}
	err := p.found(func(d party.Dir, passphrase []byte) error {
		hash, err := d.Apply(want, passphrase)
		if err != nil {
			return err
		}
		m.RequestHash = hash.String()
		if m.Configuration, err = configured(a, d, role, conf); err != nil || more == nil {
			return err
		}
		return more(d, passphrase, &m)
	})
	if err != nil {
		return err
	}
	return p.report(a, m)
}

type initPlatformCommand struct {
	applicant
	Network   string   `help:"The business network that it works in." required:"" placeholder:"ID"`
	Node      []string `help:"A fusion node that serves it, as NAME=HOST:PORT=BUSINESS,…; may be repeated. It can be written into platform.yaml later." placeholder:"NODE" sep:"none"`
	Ledger    string   `help:"Where the business chain listens." placeholder:"HOST:PORT"`
	LedgerPin string   `help:"The pin of the business chain's key, which signalbox init ledger prints." placeholder:"HEX"`
	API       string   `help:"Address of the HTTP API." name:"api" placeholder:"HOST:PORT"`
	Trial     bool     `help:"Make built-in reviewers and producers too, to be admitted along; they play every flow unattended."`
	Ops       string   `help:"Address for operators' tools." placeholder:"HOST:PORT"`
}

// Help implements kong's HelpProvider.
func (initPlatformCommand) Help() string {
	return "Prints the pin of the platform's key for its business chain, which init ledger wants.\n\n" +
		"Example:\n  signalbox init platform rx-platform-1 --dir platform-1 --network rx-network-1 --trial \\\n" +
		"    --node node-1=127.0.0.1:4222=prescription --ledger 127.0.0.1:7400"
}

// Run makes the platform's folder.
func (c *initPlatformCommand) Run(a *app) error {
	conf := platform.Default()
	conf.Network, conf.Trial = c.Network, c.Trial
	conf.Ledger.Address, conf.Ledger.Pin = c.Ledger, c.LedgerPin
	if c.API != "" {
		conf.API.Listen = c.API
	}
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	for _, text := range c.Node {
		n, err := platformNode(text)
		if err != nil {
			return err
		}
		conf.Nodes = append(conf.Nodes, n)
	}
	card := party.Card{ID: c.ID, Role: link.RolePlatform, Suite: c.Suite}
	return c.apply(a, "platform", conf, party.Application{Card: card, Sealing: true, Transport: true}, func(d party.Dir, passphrase []byte, m *made) error {
		pin, err := platform.Found(d, card, passphrase)
		if err != nil {
			return err
		}
		m.Pin = pin.String()
		if c.Trial {
			m.TrialRequests, err = platform.FoundTrial(d, card, passphrase)
		}
		if c.LedgerPin == "" {
			m.next = slices.Insert(m.next, 0, a.say.of(
				"Give the pin to whoever operates the business chain, and write the pin of the chain's key into platform.yaml (ledger.pin).",
				"请将 pin 告知业务链运营方，并将业务链公钥的 pin 写入 platform.yaml 的 ledger.pin。"))
		}
		return err
	})
}

// platformNode reads NAME=HOST:PORT=BUSINESS,….
func platformNode(text string) (platform.Node, error) {
	name, rest, _ := strings.Cut(text, "=")
	address, businesses, ok := strings.Cut(rest, "=")
	if !ok {
		return platform.Node{}, fmt.Errorf("--node: %q: want NAME=HOST:PORT=BUSINESS,…", text)
	}
	return platform.Node{Name: name, Address: address, Businesses: strings.Split(businesses, ",")}, nil
}

type initLedgerCommand struct {
	folder
	Network   string   `help:"The business network whose chain it is." required:"" placeholder:"ID"`
	Authority string   `help:"The authority's file, authority.json, or an admission file: whose receipts the chain takes." required:"" type:"existingfile" placeholder:"FILE"`
	Platform  []string `help:"A platform that may use the chain, and the pin that signalbox init platform printed, as ID=PIN; may be repeated." required:"" placeholder:"PLATFORM"`
	Listen    string   `help:"Where platforms reach the chain." required:"" placeholder:"HOST:PORT"`
	Ops       string   `help:"Address for operators' tools." placeholder:"HOST:PORT"`
}

// Help implements kong's HelpProvider.
func (initLedgerCommand) Help() string {
	return "Prints the authority's fingerprint, to be compared, and the pin of the chain's key, which platforms want.\n\n" +
		"Example:\n  signalbox init ledger --dir ledger-1 --network rx-network-1 --authority authority/authority.json \\\n" +
		"    --platform rx-platform-1=9f2c… --listen 127.0.0.1:7400"
}

// Run makes the business chain's folder.
func (c *initLedgerCommand) Run(a *app) error {
	admission, err := party.ReadAdmission(c.Authority)
	if err != nil {
		return err
	}
	conf := ledger.Default()
	conf.Listen = c.Listen
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	for _, text := range c.Platform {
		id, pin, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--platform: %q: want ID=PIN", text)
		}
		conf.Platforms = append(conf.Platforms, ledger.Platform{ID: id, Pin: pin})
	}
	if err := conf.Validate(); err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	m := made{Role: "ledger", ID: c.Network, Authority: admission.Authority.Fingerprint().String()}
	m.next = []string{a.say.of("Compare the authority's fingerprint. Write the pin into each platform.yaml (ledger.pin).",
		"请核对监管机关指纹，并将 pin 写入各平台 platform.yaml 的 ledger.pin。")}
	err = c.found(func(d party.Dir, passphrase []byte) error {
		pin, err := ledger.Found(d, c.Network, admission.Authority, conf.Platforms, passphrase)
		if err != nil {
			return err
		}
		m.Pin = pin.String()
		m.Configuration, err = configured(a, d, "ledger", conf)
		return err
	})
	if err != nil {
		return err
	}
	return c.report(a, m)
}

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

type initAuthorityCommand struct {
	folder
	Chain    string   `help:"The supervision chain's id." default:"rx-supervision" placeholder:"ID"`
	Suite    string   `help:"Cryptography: gm (SM2, SM3, SM4) or intl (RSA, SHA-256, AES)." enum:"gm,intl" default:"gm"`
	Zone     string   `help:"The authority's time zone, in which its day begins; its present offset is kept for good." default:"Asia/Shanghai"`
	Network  []string `help:"A business network that is admitted; may be repeated." required:"" placeholder:"ID"`
	Business []string `help:"A kind of business that is admitted; may be repeated." default:"prescription" placeholder:"NAME"`
	Officer  []string `help:"An officer's request file, admitted at genesis; may be repeated." required:"" type:"existingfile" placeholder:"FILE"`
	Node     []string `help:"A fusion node, where it listens and whom it serves, as NAME=HOST:PORT=PLATFORM/BUSINESS,…; may be repeated. It can be written into authority.yaml later." placeholder:"NODE" sep:"none"`
	Trial    bool     `help:"Take the licences of trial platforms' built-in reviewers."`
	Ops      string   `help:"Address for operators' tools." placeholder:"HOST:PORT"`
	ceremony
}

// Help implements kong's HelpProvider.
func (initAuthorityCommand) Help() string {
	return "Officers' requests stand in the genesis: they admit everybody else. Policies that want two officers come later, by order.\n\n" +
		"Example:\n  signalbox init authority --dir authority --network rx-network-1 --officer officer-1/request.pem \\\n" +
		"    --node node-1=127.0.0.1:4222=rx-platform-1/prescription\n\n" + ceremonyHelp
}

// Run makes the authority's folder.
func (c *initAuthorityCommand) Run(a *app) error {
	conf := authority.Default()
	conf.TrialLicences = c.Trial
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	conf.Chain.Listen = c.ChainListen
	for _, text := range c.Node {
		n, err := nodeOf(text)
		if err != nil {
			return err
		}
		conf.Nodes = append(conf.Nodes, n)
	}
	f, err := c.founding(time.Now())
	if err != nil {
		return err
	}
	m := made{Role: "authority", ID: c.Chain, Admission: filepath.Join(c.Dir, "officers.json"), Published: authority.TrustFile(party.Dir(c.Dir))}
	err = c.found(func(d party.Dir, passphrase []byte) error {
		officers, err := authority.Found(d, f, passphrase)
		if err != nil {
			return err
		}
		m.Authority = officers.Authority.Fingerprint().String()
		data, err := officers.Encode()
		if err != nil {
			return err
		}
		if err := d.Write(data, "officers.json"); err != nil {
			return err
		}
		if err := c.begun(d, f, &m); err != nil {
			return err
		}
		m.Configuration, err = configured(a, d, "authority", conf)
		return err
	})
	if err != nil {
		return err
	}
	m.next = []string{a.say.of(
		"Keep keys/ca.pem as you would keep the authority's seal. Everybody compares the authority's fingerprint by another way than files.",
		"请像保管印章一样保管 keys/ca.pem。各方须通过文件以外的途径核对监管机关指纹。")}
	if len(conf.Nodes) == 0 {
		m.next = append(m.next, a.say.of("Name the fusion nodes in authority.yaml before it runs.", "运行前请在 authority.yaml 中填写融合节点。"))
	}
	if f.Nodes != nil {
		m.next = append(m.next, a.say.of(
			"Give every site a copy of genesis.json, and read out its fingerprint by another way.",
			"请将 genesis.json 的副本交给各节点站点，并通过其他途径告知其指纹。"))
	}
	return c.report(a, m)
}

func (c *initAuthorityCommand) founding(now time.Time) (authority.Founding, error) {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return authority.Founding{}, fmt.Errorf("--zone: %w", err)
	}
	_, offset := now.In(zone).Zone()
	f := authority.Founding{
		Chain: c.Chain, Suite: c.Suite, Zone: c.Zone, Offset: offset, Networks: c.Network, Businesses: c.Business, Begun: now,
	}
	for _, file := range c.Officer {
		r, err := authority.ReadRequest(file)
		if err != nil {
			return f, err
		}
		f.Officers = append(f.Officers, r)
	}
	f.Nodes, err = c.nodes()
	return f, err
}

// nodeOf reads NAME=HOST:PORT=PLATFORM/BUSINESS,….
func nodeOf(text string) (authority.Node, error) {
	name, rest, _ := strings.Cut(text, "=")
	address, routes, ok := strings.Cut(rest, "=")
	if !ok {
		return authority.Node{}, fmt.Errorf("--node: %q: want NAME=HOST:PORT=PLATFORM/BUSINESS,…", text)
	}
	n := authority.Node{Name: name, Address: address}
	var err error
	n.Routes, err = routesOf("--node", strings.Split(routes, ","))
	return n, err
}

// routesOf reads PLATFORM/BUSINESS texts.
func routesOf(flag string, texts []string) ([]party.Route, error) {
	var out []party.Route
	for _, t := range texts {
		platform, business, ok := strings.Cut(t, "/")
		if !ok {
			return nil, fmt.Errorf("%s: %q: want PLATFORM/BUSINESS", flag, t)
		}
		out = append(out, party.Route{Platform: platform, Business: business})
	}
	return out, nil
}

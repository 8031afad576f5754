package fusion

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"signalbox.dev/signalbox/flow"
)

// External is a NATS cluster that keeps the node's streams in place of the
// node's own disk. The node's server is then a leaf of it: parties still come to
// the node, are admitted there and may do there what they may, and the cluster's
// JetStream stores what the node lets through. The cluster needs an account for
// each node, with JetStream, its servers a port for leaf nodes, and its JetStream
// a domain: servers let JetStream's own subjects pass between them by a domain's
// name alone.
type External struct {
	URLs        []string // nats://host:port or tls://host:port of the servers' leaf ports; a user and password may stand in them
	Domain      string   // the domain of the cluster's JetStream
	Credentials string   // file with the account's credentials; "": none
	CA          string   // PEM file with the certificates that the servers' are checked against; "": the system's
	Certificate string   // PEM files of the node's own certificate and key towards the cluster; "": none
	Key         string
	Replicas    int // servers that keep each stream, 1 to 5; 3
}

// Bounds of a link to an external cluster.
const (
	defaultReplicas = 3
	maxReplicas     = 5
	leafReconnect   = 200 * time.Millisecond
	clusterWait     = time.Minute // for the cluster when the node starts
	clusterTry      = 10 * time.Second
	clusterRetry    = 500 * time.Millisecond
)

// Validate says what is wrong with e, naming the field.
func (e External) Validate() error {
	if len(e.URLs) == 0 {
		return errors.New("external: urls: name at least one server's leaf port")
	}
	for _, text := range e.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Port() == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return errors.New("external: urls: want nats://host:port or tls://host:port") // not the text: it may hold a password
		}
	}
	if err := flow.CheckName("external: domain", e.Domain); err != nil {
		return err
	}
	switch {
	case strings.Contains(e.Domain, "."):
		return errors.New("external: domain: holds a dot")
	case (e.Certificate == "") != (e.Key == ""):
		return errors.New("external: certificate and key: name both or neither")
	case e.Replicas < 0 || e.Replicas > maxReplicas:
		return fmt.Errorf("external: replicas: want 1 to %d", maxReplicas)
	}
	return nil
}

// configure makes the server a leaf of the cluster and keeps nothing on its own
// disk. Only streams and their answers cross: what parties say to the node, and
// the node's admissions, can be neither heard nor said from the cluster.
func (e External) configure(o *server.Options) error {
	remote := &server.RemoteLeafOpts{
		Credentials: e.Credentials,
		DenyExports: ours(), DenyImports: ours(),
	}
	for _, text := range e.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return errors.New("external: urls: unreadable")
		}
		remote.URLs = append(remote.URLs, u)
		remote.TLS = remote.TLS || u.Scheme == "tls"
	}
	if remote.TLS {
		c, err := e.tls()
		if err != nil {
			return fmt.Errorf("external cluster: %w", err)
		}
		remote.TLSConfig = c
	}
	o.JetStream = false
	o.LeafNode.ReconnectInterval = leafReconnect
	o.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
	return nil
}

// ours are the subjects of the node's own clients and parties.
func ours() []string {
	var all []string
	for _, p := range []string{prefixSubmission, prefixAnchor, prefixPull, prefixAck, prefixPut, subjectAdmit} {
		all = append(all, p, p+".>")
	}
	return all
}

func (e External) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if e.CA != "" {
		data, err := os.ReadFile(e.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the certificates to check by: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate", e.CA)
		}
	}
	if e.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(e.Certificate, e.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the node's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// layOut makes streams and consumers do what configuration and orders say. An
// external cluster may have to elect its leaders first: it is asked again until
// it has, for clusterWait at most.
func (n *Node) layOut(ctx context.Context) error {
	if n.cfg.External == nil {
		return n.layOutOnce(ctx)
	}
	deadline := time.Now().Add(clusterWait)
	for {
		try, stop := context.WithTimeout(ctx, clusterTry)
		err := n.layOutOnce(try)
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("external cluster: %w", err)
		}
		n.log.Warn("the external cluster is not ready; asking again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(clusterRetry):
		}
	}
}

func (n *Node) layOutOnce(ctx context.Context) error {
	if err := layOut(ctx, n.authority.js, n.cfg, n.powers.now()); err != nil {
		return err
	}
	return n.applyPowers(ctx)
}

// Package operator is how the operator of a fusion node uses its powers while
// it runs: an HTTP handler for a unix socket in the node's folder, and a client.
// Who can open the socket is the operator: it checks no caller, and it serves
// nobody over the network. It shows what waits and what was set aside, by
// platform, size and age; nothing of what messages say.
//
// What the powers are and do is in package fusion.
package operator

import "path/filepath"

// Socket is where the operator's socket of a node's folder is.
func Socket(dir string) string { return filepath.Join(dir, "operator.sock") }

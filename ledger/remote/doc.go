// Package remote carries the port ledger over a network: a Server offers any
// ledger.Ledger, a Client is one. The platform and the node of its business
// chain are so on machines of their own.
//
// # Who may speak
//
// TLS 1.3, certificates on both sides, and no certificate authority: the
// authority's has no place in the companies' half (R7.2). Each side names the
// other's P-256 key by its pin, the SHA-256 of the SubjectPublicKeyInfo, which
// people compare when they set the link up. Certificates carry no more than the
// key; they are made anew at every start, and no date or name in them counts.
// The server knows for each pin whose records it may put; a pin without any may
// read, as an auditor does. Whoever has another key does not get past the
// handshake.
//
// # What travels
//
// HTTP/2, or HTTP/1.1, POST for every call, bodies in the deterministic CBOR of
// package flow, none larger than flow.MaxMessage. List and Follow answer with
// frames: a kind (one byte), a length (four bytes, big endian), a message. An
// answer ends with a frame that says so, so that one that was cut off is no
// answer. Follow's stream has a heartbeat; the client reads on from the last
// position after any failure.
//
// # What an error means
//
// ledger.ErrNotFound, ErrConflict and ErrRefused come from the chain behind the
// server, and only from it. Everything else (no connection, a time-out, a
// server that ends, a full house, a key without the right) leaves the outcome of
// a Put unknown: it is put again, and the chain makes that once.
//
// The package translates and decides nothing; ledgertest holds it to what it
// holds the chain itself to.
package remote

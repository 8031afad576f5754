// Package store is the platform's database: SQLite in one file, opened with
// write-ahead logging and synchronous=FULL, so that a committed transaction
// survives the loss of power.
//
// The database holds no plaintext payload and no subject's identity. What is in
// it about a record is sealed, or is an id, a hash, an amount or a title that
// names no person. Times are integers, Unix milliseconds; hashes and ids are
// lower-hex text, so that an operator can read the tables.
//
// Store knows nothing of flows: the tables' owners are the packages under
// internal/platform. Start at Store.Write, the only way to change anything; the
// tables stand in migrations/.
package store

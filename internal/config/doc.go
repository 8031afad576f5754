// Package config reads configuration files of roles strictly, and documents them
// from the very structs that it reads into.
//
// A configuration is a struct whose fields carry tags:
//
//	yaml:"listen"      the key
//	doc:"…" zh:"…"     what it means, in English and Chinese
//	required:"true"    it must be given
//	enum:"gm,intl"     what a string may be
//	form:"…"           "host:port", "path" or "name"; see below
//	min:"1s" max:"1h"  bounds of numbers, durations and sizes, inclusive
//	example:"…"        shown where there is no default
//
// Fields are strings, bools, ints, time.Duration ("1m30s"), Size ("64MiB"), lists
// of strings, structs, and lists of structs. What a struct holds before it is
// read into are its defaults.
//
// decode.go reads: a key that is unknown, given twice, without a value, of the
// wrong kind or out of bounds is refused with its line, column and name. A struct
// with a Validate method is asked afterwards; a *KeyError of it gets the place
// of its key. keys.go lists the keys for documents, write.go writes a commented
// file. Nothing here knows any role.
//
// Forms: "host:port" is an address with a port; "name" an identity as
// flow.CheckName takes it; "path" a file or folder, which Load takes as relative
// to the folder of the configuration file.
package config

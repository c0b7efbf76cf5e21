// Package library holds the playbooks that ship with Cordon. It is data: package playbooks loads it.
package library

import "embed"

// Shipped are the playbooks.
//
//go:embed *.yml
var Shipped embed.FS

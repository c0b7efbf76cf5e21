// Package rules holds the Sigma rules that ship with Cordon, each beside its test records. It is data: detectors
// load it.
package rules

import "embed"

// Shipped are the rules, their lists and their tests.
//
//go:embed lists.yml */*.yml
var Shipped embed.FS

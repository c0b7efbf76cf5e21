// Package rules holds the Sigma rules that ship with Cordon, each beside its test records. It is data: detectors
// load it.
package rules

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
)

// Shipped are the rules, their lists and their tests.
//
//go:embed lists.yml */*.yml
var Shipped embed.FS

// Open is a folder of rules; those that ship where folder is "".
func Open(folder string) (fs.FS, error) {
	if folder == "" {
		return Shipped, nil
	}
	if info, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("opening the rules: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("opening the rules: %s is no folder", folder)
	}
	return os.DirFS(folder), nil
}

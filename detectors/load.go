package detectors

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/detectors/vocabulary"
	"cordon/internal/directory"
)

// notRules are the files of a folder of rules that hold none.
var notRules = []string{"lists.yml", fieldtable.File, vocabulary.File}

// Load reads every rule below a folder: *.yml, but lists.yml, fields.yml, vocabulary.yml and the *.test.yml beside the
// rules. Rules may name
// the lists of the folder and the directory's lists of privileged roles. Filters come with the rules that they name, as
// their exceptions.
func Load(rules fs.FS) ([]*sigma.Rule, error) {
	lists := sigma.Lists(directory.Lists())
	if f, err := rules.Open("lists.yml"); err == nil {
		own, err := sigma.ParseLists("lists.yml", f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading lists: %w", err)
		}
		for name, members := range own {
			lists[name] = members
		}
	}
	var all []*sigma.Rule
	err := fs.WalkDir(rules, ".", func(file string, entry fs.DirEntry, err error) error {
		ext := path.Ext(file)
		if err != nil || entry.IsDir() || ext != ".yml" && ext != ".yaml" || slices.Contains(notRules, file) || strings.HasSuffix(file, ".test"+ext) {
			return err
		}
		f, err := rules.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		parsed, err := sigma.Parse(file, f, lists)
		all = append(all, parsed...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("loading rules: %w", err)
	}
	if all, err = sigma.Except(all); err != nil {
		return nil, fmt.Errorf("loading rules: %w", err)
	}
	return all, nil
}

package detectors

import (
	"errors"
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
	files, err := Files(rules)
	if err != nil {
		return nil, fmt.Errorf("loading rules: %w", err)
	}
	var all []*sigma.Rule
	var broken []error // each file says what is wrong with it
	for _, file := range files {
		if slices.Contains(notRules, file) || strings.HasSuffix(file, ".test"+path.Ext(file)) {
			continue
		}
		parsed, err := parse(rules, file, lists)
		if all = append(all, parsed...); err != nil {
			broken = append(broken, err)
		}
	}
	if n := len(broken); n > maxBroken {
		broken = append(broken[:maxBroken], fmt.Errorf("and %d more files", n-maxBroken))
	}
	if len(broken) > 0 {
		return nil, fmt.Errorf("loading rules: %w", errors.Join(broken...))
	}
	if all, err = sigma.Except(all); err != nil {
		return nil, fmt.Errorf("loading rules: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("loading rules: there are none: expected files that end in .yml or .yaml")
	}
	return all, nil
}

// maxBroken is how many broken files are told one by one.
const maxBroken = 50

func parse(rules fs.FS, file string, lists sigma.Lists) ([]*sigma.Rule, error) {
	f, err := rules.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sigma.Parse(file, f, lists)
}

// Files are the YAML files below a folder of rules, in order. What begins with a dot is hidden: editors' locks, .git, what
// Kubernetes mounts beside the links to it.
func Files(folder fs.FS) (files []string, err error) {
	err = fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		switch ext := path.Ext(file); {
		case err != nil:
			return err
		case file != "." && strings.HasPrefix(path.Base(file), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir() && (ext == ".yml" || ext == ".yaml"):
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

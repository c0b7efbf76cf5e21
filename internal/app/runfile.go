package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// RunFile is what a running Cordon leaves for the commands of the same machine: where it answers, and tokens for it.
type RunFile struct {
	Address string            `json:"address"`
	Tokens  map[string]string `json:"tokens"`
}

const runFile = "run.json"

// WriteRunFile leaves run.json in folders, readable by the owner alone, and returns what removes it again.
func (a *App) WriteRunFile(folders ...string) (remove func(), err error) {
	r := RunFile{Address: "http://" + a.Addr(), Tokens: map[string]string{}}
	for _, p := range a.local {
		r.Tokens[p.Name] = p.Token
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding run.json: %w", err)
	}
	var written []string
	remove = func() {
		for _, f := range written {
			_ = os.Remove(f) // what is left over points at a port that nobody answers
		}
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return remove, fmt.Errorf("creating %s: %w", folder, err)
		}
		path := filepath.Join(folder, runFile)
		temporary := path + ".new"
		if err := os.WriteFile(temporary, data, 0o600); err != nil {
			return remove, fmt.Errorf("writing run.json: %w", err)
		}
		if err := os.Rename(temporary, path); err != nil {
			return remove, fmt.Errorf("writing run.json: %w", err)
		}
		written = append(written, path)
	}
	return remove, nil
}

// ReadRunFile finds the running Cordon: in the folders that are named, in turn.
func ReadRunFile(folders ...string) (RunFile, error) {
	for _, folder := range folders {
		data, err := os.ReadFile(filepath.Join(folder, runFile))
		if err != nil {
			continue
		}
		var r RunFile
		if err := json.Unmarshal(data, &r); err != nil {
			return r, fmt.Errorf("reading %s: %w", filepath.Join(folder, runFile), err)
		}
		return r, nil
	}
	return RunFile{}, fmt.Errorf("no Cordon is running here: there is no %s in %v", runFile, folders)
}

// CacheFolder is where `try` leaves run.json beside its temporary data folder, and where commands look last.
func CacheFolder() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	return filepath.Join(dir, "cordon"), nil
}

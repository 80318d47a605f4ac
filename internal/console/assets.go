package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var embedded embed.FS

// assets are the files that pages refer to. Each has its hash in its path, so that a
// browser may keep it for good.
type assets struct {
	paths map[string]string // by name, as in "style.css"
	files map[string][]byte // by path
}

func newAssets() (*assets, error) {
	a := &assets{paths: make(map[string]string), files: make(map[string][]byte)}
	return a, fs.WalkDir(embedded, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		hash := sha256.Sum256(content)
		base := path.Base(name)
		a.paths[base] = "/console/assets/" + hex.EncodeToString(hash[:6]) + "/" + base
		a.files[a.paths[base]] = content
		return nil
	})
}

// path is where a file is; an unknown one is a mistake in a template.
func (a *assets) path(name string) (string, error) {
	p, ok := a.paths[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return p, nil
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok := a.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(r.URL.Path)))
	w.Write(content)
}

package console

import (
	"path"
	"strings"
	"time"
)

// Parse parses the templates of all pages.
func (c *Console) Parse() error {
	files, err := sources.ReadDir("templates")
	if err != nil {
		return err
	}
	pages, err := c.templates.in(time.UTC)
	for _, f := range files {
		if name := f.Name(); err == nil && !f.IsDir() {
			_, err = pages.page(strings.TrimSuffix(name, path.Ext(name)))
		}
	}
	return err
}

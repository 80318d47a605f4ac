package openapi

import (
	"encoding/json"
	"strings"
	"sync"
)

// QueryParameters are the names of what an operation takes in a URL's query. The
// pattern is that of a [net/http.ServeMux], such as "GET /v1/runs"; an operation
// that is not in the document takes none.
func QueryParameters(pattern string) []string { return queries()[pattern] }

// queries are read once, and only for a request that has a query: it takes some
// milliseconds.
var queries = sync.OnceValue(func() map[string][]string {
	type parameter struct {
		Ref  string `json:"$ref"`
		Name string `json:"name"`
		In   string `json:"in"`
	}
	var doc struct {
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components struct {
			Parameters map[string]parameter `json:"parameters"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		panic(err) // the tests read the same document
	}
	names := make(map[string][]string)
	for path, item := range doc.Paths {
		for method, text := range item {
			var operation struct {
				Parameters []parameter `json:"parameters"`
			}
			if method == "parameters" {
				continue // of all operations of the path: those are in the path itself
			}
			if err := json.Unmarshal(text, &operation); err != nil {
				panic(err)
			}
			for _, p := range operation.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = doc.Components.Parameters[name]
				}
				if p.In == "query" {
					pattern := strings.ToUpper(method) + " " + path
					names[pattern] = append(names[pattern], p.Name)
				}
			}
		}
	}
	return names
})

package console

import "context"

// overview is the first page.
func (c *Console) overview(_ context.Context, r *request) (answer, error) {
	return r.page("overview", view{Title: "Overview", Nav: "overview"})
}

package manage

// Patterns are those of all routes that need a token.
func (h *Handler) Patterns() []string {
	var patterns []string
	for _, s := range h.faces() {
		for _, rt := range s.Routes {
			patterns = append(patterns, rt.Pattern)
		}
	}
	return patterns
}

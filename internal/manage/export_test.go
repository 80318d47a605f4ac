package manage

// Patterns are those of all routes that need a token.
func (h *Handler) Patterns() []string {
	var patterns []string
	for _, s := range h.systems() {
		for _, rt := range s.routes {
			patterns = append(patterns, rt.pattern)
		}
	}
	return patterns
}

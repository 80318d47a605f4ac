package api

// Patterns are those of all routes that need a user's token.
func (h *Handler) Patterns() []string {
	var patterns []string
	for _, s := range h.faces {
		if s.InternalToken != "" {
			continue
		}
		for _, rt := range s.Routes {
			patterns = append(patterns, rt.Pattern)
		}
	}
	return patterns
}

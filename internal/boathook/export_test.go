package boathook

import "io"

// FencedBy is FencedMessage with another source of codes.
func (p AgentPayload) FencedBy(random io.Reader) string { return p.fenced(random) }

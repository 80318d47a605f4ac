package boathook

import (
	"path"
	"strings"
)

// AllowsARN reports whether an ARN is among those that patterns name. In a
// pattern, * and ? stand for characters within one of the ARN's six parts, as
// in [path.Match]: "arn:aws:lambda:eu-west-1:123456789012:function:agent-*"
// holds a function's versions and aliases too. A malformed pattern names none.
func AllowsARN(patterns []string, arn string) bool {
	for _, pattern := range patterns {
		if matchARN(pattern, arn) {
			return true
		}
	}
	return false
}

func matchARN(pattern, arn string) bool {
	// arn:partition:service:region:account:resource, where only the resource
	// may hold further colons.
	const parts = 6
	patterns, texts := strings.SplitN(pattern, ":", parts), strings.SplitN(arn, ":", parts)
	if len(patterns) != parts || len(texts) != parts || texts[0] != "arn" {
		return false
	}
	for i, text := range texts {
		if ok, err := path.Match(patterns[i], text); err != nil || !ok || text == "" {
			return false
		}
	}
	return true
}

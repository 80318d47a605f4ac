package boathook

import (
	"net/http"
	"strings"
)

// The headers that carry a [TraceContext], in the spelling that their document asks for:
// W3C Recommendation "Trace Context" (https://www.w3.org/TR/trace-context/).
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

// TraceContext is a place in a distributed trace: the step that a request, a run or a
// delivery follows from. It is zero where none is known.
type TraceContext struct {
	Parent string // version 00 of traceparent: 55 characters
	State  string // tracestate, of at most [MaxTraceState] bytes; may be empty
}

// IsZero reports whether there is no trace.
func (c TraceContext) IsZero() bool { return c.Parent == "" }

// TraceID is the id that all of a trace share: 32 hex digits; empty if there is none.
func (c TraceContext) TraceID() string {
	if len(c.Parent) != lengthOfTraceParent {
		return ""
	}
	return c.Parent[3:35]
}

// Headers are those that carry the context, in no order; none if it is zero.
func (c TraceContext) Headers() map[string]string {
	headers := make(map[string]string, 2)
	if !c.IsZero() {
		headers[TraceParent] = c.Parent
		if c.State != "" {
			headers[TraceState] = c.State
		}
	}
	return headers
}

// IsTraceHeader reports whether a header carries a part of a [TraceContext].
func IsTraceHeader(name string) bool {
	return strings.EqualFold(name, TraceParent) || strings.EqualFold(name, TraceState)
}

// The limits of tracestate, as Trace Context has them (section 3.3): what is longer than
// MaxTraceState is shortened by whole members. It is what has to be passed on at least.
const (
	MaxTraceState       = 512
	maxStateMembers     = 32
	maxStateKey         = 256
	maxStateValue       = 256
	longStateMember     = 128 // the first to go
	lengthOfTraceParent = 55
)

// TraceContextOf is a request's. Whatever is not as Trace Context has it counts as
// absent: a traceparent with its tracestate, or a tracestate alone.
func TraceContextOf(h http.Header) TraceContext {
	parents := h.Values(TraceParent)
	if len(parents) != 1 {
		return TraceContext{}
	}
	parent, ok := parseTraceParent(parents[0])
	if !ok {
		return TraceContext{}
	}
	return TraceContext{Parent: parent, State: parseTraceState(strings.Join(h.Values(TraceState), ","))}
}

// parseTraceParent reads a traceparent of any version as one of version 00, as the
// document has it for versions to come (section 4.3).
func parseTraceParent(text string) (parent string, ok bool) {
	if len(text) < lengthOfTraceParent || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return "", false
	}
	version, trace, span, flags, rest := text[:2], text[3:35], text[36:52], text[53:55], text[55:]
	if !isHex(version) || version == "ff" || rest != "" && (version == "00" || rest[0] != '-') {
		return "", false
	}
	if !isHex(trace) || !isHex(span) || !isHex(flags) || strings.Trim(trace, "0") == "" || strings.Trim(span, "0") == "" {
		return "", false
	}
	// Of the flags, two have a meaning: sampled, and of Level 2, random.
	const known = "0123"
	return "00-" + trace + "-" + span + "-0" + string(known[unhex(flags[1])&3]), true
}

func isHex(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }

func unhex(digit byte) byte {
	if digit >= 'a' {
		return digit - 'a' + 10
	}
	return digit - '0'
}

// parseTraceState reads a tracestate, which counts as absent if any of its members is
// malformed.
func parseTraceState(text string) string {
	var members []string
	seen := make(map[string]bool)
	for member := range strings.SplitSeq(text, ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		key, value, ok := strings.Cut(member, "=")
		if !ok || !isStateKey(key) || !isStateValue(value) || seen[key] || len(members) == maxStateMembers {
			return ""
		}
		seen[key] = true
		members = append(members, member)
	}
	return shortState(members)
}

// shortState joins as many of a tracestate's members as fit: the long ones go first, then
// those at the end.
func shortState(members []string) string {
	state := strings.Join(members, ",")
	if len(state) <= MaxTraceState {
		return state
	}
	var kept []string
	size := -1
	for _, member := range members {
		if len(member) > longStateMember {
			continue
		}
		if size += 1 + len(member); size > MaxTraceState {
			break
		}
		kept = append(kept, member)
	}
	return strings.Join(kept, ",")
}

// isStateKey takes the keys of Level 2, which has those of Level 1 too.
func isStateKey(key string) bool {
	if key == "" || len(key) > maxStateKey || !isLower(rune(key[0])) {
		return false
	}
	return !strings.ContainsFunc(key, func(r rune) bool { return !isLower(r) && !strings.ContainsRune("_-*/@", r) })
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

func isStateValue(value string) bool {
	if value == "" || len(value) > maxStateValue || strings.HasSuffix(value, " ") {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '=' })
}

package cloud_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"boathook/internal/cloud"
)

// roles are what the functions' roles allow, and what of it their calls need.
type roles struct {
	mu      sync.Mutex
	granted map[grant]string // with the ARN in one of the stacks
	needed  map[grant]bool

	operations map[string]bool // that were called, by the SDK's names
}

// grant is one action on one resource that a statement of a function's role
// allows.
type grant struct {
	function, sid, action string
	resource              int // its place in the statement: each stack has its own ARNs
}

func (g grant) String() string { return g.function + "'s statement " + g.sid + ": " + g.action }

// grant notes what the roles of a stack allow.
func (r *roles) grant(t *testing.T, s *cloud.Cloud, functions []string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.granted == nil {
		r.granted, r.needed, r.operations = make(map[grant]string), make(map[grant]bool), make(map[string]bool)
	}
	for _, function := range functions {
		statements, err := s.Statements(function)
		if err != nil {
			t.Fatalf("the role of %s: %v", function, err)
		}
		for _, statement := range statements {
			for _, action := range statement.Actions {
				for i, arn := range statement.Resources {
					r.granted[grant{function, statement.Sid, action, i}] = arn
				}
			}
		}
	}
}

// called holds a call of a function, or in its name, against its role: one that
// AWS would refuse fails the test. A grant is needed by a call that no other
// grant allows.
func (r *roles) called(t *testing.T, s *cloud.Cloud, call cloud.Call) {
	r.mu.Lock()
	r.operations[sdkServices[call.Service]+"."+call.Action] = true
	r.mu.Unlock()
	accesses, err := s.Accesses(call)
	if err != nil {
		t.Errorf("a call of %s: %v", call.From, err)
		return
	}
	statements, err := s.Statements(call.From)
	if err != nil {
		t.Errorf("the role of %s: %v", call.From, err)
		return
	}
	for _, access := range accesses {
		var allowing []grant
		for _, statement := range statements {
			for i, arn := range statement.Resources {
				one := statement
				one.Resources = []string{arn}
				if one.Allows(access) {
					allowing = append(allowing, grant{call.From, statement.Sid, access.Action, i})
				}
			}
		}
		switch len(allowing) {
		case 0:
			t.Errorf("%s is not allowed to call %s on %s %q", call.From, access.Action, access.Resource, access.LeadingKeys)
		case 1:
			r.mu.Lock()
			r.needed[allowing[0]] = true
			r.mu.Unlock()
		}
	}
}

// checkRoles fails for each grant that no call of the tests has needed: code
// calls it no longer, or another grant allows the same, or the tests lack a road
// that a user may take.
func (s *suite) checkRoles(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	var idle []string
	for g, arn := range s.roles.granted {
		if !s.roles.needed[g] && !strings.HasPrefix(g.action, "logs:") { // which Lambda's runtime calls
			idle = append(idle, fmt.Sprintf("%s on %s", g, arn))
		}
	}
	slices.Sort(idle)
	if len(idle) > 0 {
		t.Errorf("no call needs\n%s", strings.Join(idle, "\n"))
	}
}

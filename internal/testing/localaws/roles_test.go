package localaws_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"boathook/internal/testing/localaws"
)

// roles are what the functions' roles allow, and what of it the calls in all
// stacks have needed.
type roles struct {
	mu      sync.Mutex
	granted map[grant]string // with the ARN in one of the stacks
	needed  map[grant]bool
	called  map[operation]bool
}

// grant is the least that can be taken from a function's role: one action on one
// resource, by one pattern of leading keys if there are any.
type grant struct {
	function, sid, action string
	resource              int // its place in the statement: each stack has its own ARNs
	keys                  string
}

func (g grant) String() string {
	text := g.function + "'s statement " + g.sid + ": " + g.action
	if g.keys != "" {
		text += " of " + g.keys
	}
	return text
}

// role is a function's in one stack.
type role struct {
	statements []localaws.Statement
	grants     map[grant]localaws.Statement // each allows that alone
}

func newRole(t *testing.T, s *localaws.Cloud, function string) role {
	t.Helper()
	statements, err := s.Statements(function)
	if err != nil {
		t.Fatalf("the role of %s: %v", function, err)
	}
	r := role{statements, make(map[grant]localaws.Statement)}
	for _, statement := range statements {
		for _, action := range statement.Actions {
			for i, resource := range statement.Resources {
				one := localaws.Statement{
					Actions: []string{action}, Resources: []localaws.Pattern{resource},
					Attributes: statement.Attributes, Returns: statement.Returns,
				}
				g := grant{function: function, sid: statement.Sid, action: action, resource: i}
				if statement.LeadingKeys == nil {
					r.grants[g] = one
				}
				for _, keys := range statement.LeadingKeys {
					g.keys, one.LeadingKeys = keys.String(), []localaws.Pattern{keys}
					r.grants[g] = one
				}
			}
		}
	}
	return r
}

func (r role) allows(a localaws.Access) bool {
	return slices.ContainsFunc(r.statements, func(s localaws.Statement) bool { return s.Allows(a) })
}

// allowing are the grants that allow an access.
func (r role) allowing(a localaws.Access) (grants []grant) {
	for g, one := range r.grants {
		if one.Allows(a) {
			grants = append(grants, g)
		}
	}
	return grants
}

// of reads the functions' roles in a stack, and notes what they grant.
func (r *roles) of(t *testing.T, s *localaws.Cloud, functions []string) map[string]role {
	t.Helper()
	all := make(map[string]role, len(functions))
	for _, function := range functions {
		all[function] = newRole(t, s, function)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.granted == nil {
		r.granted, r.needed, r.called = make(map[grant]string), make(map[grant]bool), make(map[operation]bool)
	}
	for _, role := range all {
		for g, one := range role.grants {
			r.granted[g] = one.Resources[0].String()
		}
	}
	return all
}

// check holds a call of a function, or in its name, against its role in the
// stack: one that AWS would refuse fails the test. A grant is needed by a call
// that no other grant allows.
func (r *roles) check(t *testing.T, s *localaws.Cloud, role role, call localaws.Call) {
	accesses, err := s.Accesses(call)
	if err != nil {
		t.Errorf("a call of %s: %v", call.From, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !call.ByAWS {
		r.called[operation{call.From, sdkServices[call.Service] + "." + call.Action}] = true
	}
	for _, access := range accesses {
		if !role.allows(access) {
			t.Errorf("%s is not allowed to call %s on %s %q", call.From, access.Action, access.Resource, access.LeadingKeys)
		}
		for _, one := range byKey(access) {
			if allowing := role.allowing(one); len(allowing) == 1 {
				r.needed[allowing[0]] = true
			}
		}
	}
}

// byKey splits an access to several items into those to each.
func byKey(a localaws.Access) (each []localaws.Access) {
	if len(a.LeadingKeys) == 0 {
		return []localaws.Access{a}
	}
	for _, key := range a.LeadingKeys {
		each = append(each, localaws.Access{Action: a.Action, Resource: a.Resource, LeadingKeys: []string{key}})
	}
	return each
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

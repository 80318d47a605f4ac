package cloud_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"boathook/internal/cloud"
)

// roles are what the functions' roles allow, and what was called.
type roles struct {
	mu   sync.Mutex
	used map[string]map[string]bool // a function's actions, such as "sqs:SendMessage"
}

// called holds a call of a function against its role: one that AWS would
// refuse fails the test.
func (r *roles) called(t *testing.T, s *cloud.Cloud, call cloud.Call) {
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
		r.use(call.From, access.Action)
		if !slices.ContainsFunc(statements, func(statement cloud.Statement) bool { return statement.Allows(access) }) {
			t.Errorf("%s is not allowed to call %s on %s %q", call.From, access.Action, access.Resource, access.LeadingKeys)
		}
	}
}

func (r *roles) use(function, action string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used == nil {
		r.used = make(map[string]map[string]bool)
	}
	if r.used[function] == nil {
		r.used[function] = make(map[string]bool)
	}
	r.used[function][action] = true
}

// checkRoles logs what the tests' calls did not need: an action of a rare road,
// or one that no code calls.
func (s *suite) checkRoles(t *testing.T) {
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	for _, function := range slices.Sorted(maps.Keys(s.roles.used)) {
		t.Log(function, fmt.Sprint(slices.Sorted(maps.Keys(s.roles.used[function]))))
	}
}

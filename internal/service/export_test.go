package service

import (
	"maps"
	"slices"
)

// AllOperations are those in the table.
func AllOperations() []Operation { return slices.Sorted(maps.Keys(leastRoles)) }

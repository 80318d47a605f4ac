package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// kind says how many partitions a kind of key has: so many of each owner. The keys are
// those of internal/store/dynamo/keys.go.
type kind struct {
	per  owner
	each int
}

// owner is what has partitions of its own.
type owner string

const (
	ofStack     owner = "stack"
	ofWorkspace owner = "workspace"
	ofWebhook   owner = "webhook"
	ofSource    owner = "source"
	ofNone      owner = "item" // each has its own, so none gets hot
)

// kinds has every kind that [Spread] may have.
var kinds = map[string]kind{
	"config src":        {ofSource, 1},
	"config ws":         {ofWorkspace, 1},
	"config types":      {ofWorkspace, 1},
	"config tok":        {ofWorkspace, 1}, // its publisher's
	"config workspaces": {ofStack, 1},

	"records dlv":             {ofWebhook, 4},
	"records entered":         {ofWorkspace, 4},
	"records stats webhook":   {ofWebhook, 1},
	"records stats workspace": {ofWorkspace, 1},
	"records health":          {ofWebhook, 1},
	"records slot":            {ofWebhook, 1},
	"records due":             {ofStack, 16},
	"records lease":           {ofStack, 1},
	"records feed":            {ofSource, 1},
	"records turn":            {ofSource, 1},
	"records backlog":         {ofSource, 1},
	"records load":            {ofSource, 1},
	"records burst":           {ofSource, 1},
	"records req":             {ofSource, 1},
	"records watch":           {ofWorkspace, 1},
	"records run":             {ofNone, 1},
	"records att":             {ofNone, 1},
	"records evt":             {ofNone, 1},
	"records fed":             {ofNone, 1},
	"records pin":             {ofNone, 1},
	"records part":            {ofNone, 1},
	"records conn":            {ofNone, 1},

	"by-parent runs":     {ofSource, 4},
	"by-parent retrying": {ofWebhook, 4},
	"by-parent failed":   {ofWebhook, 4},
	"by-parent canceled": {ofWebhook, 4},
	"by-parent sent":     {ofNone, 1},
	"by-parent log":      {ofSource, 1},

	"by-workspace workspace": {ofWorkspace, 4}, // runs
	"by-workspace dlv":       {ofWorkspace, 4},

	"active source": {ofSource, 4},
}

func tableOf(kind string) string {
	table, _, _ := strings.Cut(kind, " ")
	return table
}

// partitions are the busiest of each kind, if the load is spread evenly over the webhooks
// and the workspaces.
func (m *model) partitions(u Usage) ([]Partition, error) {
	owners := map[owner]float64{
		ofStack: 1, ofWorkspace: m.load.Workspaces, ofWebhook: m.load.Webhooks,
		ofSource: max(1, m.load.Webhooks/m.load.Fanout),
	}
	var found []Partition
	for name, units := range u.Partitions {
		k, known := kinds[name]
		if !known {
			return nil, fmt.Errorf("nobody knows how many partitions there are of %q", name)
		}
		if k.per == ofNone {
			continue
		}
		n := owners[k.per] * float64(k.each)
		found = append(found, Partition{Kind: name, Per: string(k.per), Each: k.each, Writes: units.Writes / n, Reads: units.Reads / n})
	}
	slices.SortFunc(found, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(b.share(), a.share()), cmp.Compare(a.Kind, b.Kind))
	})
	return found, nil
}

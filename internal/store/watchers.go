package store

import (
	"cmp"
	"slices"

	"boathook/internal/boathook"
)

// WatchersBy gives the connections of an API token among the watchers of all channels,
// each once and by their ids. watchers reads those of one channel.
func WatchersBy(tokenID string, watchers func(boathook.Channel) ([]boathook.Connection, error)) ([]boathook.Connection, error) {
	var all []boathook.Connection
	for _, ch := range boathook.Channels {
		some, err := watchers(ch)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	all = slices.DeleteFunc(all, func(c boathook.Connection) bool { return c.TokenID != tokenID })
	slices.SortFunc(all, func(a, b boathook.Connection) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b boathook.Connection) bool { return a.ID == b.ID }), nil
}

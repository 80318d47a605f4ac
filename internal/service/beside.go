package service

import (
	"cmp"

	"golang.org/x/sync/errgroup"
)

// beside makes a check and a read at once, or two reads, so that a list takes one
// round trip less. The check's error comes first: where it fails, nobody may see
// what was read.
func beside(check, read func() error) error {
	var group errgroup.Group
	group.Go(read)
	err := check()
	return cmp.Or(err, group.Wait())
}

package manage

import (
	"cmp"

	"golang.org/x/sync/errgroup"
)

// beside makes a check and a read at once, so that the read waits for no answer of
// the check's. The check's error comes first: where it fails, nobody may see what
// was read.
func beside(check, read func() error) error {
	var group errgroup.Group
	group.Go(read)
	err := check()
	return cmp.Or(err, group.Wait())
}

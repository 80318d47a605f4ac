package database

import (
	"fmt"

	"github.com/gofrs/flock"
)

// lock takes the lock that keeps a second server away. The operating system lets go
// of it when the process ends, however it ends.
func lock(path string) (unlock func() error, err error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	taken, err := l.TryLock()
	if err != nil {
		return func() error { return nil }, fmt.Errorf("the data folder can't be locked: %w", err)
	}
	if !taken {
		return func() error { return nil }, fmt.Errorf("another boathook serves this data folder (%s is locked): stop it, or choose another folder", path)
	}
	return l.Unlock, nil
}

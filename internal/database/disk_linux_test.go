package database_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full, where the write-ahead log can't grow either, is told of. What was
// written is there, and when there is space again it goes on.
func TestARealDiskThatIsFullLosesNothing(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("NOT RUN: a small disk can't be mounted, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(disk, "boathook.db")
	db := open(t, path)
	written, err := fill(t, db)
	if !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), path) {
		t.Errorf("it failed with %v", err)
	}
	if len(written) == 0 {
		t.Error("nothing fitted it")
	}
	for _, name := range written {
		if !has(t, db, name) {
			t.Fatalf("%s is lost", name[:10])
		}
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(put("after")); err != nil {
		t.Errorf("there is space again: %v", err)
	}
}

package database_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/database"
)

// open opens a database, which is closed when the test ends.
func open(t testing.TB, path string) *database.DB {
	t.Helper()
	db, err := database.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "boathook.db") }

func put(name string) func(*database.Tx) error {
	return func(tx *database.Tx) error {
		return tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?)", name, []byte(name))
	}
}

func has(t *testing.T, db *database.DB, name string) bool {
	t.Helper()
	value, err := db.Setting(name)
	if err != nil {
		t.Fatal(err)
	}
	return value != nil
}

func TestWhatManyWriteAtOnceIsAllThere(t *testing.T) {
	path := file(t)
	db, err := database.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			for j := range 20 {
				name := fmt.Sprintf("%d.%d", i, j)
				fails := j%4 == 3
				err := db.Write(func(tx *database.Tx) error {
					if err := put(name)(tx); err != nil || !fails {
						return err
					}
					if j%8 == 7 {
						panic("in the middle")
					}
					return refused
				})
				if fails != (err != nil) || fails && j%8 == 3 && !errors.Is(err, refused) {
					t.Errorf("%s: %v", name, err)
				}
				if err == nil && !has(t, db, name) {
					t.Errorf("%s is not there after its write", name)
				}
			}
		})
	}
	writers.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open(t, path)
	for i := range 16 {
		for j := range 20 {
			name := fmt.Sprintf("%d.%d", i, j)
			if there := has(t, db, name); there != (j%4 != 3) {
				t.Errorf("%s there: %t", name, there)
			}
		}
	}
}

func TestNobodyElseReadsTheFiles(t *testing.T) {
	path := file(t)
	for range 2 { // the second time after the server was killed, with files as SQLite makes them
		db := open(t, path)
		if err := db.Write(func(tx *database.Tx) error {
			return tx.Exec("INSERT OR REPLACE INTO settings (name, value) VALUES ('a', 'a')")
		}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStatementThatIsWrongIsUndoneAlone(t *testing.T) {
	db := open(t, database.Memory)
	if err := db.Write(put("a")); err != nil {
		t.Fatal(err)
	}
	err := db.Write(func(tx *database.Tx) error {
		return errors.Join(put("b")(tx), put("a")(tx))
	})
	if err == nil || has(t, db, "b") {
		t.Errorf("error %v, and what was written before it is there: %t", err, has(t, db, "b"))
	}
	if err := db.Write(put("b")); err != nil {
		t.Error(err)
	}
}

// What is added is undone with all that shares its transaction, if it fails after a change.
func TestWhatIsAddedIsUndoneWhereItFails(t *testing.T) {
	db := open(t, file(t))
	refused := errors.New("refused")
	if err := db.Add(func(*database.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("it failed with %v", err)
	}
	for name, write := range map[string]func(func(*database.Tx) error) error{"add": db.Add, "write": db.Write} {
		var others sync.WaitGroup
		first, enough := make(chan struct{}), make(chan struct{})
		failures := make([]error, 3)
		others.Go(func() { // the others wait meanwhile, and share a transaction
			_ = db.Write(func(*database.Tx) error {
				close(first)
				<-enough
				return nil
			})
		})
		<-first
		for i, do := range []func() error{
			func() error { return db.Add(put(name + "before")) },
			func() error {
				return write(func(tx *database.Tx) error { return errors.Join(put(name+"half")(tx), refused) })
			},
			func() error { return db.Add(put(name + "after")) },
		} {
			others.Go(func() { failures[i] = do() })
		}
		for db.Waiting() < len(failures) {
			runtime.Gosched()
		}
		close(enough)
		others.Wait()
		if !errors.Is(failures[1], refused) || has(t, db, name+"half") {
			t.Errorf("%s: what failed: %v, and is there: %t", name, failures[1], has(t, db, name+"half"))
		}
		for i, other := range []string{name + "before", name + "after"} {
			if err := failures[2*i]; (err == nil) != has(t, db, other) || name == "write" && err != nil {
				t.Errorf("%s: %s: %v, and is there: %t", name, other, err, has(t, db, other))
			}
		}
	}
}

// What keeps a file from being opened is told in one line that names it.
func TestWhatKeepsAFileFromBeingOpened(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"a second server": {func(t *testing.T, path string) { open(t, path) }, "another boathook serves this data folder"},
		"a newer file": {func(t *testing.T, path string) {
			db := open(t, path)
			exec(t, db, "PRAGMA user_version = 99")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}, "a newer Boathook has written it"},
		"no database": {func(t *testing.T, path string) {
			write(t, path, []byte(strings.Repeat("this is a text\n", 1000)))
		}, "damaged"},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "can't be opened"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			tc.prepare(t, path)
			db, err := database.Open(path)
			if err == nil {
				_ = db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, db *database.DB, statement string) {
	t.Helper()
	if err := db.Write(func(tx *database.Tx) error { return tx.Exec(statement) }); err != nil {
		t.Fatal(err)
	}
}

// fill writes until it fails, and gives the names that were written.
func fill(t *testing.T, db *database.DB) (written []string, err error) {
	t.Helper()
	for i := range 10_000 {
		name := fmt.Sprintf("%d.%s", i, strings.Repeat("x", 2000))
		if err := db.Write(put(name)); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	t.Fatal("it never failed")
	return nil, nil
}

// A full disk refuses what comes, loses nothing of what was written, and when there is
// space again it goes on.
func TestAFullDiskLosesNothing(t *testing.T) {
	path := file(t)
	db := open(t, path)
	pages := func(n string) {
		exec(t, db, "PRAGMA max_page_count = "+n)
	}
	pages("300")
	written, err := fill(t, db)
	if !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), path) {
		t.Errorf("it failed with %v", err)
	}
	for _, name := range written {
		if !has(t, db, name) {
			t.Fatalf("%s is lost", name[:10])
		}
	}
	pages("100000")
	if err := db.Write(put("after")); err != nil {
		t.Errorf("there is space again: %v", err)
	}
}

// A page that was damaged is told of, and the program goes on with the others.
func TestADamagedPageIsToldOf(t *testing.T) {
	path := file(t)
	db := open(t, path)
	for i := range 500 {
		if err := db.Write(put(fmt.Sprintf("%d.%s", i, strings.Repeat("x", 2000)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) - 40*4096; i < len(text)-20*4096; i++ {
		text[i] = 0xa5
	}
	write(t, path, text)
	db = open(t, path)
	err = db.Read(func(tx *database.Tx) error {
		for _, err := range tx.Query("SELECT name, value FROM settings") {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "damaged: restore a backup") {
		t.Errorf("it reads with %v", err)
	}
}

func TestABackupIsWholeWhileItIsWritten(t *testing.T) {
	path := file(t)
	db := open(t, path)
	for i := range 100 {
		if err := db.Write(put(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 100; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := db.Write(put(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	to := file(t)
	err := database.Backup(path, to)
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	if err := database.Backup(path, to); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over another backup: %v", err)
	}
	if err := database.Backup(filepath.Join(t.TempDir(), "none.db"), file(t)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no database: %v", err)
	}

	copied := open(t, to)
	gap := false
	for i := range 100_000 {
		there := has(t, copied, fmt.Sprint(i))
		if i < 100 && !there || gap && there {
			t.Fatalf("%d there: %t", i, there)
		}
		if gap = !there; gap && i > 1000 {
			break
		}
	}
}

func TestWhatIsDeletedIsGivenBack(t *testing.T) {
	path := file(t)
	db := open(t, path)
	pages := func() (n int64) {
		err := db.Read(func(tx *database.Tx) error {
			_, err := tx.First(func(row database.Row) error { n = row.Int(0); return nil }, "PRAGMA page_count")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 1000 {
		if err := db.Write(put(fmt.Sprintf("%d.%s", i, strings.Repeat("x", 2000)))); err != nil {
			t.Fatal(err)
		}
	}
	full := pages()
	exec(t, db, "DELETE FROM settings")
	for range 10 {
		if err := db.Reclaim(); err != nil {
			t.Fatal(err)
		}
	}
	if left := pages(); left > full/4 {
		t.Errorf("%d of %d pages are left", left, full)
	}
}

// BenchmarkWrite is what a write takes that is on disk, alone and with others.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		for _, place := range []string{"memory", "file"} {
			b.Run(fmt.Sprintf("%s/writers=%d", place, writers), func(b *testing.B) {
				path := database.Memory
				if place == "file" {
					path = file(b)
				}
				db := open(b, path)
				work := make(chan int)
				var all sync.WaitGroup
				for range writers {
					all.Go(func() {
						for i := range work {
							if err := db.Write(put(fmt.Sprint(i))); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for i := range b.N {
					work <- i
				}
				close(work)
				all.Wait()
			})
		}
	}
}

// What nobody waits for is done with the next write, or by itself, or at the end.
func TestWhatIsPutOffIsDone(t *testing.T) {
	t.Run("with the next write", func(t *testing.T) {
		db := open(t, file(t))
		db.Later(put("late"))
		if err := db.Write(put("waited for")); err != nil || !has(t, db, "late") {
			t.Errorf("%v; what was put off is there: %t", err, has(t, db, "late"))
		}
	})
	t.Run("by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, database.Memory)
			db.Later(put("late"))
			time.Sleep(database.Lateness)
			synctest.Wait()
			if !has(t, db, "late") {
				t.Error("it is not there after its time")
			}
		})
	})
	t.Run("by itself only after its own time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, database.Memory)
			const half = database.Lateness / 2
			db.Later(put("early"))
			time.Sleep(half)
			if err := db.Write(put("waited for")); err != nil {
				t.Fatal(err)
			}
			db.Later(put("late"))
			time.Sleep(half) // as long as the first would have waited
			synctest.Wait()
			if has(t, db, "late") {
				t.Error("it cost a commit before its time")
			}
			time.Sleep(half)
			synctest.Wait()
			if !has(t, db, "late") {
				t.Error("it is not there after its time")
			}
		})
	})
	t.Run("at the end", func(t *testing.T) {
		path := file(t)
		db := open(t, path)
		db.Later(put("late"))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if !has(t, open(t, path), "late") {
			t.Error("it was lost")
		}
	})
	t.Run("after a transaction that failed", func(t *testing.T) {
		db := open(t, file(t))
		db.Later(put("late"))
		refused := errors.New("refused")
		if err := db.Add(func(tx *database.Tx) error { return errors.Join(put("half")(tx), refused) }); !errors.Is(err, refused) {
			t.Errorf("it failed with %v", err)
		}
		if has(t, db, "late") {
			t.Error("it was kept of a transaction that was undone")
		}
		if err := db.Write(put("another")); err != nil || !has(t, db, "late") {
			t.Errorf("%v; what was put off is there: %t", err, has(t, db, "late"))
		}
	})
	t.Run("before a write that is undone alone", func(t *testing.T) {
		db := open(t, file(t))
		db.Later(put("late"))
		if err := db.Write(func(tx *database.Tx) error { return errors.Join(put("half")(tx), errors.New("refused")) }); err == nil {
			t.Error("it did not fail")
		}
		if !has(t, db, "late") || has(t, db, "half") {
			t.Errorf("what was put off is there: %t, what failed: %t", has(t, db, "late"), has(t, db, "half"))
		}
	})
}

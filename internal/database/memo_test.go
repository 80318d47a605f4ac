package database_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"boathook/internal/database"
)

// number reads a setting that is a number, and counts how often it does.
func number(reads *int) func(*database.Tx) (int, bool, error) {
	return func(tx *database.Tx) (n int, keep bool, err error) {
		*reads++
		_, err = tx.First(func(row database.Row) error { n, err = strconv.Atoi(row.Text(0)); return err }, "SELECT value FROM settings WHERE name = 'n'")
		return n, true, err
	}
}

func setNumber(n int) func(*database.Tx) error {
	return func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO settings (name, value) VALUES ('n', ?)", strconv.Itoa(n))
	}
}

func TestWhatIsRememberedIsReadOnceUntilASettingIsWritten(t *testing.T) {
	for _, path := range []string{database.Memory, file(t)} {
		db := open(t, path)
		var memo database.Memo[string, int]
		reads := 0
		for i, step := range []struct {
			write       func(*database.Tx) error
			value, read int
		}{
			{setNumber(1), 1, 1},
			{nil, 1, 1},
			{func(tx *database.Tx) error { return tx.Exec("DELETE FROM messages WHERE number = 1") }, 1, 1},
			{setNumber(2), 2, 2},
			{func(tx *database.Tx) error { return fmt.Errorf("refused: %w", setNumber(3)(tx)) }, 2, 3},
			{func(tx *database.Tx) error { return tx.Exec("WITH a AS (SELECT 1) UPDATE settings SET value = '4'") }, 4, 4},
			{func(tx *database.Tx) error { return tx.Exec("CREATE TABLE another (a)") }, 4, 5},
			{func(tx *database.Tx) error { return tx.Exec("INSERT INTO another VALUES (1)") }, 4, 6},
		} {
			if step.write != nil {
				_ = db.Write(step.write) // one is refused
			}
			got, err := memo.Get(db, "n", number(&reads))
			if err != nil || got != step.value || reads != step.read {
				t.Errorf("%s, step %d: got %d, %v after %d reads; want %d after %d", path, i, got, err, reads, step.value, step.read)
			}
		}
	}
}

func TestNobodyReadsASettingAsItWasBeforeAWriteThatHasReturned(t *testing.T) {
	for _, path := range []string{database.Memory, file(t)} {
		db := open(t, path)
		var memo database.Memo[string, int]
		var mu sync.Mutex // guards written
		written := 0
		if err := db.Write(setNumber(0)); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					mu.Lock()
					least := written
					mu.Unlock()
					reads := 0
					if got, err := memo.Get(db, "n", number(&reads)); err != nil || got < least {
						t.Errorf("read %d, %v after %d was written", got, err, least)
						return
					}
				}
			})
		}
		for n := 1; n <= 200; n++ {
			if err := db.Write(setNumber(n)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			written = n
			mu.Unlock()
		}
		close(over)
		readers.Wait()
	}
}

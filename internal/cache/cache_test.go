package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/cache"
)

func TestAValueIsLoadedOnceUntilItsTimeIsOver(t *testing.T) {
	now := time.Unix(0, 0)
	c := cache.Cache[int]{TTL: 10 * time.Second, Size: 10, Now: func() time.Time { return now }}
	loads := 0
	get := func() int {
		t.Helper()
		v, err := c.Get(t.Context(), "key", func(context.Context) (int, error) { loads++; return loads, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}

	get()
	now = now.Add(10*time.Second - 1)
	if got := get(); got != 1 {
		t.Errorf("within its time the value was loaded %d times", got)
	}
	now = now.Add(1)
	if got := get(); got != 2 {
		t.Errorf("after its time the value is still load %d", got)
	}
}

func TestAValueWithoutATimeStays(t *testing.T) {
	now := time.Unix(0, 0)
	c := cache.Cache[int]{Now: func() time.Time { return now }}
	loads := 0
	for range 3 {
		if v, err := c.Get(t.Context(), "key", func(context.Context) (int, error) { loads++; return loads, nil }); v != 1 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
		now = now.Add(1000 * time.Hour)
	}
}

func TestAnErrorIsNotRemembered(t *testing.T) {
	c := cache.Cache[string]{TTL: time.Minute, Size: 10}
	down := errors.New("down")
	if _, err := c.Get(t.Context(), "key", func(context.Context) (string, error) { return "", down }); !errors.Is(err, down) {
		t.Fatalf("got %v, want the load's error", err)
	}
	if v, err := c.Get(t.Context(), "key", func(context.Context) (string, error) { return "up", nil }); v != "up" || err != nil {
		t.Errorf("got %q, %v after the load recovered", v, err)
	}
}

func TestCallersAtOnceShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.Cache[int]{TTL: time.Minute, Size: 10}
		loads := 0
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				c.Get(t.Context(), "key", func(context.Context) (int, error) {
					time.Sleep(time.Second)
					loads++
					return 1, nil
				})
			})
		}
		callers.Wait()
		if loads != 1 {
			t.Errorf("loaded %d times", loads)
		}
	})
}

func TestAFullCacheStillAnswers(t *testing.T) {
	c := cache.Cache[int]{TTL: time.Minute, Size: 3}
	for i := range 100 {
		v, err := c.Get(t.Context(), fmt.Sprint(i), func(context.Context) (int, error) { return i, nil })
		if v != i || err != nil {
			t.Fatalf("key %d: got %d, %v", i, v, err)
		}
	}
}

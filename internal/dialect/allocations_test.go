package dialect_test

import (
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/testing/allocation"
)

// writing has each dialect write an event's body, once for all webhooks, and sign an
// attempt.
func writing() (paths []allocation.Path) {
	for _, name := range dialect.Names() {
		paths = append(paths, allocation.Path{Name: "body/" + name, Prepare: func(t testing.TB) func() {
			d, e := speaking(t, name)
			return func() {
				if _, err := d.Body(boathook.Raw, e); err != nil {
					t.Fatal(err)
				}
			}
		}}, allocation.Path{Name: "sign/" + name, Prepare: func(t testing.TB) func() {
			d, e := speaking(t, name)
			m := message(e, []byte(`{"a":1}`))
			return func() {
				signature, err := d.Sign(m, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
				if err != nil {
					t.Fatal(err)
				}
				d.Header(m, signature)
			}
		}})
	}
	return paths
}

// speaking is a dialect, and an event of a source whose dialect it is.
func speaking(t testing.TB, name string) (*dialect.Dialect, boathook.Event) {
	kind, eventType := boathook.Deployment, boathook.EventRunSucceeded
	for k, types := range boathook.EventTypes {
		if dialect.DefaultFor(k) == name {
			kind, eventType = k, types[0]
		}
	}
	return lookup(t, name), example(t, kind, eventType)
}

func BenchmarkWrite(b *testing.B) { allocation.Benchmark(b, writing()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, writing()) }

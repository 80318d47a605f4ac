package mem

import (
	"iter"
	"slices"

	"boathook/internal/store/paging"
)

// lists are values in the order of their positions, by what they belong to.
// What is put last and what is removed first is nearly always cheap: objects
// come about in the order of their times, and expire in it.
type lists[K comparable, V any] map[K][]paging.Entry[V]

func (ls lists[K, V]) search(of K, p paging.Position) (i int, found bool) {
	l := ls[of]
	if n := len(l); n > 0 && l[n-1].Compare(p) < 0 {
		return n, false
	}
	return slices.BinarySearchFunc(l, p, func(e paging.Entry[V], p paging.Position) int { return e.Compare(p) })
}

// put adds a value, or replaces the one at its position.
func (ls lists[K, V]) put(of K, p paging.Position, v V) {
	i, found := ls.search(of, p)
	if found {
		ls[of][i].Value = v
		return
	}
	ls[of] = slices.Insert(ls[of], i, paging.Entry[V]{Position: p, Value: v})
}

func (ls lists[K, V]) remove(of K, p paging.Position) {
	i, found := ls.search(of, p)
	l := ls[of]
	switch {
	case !found:
	case len(l) == 1:
		delete(ls, of)
	case i == 0:
		l[0] = paging.Entry[V]{} // lets go of the value; the next append that moves the list leaves the place behind
		ls[of] = l[1:]
	default:
		ls[of] = slices.Delete(l, i, i+1)
	}
}

// before yields what stands before a position, last first: in a list by time,
// newest first.
func (ls lists[K, V]) before(of K, p paging.Position) iter.Seq[paging.Entry[V]] {
	return func(yield func(paging.Entry[V]) bool) {
		i, _ := ls.search(of, p)
		for _, e := range slices.Backward(ls[of][:i]) {
			if !yield(e) {
				return
			}
		}
	}
}

// only are the entries of a list whose values are wanted, as if they were a list
// of their own.
func only[V any](entries iter.Seq[paging.Entry[V]], wanted func(V) bool) iter.Seq[paging.Entry[V]] {
	return func(yield func(paging.Entry[V]) bool) {
		for e := range entries {
			if wanted(e.Value) && !yield(e) {
				return
			}
		}
	}
}

func all[V any](V) bool { return true }

package mem

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// position is where an object stands in a list: its time in Unix milliseconds
// (or a version's number), then its id.
type position struct {
	at int64
	id string
}

func positionOf(at time.Time, id string) position { return position{at.UnixMilli(), id} }

// Every position is between these.
var (
	beginning = position{at: math.MinInt64}
	end       = position{at: math.MaxInt64}
)

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.id, q.id))
}

// cursor stands for the position in the store's answers.
func (p position) cursor() string { return strconv.FormatInt(p.at, 10) + "." + p.id }

// parseCursor gives the position that a cursor stands for; the end for none.
func parseCursor(cursor string) (position, error) {
	if cursor == "" {
		return end, nil
	}
	at, id, _ := strings.Cut(cursor, ".")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || strings.Contains(id, ".") {
		return position{}, boathook.InvalidField("cursor", "not one that a list has given")
	}
	return position{n, id}, nil
}

type entry[V any] struct {
	position
	value V
}

// lists are values in the order of their positions, by what they belong to.
// What is put last and what is removed first is nearly always cheap: objects
// come about in the order of their times, and expire in it.
type lists[K comparable, V any] map[K][]entry[V]

func (ls lists[K, V]) search(of K, p position) (i int, found bool) {
	l := ls[of]
	if n := len(l); n > 0 && l[n-1].compare(p) < 0 {
		return n, false
	}
	return slices.BinarySearchFunc(l, p, func(e entry[V], p position) int { return e.compare(p) })
}

// put adds a value, or replaces the one at its position.
func (ls lists[K, V]) put(of K, p position, v V) {
	i, found := ls.search(of, p)
	if found {
		ls[of][i].value = v
		return
	}
	ls[of] = slices.Insert(ls[of], i, entry[V]{p, v})
}

func (ls lists[K, V]) remove(of K, p position) {
	i, found := ls.search(of, p)
	l := ls[of]
	switch {
	case !found:
	case len(l) == 1:
		delete(ls, of)
	case i == 0:
		l[0] = entry[V]{} // lets go of the value; the next append that moves the list leaves the place behind
		ls[of] = l[1:]
	default:
		ls[of] = slices.Delete(l, i, i+1)
	}
}

// before yields what stands before a position, last first: in a list by time,
// newest first.
func (ls lists[K, V]) before(of K, p position) iter.Seq[entry[V]] {
	return func(yield func(entry[V]) bool) {
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
func only[V any](entries iter.Seq[entry[V]], wanted func(V) bool) iter.Seq[entry[V]] {
	return func(yield func(entry[V]) bool) {
		for e := range entries {
			if wanted(e.value) && !yield(e) {
				return
			}
		}
	}
}

// look goes through entries until it has found one more than the limit of a
// page's share that keep wants, or has looked at as many as the share has. What is
// before edge it has not looked at.
func look[V any](entries iter.Seq[entry[V]], p boathook.Page, keep func(V) bool) (found []entry[V], edge position) {
	looked, last := 0, end
	for e := range entries {
		if looked == p.Look || len(found) > p.Limit {
			return found, last
		}
		looked++
		last = e.position
		if keep(e.value) {
			found = append(found, e)
		}
	}
	return found, beginning
}

// cut makes a page of what was found down to an edge.
func cut[V any](found []entry[V], edge position, limit int) (page []entry[V], next string) {
	page = slices.DeleteFunc(found, func(e entry[V]) bool { return e.compare(edge) < 0 })
	slices.SortFunc(page, func(a, b entry[V]) int { return b.compare(a.position) })
	if len(page) > limit {
		page = page[:limit]
		edge = page[limit-1].position
	}
	if edge != beginning {
		next = edge.cursor()
	}
	return page, next
}

// page is one of a single list's entries that keep wants.
func page[V any](entries iter.Seq[entry[V]], p boathook.Page, keep func(V) bool) (values []V, next string) {
	found, edge := look(entries, store.Share(p, 1), keep)
	found, next = cut(found, edge, p.Limit)
	for _, e := range found {
		values = append(values, e.value)
	}
	return values, next
}

func all[V any](V) bool { return true }

package manage

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// MaxLimit is how many items a page of a list has at most.
const MaxLimit = 200

// place is where an item stands in a list that is sorted by time.
type place struct {
	at time.Time
	id string
}

// behind reports whether p comes after q, newest first.
func (p place) behind(q place) bool {
	return cmp.Or(p.at.Compare(q.at), strings.Compare(p.id, q.id)) < 0
}

func (p place) cursor() string { return fmt.Sprintf("%d.%s", p.at.UnixMilli(), p.id) }

// cut takes a page of a list that the store gives whole, newest first. The
// cursor is the place of the last item before the page, which may be gone.
func cut[T any](items []T, p boathook.Page, placeOf func(T) place) (page []T, next string, err error) {
	slices.SortFunc(items, func(a, b T) int {
		if placeOf(a).behind(placeOf(b)) {
			return 1
		}
		return -1
	})
	if p.Cursor != "" {
		at, id, _ := strings.Cut(p.Cursor, ".")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || id == "" {
			return nil, "", boathook.InvalidField("cursor", "not one that a list has given")
		}
		last := place{time.UnixMilli(ms), id}
		items = slices.DeleteFunc(items, func(item T) bool { return !placeOf(item).behind(last) })
	}
	if len(items) <= p.Limit {
		return items, "", nil
	}
	return items[:p.Limit], placeOf(items[p.Limit-1]).cursor(), nil
}

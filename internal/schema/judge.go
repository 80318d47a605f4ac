package schema

import (
	"math/bits"
	"slices"
)

// judge holds a value to a schema while it reads it. Objects and arrays about whose fields
// and items alone a schema speaks, as most do, are never made: maps are what takes longest
// of reading. All others, and texts and numbers, are read and then checked.
//
// What it accepts is as the schema says. What it refuses may be so, too: where a field is
// given twice it checks both values, though the last alone counts.
type judge struct {
	parser
	checking
}

// value reads a value, and refuses one that may not be as a schema says.
func (j *judge) value(n *node) error {
	j.space()
	switch begin := j.text[j.at]; {
	case begin == '{' && n.isOfFields():
		return j.object(n)
	case begin == '[' && n.isOfItems():
		return j.array(n)
	case begin == '"' && n == nil:
		j.string()
		return nil
	}
	v := j.parser.value()
	if !allCountable(v) {
		return errFault
	}
	return j.check(n, v)
}

// isOfFields reports whether n says of an object nothing but what its fields must be.
func (n *node) isOfFields() bool {
	return n == nil || n.isPlain() && n.fields == (span{}) && len(n.required) <= 64 &&
		n.patterns == nil && n.names == nil && n.dependentRequired == nil && n.dependent == nil
}

// isOfItems reports whether n says of an array nothing but what its items must be, and how
// many.
func (n *node) isOfItems() bool { return n == nil || n.isPlain() && !n.unique && n.contains == nil }

// isPlain reports whether n has nothing that needs a whole value.
func (n *node) isPlain() bool {
	return !n.nothing && n.is == nil && n.choices == nil && n.all == nil && n.any == nil && n.one == nil && n.not == nil && n.when == nil
}

// enter begins to look at an object or an array, whose type has that name.
func (j *judge) enter(n *node, typeName string) error {
	if n == nil {
		return nil
	}
	j.depth++
	if n.types != nil && !slices.Contains(n.types, typeName) {
		return errFault
	}
	return j.spend(1)
}

func (j *judge) leave(n *node) {
	if n != nil {
		j.depth--
	}
}

func (j *judge) object(n *node) error {
	if err := j.enter(n, "object"); err != nil {
		return err
	}
	defer j.leave(n)
	var required uint64 // those that are given
	for j.another('}') {
		name := j.string()
		j.space()
		j.at++ // the colon
		var of *node
		if n != nil {
			for i, one := range n.required {
				if one == name {
					required |= 1 << i
				}
			}
			var known bool
			if of, known = n.properties[name]; !known {
				of = n.additional
			}
		}
		if err := j.value(of); err != nil {
			return err
		}
	}
	if n != nil && bits.OnesCount64(required) < len(n.required) {
		return errFault
	}
	return nil
}

func (j *judge) array(n *node) error {
	if err := j.enter(n, "array"); err != nil {
		return err
	}
	defer j.leave(n)
	i := 0
	for ; j.another(']'); i++ {
		var of *node
		if n != nil {
			of = n.items
			if i < len(n.prefix) {
				of = n.prefix[i]
			}
		}
		if err := j.value(of); err != nil {
			return err
		}
	}
	if n == nil {
		return nil
	}
	return n.count.check(i, "item")
}

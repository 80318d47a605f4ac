package boathook

// Page asks for a part of a list. What the list selects may be rare among what
// it has to look through, so a page also ends once it has looked at many objects:
// it may hold fewer than its limit, or none, and still have a next one. The list
// ends with the page that has no cursor.
type Page struct {
	Limit  int    // at least 1; at most 200 where inputs and outputs are read
	Cursor string // empty, or the one that the part before gave
	Look   int    // about how many objects to look at, in all; 0: as many as the store does
}

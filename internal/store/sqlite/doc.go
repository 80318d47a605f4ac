// Package sqlite is the embedded twin of package dynamo: a [store.Store] in the SQLite
// file of package database, for one machine, or in its memory, for tests and the
// simulation.
//
// Each method is one transaction, so nothing is ever written in part. What is looked
// for has columns and indexes of its own; the rest of an object is one column "item",
// in JSON. No domain type is stored: each has an item type of its own, so that a field
// that is renamed loses nothing.
//
// Records are absent from their expiry on. [Store.Expire] removes them.
package sqlite

// Package database is the one SQLite file in which a machine keeps everything: the
// store's records and the queues' messages. Packages store/sqlite and queue/sqlite
// share its transactions.
//
// # Durability
//
// The file has a write-ahead log (WAL) and synchronous=FULL. [DB.Write] returns nil
// once its changes are on disk: they survive kill -9 and a power cut.
//
// # Commits are shared
//
// A commit waits for the disk, a write hardly takes any time. So all writes that wait
// at the same time go into one transaction and one commit, each in a savepoint of its
// own: one that fails is undone alone. The first that waits does the work for the
// others; no goroutine runs beside the callers but a timer's. So a database inside a
// testing/synctest bubble never holds its clock up. A savepoint costs more than the write of
// a row: it is left out where a write fails before its first change or not at all ([DB.Add]). A
// write that may be lost needs no commit of its own ([DB.Later]). What a commit appends to the
// log is written in one call, where SQLite makes two for each page.
//
// # Settings are remembered
//
// A webhook, a source, a token are asked for with each event and change seldom. A [Memo]
// keeps what was read of them until any of them is written.
//
// # One process
//
// A file is served by one process at a time. [Open] holds a lock on the file "lock" beside it
// and refuses a second. Other programs may read the file meanwhile, as [Backup] does.
//
// # The schema
//
// The tables are in migrations: numbered steps, of which each is taken once, in a
// transaction of its own. The number of the last one is the file's user_version. A
// file of a newer program is refused.
package database

package database

import (
	"encoding/binary"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/ncruces/go-sqlite3/vfs"
)

// gathering is the file system that the connection which writes uses: the operating
// system's, but what SQLite appends to its write-ahead log is gathered. SQLite writes two
// small pieces for each page; a commit has a dozen pages, and so many system calls.
const gathering = "gathering"

var register = sync.OnceFunc(func() {
	vfs.Register(gathering, gatheringVFS{vfs.Find("").(vfs.VFSFilename)})
})

// gathered is a path as SQLite is given it.
func gathered(path string) (uri string, err error) {
	register()
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "vfs=" + gathering}
	return u.String(), nil
}

type gatheringVFS struct{ vfs.VFSFilename }

func (v gatheringVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := v.VFSFilename.OpenFilename(name, flags)
	if err == nil && flags&vfs.OPEN_WAL != 0 {
		f = &wal{File: f}
	}
	return f, flags, err
}

// walBuffer is how many bytes are gathered at most.
const walBuffer = 256 << 10

// frameHeader is how many bytes stand before each page. The second four of them are zero
// but in the frame that ends a transaction (sqlite.org/fileformat2.html, "WAL Frame Header").
const frameHeader = 24

// wal is a write-ahead log. What is appended to it is written when a transaction ends, and
// before anything else is done with it: SQLite lets others see what it has appended only
// after that.
type wal struct {
	vfs.File
	begins int64 // where what is gathered belongs
	buffer []byte
	last   bool // the next page ends a transaction
}

func (w *wal) WriteAt(p []byte, at int64) (int, error) {
	if at != w.begins+int64(len(w.buffer)) || len(w.buffer)+len(p) > walBuffer {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if len(w.buffer) == 0 {
		w.begins = at
	}
	w.buffer = append(w.buffer, p...)
	ends := w.last
	w.last = len(p) == frameHeader && binary.BigEndian.Uint32(p[4:]) != 0
	if ends {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush writes what is gathered. If it can't, that is dropped, as the transaction is.
func (w *wal) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	_, err := w.File.WriteAt(w.buffer, w.begins)
	w.buffer = w.buffer[:0]
	return err
}

func (w *wal) ReadAt(p []byte, at int64) (int, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	return w.File.ReadAt(p, at)
}

func (w *wal) Sync(flags vfs.SyncFlag) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.File.Sync(flags)
}

func (w *wal) Truncate(size int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.File.Truncate(size)
}

func (w *wal) Size() (int64, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	return w.File.Size()
}

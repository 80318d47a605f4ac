package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/seal"
)

// The files of a data folder. Each is readable by its owner alone.
const (
	databaseFile      = "boathook.db"
	keyFile           = "key"
	adminTokenFile    = "admin-token"
	internalTokenFile = "internal-token"
)

// data is what a program keeps: its database and its secrets.
type data struct {
	db            *database.DB
	key           seal.LocalKey
	adminToken    string
	internalToken string
}

// openData opens the data folder, and makes what it lacks. Its errors are lines for the
// operator.
func openData(c config) (d data, err error) {
	path := database.Memory
	if !c.inMemory() {
		if err := os.MkdirAll(c.data, 0o700); err != nil {
			return d, fmt.Errorf("--data: %w", err)
		}
		path = databasePath(c.data)
	}
	if d.db, err = database.Open(path); err != nil {
		return d, fmt.Errorf("--data: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.db.Close())
		}
	}()
	if d.key, err = c.openKey(d.db); err != nil {
		return d, err
	}
	if d.adminToken, err = c.openToken(c.adminToken, adminTokenFile); err != nil {
		return d, err
	}
	d.internalToken, err = c.openToken(c.internalToken, internalTokenFile)
	return d, err
}

func (c config) inMemory() bool { return c.data == database.Memory }

// keyCheck is the setting that tells whether a key is the one that the database's
// secrets are sealed with.
const keyCheck = "key_check"

// openKey gives the sealing key: the one it was told, that of the folder, or a new one
// for a new database. The database knows which key is its own.
func (c config) openKey(db *database.DB) (key seal.LocalKey, err error) {
	check, err := db.Setting(keyCheck)
	if err != nil {
		return key, err
	}
	by := keyPath(c.data)
	switch {
	case c.sealingKey != nil:
		key, by = *c.sealingKey, keyVariable
	case c.inMemory():
		key = seal.NewLocalKey()
	default:
		if key, err = keyOfFile(by, check == nil); err != nil {
			return key, err
		}
	}
	switch own := derived(key, keyCheck); {
	case check == nil:
		return key, db.PutSetting(keyCheck, own)
	case !hmac.Equal(check, own):
		return key, fmt.Errorf("%s: it is not the key that the database's secrets are sealed with", by)
	}
	return key, nil
}

// keyOfFile reads the key from its file. For a new database it makes one where there is
// none.
func keyOfFile(file string, isNew bool) (key seal.LocalKey, err error) {
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		if key, err = parseKey(string(text)); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return key, err
	case !errors.Is(err, fs.ErrNotExist):
		return key, fmt.Errorf("the sealing key: %w", err)
	case !isNew:
		return key, fmt.Errorf("%s is gone, the key that the database's secrets are sealed with: restore it from a backup, or set %s", file, keyVariable)
	}
	key = seal.NewLocalKey()
	return key, writeSecret(file, base64.StdEncoding.EncodeToString(key[:]))
}

// derived is what follows from a key for one purpose, and tells nothing of the key.
func derived(key seal.LocalKey, purpose string) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// openToken gives a token: the one it was told, that of the folder, or a new one.
func (c config) openToken(told, name string) (string, error) {
	if told != "" {
		return told, nil
	}
	if c.inMemory() {
		return boathook.NewAPIToken(), nil
	}
	file := filepath.Join(c.data, name)
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		token := boathook.NewAPIToken()
		return token, writeSecret(file, token)
	case err != nil:
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if !fitToken(token) {
		return "", fmt.Errorf("%s: at least 16 printable ASCII characters are needed", file)
	}
	return token, nil
}

// writeSecret makes a file that its owner alone can read. It is on disk before anything
// depends on it.
func writeSecret(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

func databasePath(folder string) string { return filepath.Join(folder, databaseFile) }
func keyPath(folder string) string      { return filepath.Join(folder, keyFile) }

// sessionKey signs the console's sessions, which outlive a restart as the data do.
func (d data) sessionKey(context.Context) ([]byte, error) { return derived(d.key, "console"), nil }

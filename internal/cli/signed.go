package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// What `boathook verify` and `boathook probe` share: a secret, headers, and how a verdict
// is printed.

// secretVariable holds a secret that is not to stand in a shell's history.
const secretVariable = "BOATHOOK_SECRET"

// maxSecret bounds the file of one, which may be the wrong file.
const maxSecret = 4096

// wrong is an error of how a command was called.
func wrong(format string, values ...any) error {
	return &Error{Code: Usage, Err: fmt.Errorf(format, values...)}
}

// givenSecret is the secret that a flag gives: itself, or @ and the name of its file. An
// editor ends a file with a line ending, which is no part of the secret.
func givenSecret(flag, value string) (string, error) {
	name, isFile := strings.CutPrefix(value, "@")
	switch {
	case value == "-":
		return "", wrong("--%s: the standard input is the body's: give the secret as @FILE", flag)
	case !isFile:
		return value, nil
	}
	text, err := readFile(name, maxSecret)
	if err != nil {
		return "", wrong("--%s: %w", flag, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", wrong("--%s: the file %s is empty", flag, name)
	}
	return secret, nil
}

// secret is that of the flag --secret, or else of the environment; empty if neither has one.
func (s *session) secret(value string) (string, error) {
	if value == "" {
		value = s.env.Getenv(secretVariable)
	}
	return givenSecret("secret", value)
}

// requiredSecret is a secret that has to be there.
func (s *session) requiredSecret(value string) (string, error) {
	secret, err := s.secret(value)
	if err == nil && secret == "" {
		err = wrong("the secret is missing: give --secret, or set %s", secretVariable)
	}
	return secret, err
}

func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f, limit)
}

// readBounded reads all there is, and fails if that is more than limit bytes.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return text, nil
}

// headerName is what HTTP allows (RFC 9110, "token").
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// givenHeaders reads a flag's lines of a name and a value.
func givenHeaders(flag string, lines []string) (http.Header, error) {
	h := http.Header{}
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		switch {
		case !found:
			return nil, wrong("--%s: %q has no colon: expected 'Name: value'", flag, name)
		case !headerName.MatchString(name):
			return nil, wrong("--%s: %q is no header's name", flag, name)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return nil, wrong("--%s: the value of %s has a control character", flag, name)
		}
		h.Add(name, strings.Trim(value, " \t"))
	}
	return h, nil
}

// width is how long a printed line is at most, where a word does not need more.
const width = 80

// printFolded prints a text in lines that begin with an indentation, the first with a label
// in its place.
func printFolded(w io.Writer, label string, indentation int, text string) error {
	line := fmt.Sprintf("%-*s", indentation, label)
	column, empty := indentation, true
	var folded strings.Builder
	for word := range strings.FieldsSeq(text) {
		length := utf8.RuneCountInString(word)
		if !empty && column+1+length > width {
			folded.WriteString(line + "\n")
			line, column, empty = strings.Repeat(" ", indentation), indentation, true
		}
		if !empty {
			line, column = line+" ", column+1
		}
		line, column, empty = line+word, column+length, false
	}
	_, err := fmt.Fprintln(w, folded.String()+strings.TrimRight(line, " "))
	return err
}

package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// maxEncodings is how many times a body may be encoded: nobody has a reason for
// more, and each is worked off.
const maxEncodings = 2

var (
	errUnreadable = boathook.Errorf(boathook.Invalid, "the body could not be read")
	errTooLong    = boathook.Errorf(boathook.TooLarge, "the body is larger than %d KiB", boathook.MaxTriggerBody>>10)
)

// readBody reads a request's body as it came, and what it is without its
// Content-Encoding. Both have at most [boathook.MaxTriggerBody] bytes.
func readBody(r *http.Request) (wire, body []byte, err error) {
	if wire, err = readLimited(r.Body); err != nil {
		return wire, nil, err
	}
	encodings := contentEncodings(r.Header)
	if len(encodings) > maxEncodings {
		return wire, nil, boathook.Errorf(boathook.Unsupported, "Content-Encoding has more than %d encodings", maxEncodings)
	}
	body = wire
	for _, encoding := range slices.Backward(encodings) { // the last was applied last
		if len(body) == 0 {
			break // nothing is nothing, though it is no gzip
		}
		if body, err = decode(encoding, body); err != nil {
			return wire, nil, err
		}
	}
	return wire, body, nil
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, boathook.MaxTriggerBody+1))
	switch {
	case err != nil:
		return text, errUnreadable
	case len(text) > boathook.MaxTriggerBody:
		return text, errTooLong
	}
	return text, nil
}

// contentEncodings are a request's, in lower case, without those that say nothing.
func contentEncodings(h http.Header) (encodings []string) {
	for encoding := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		encoding = strings.ToLower(strings.TrimSpace(encoding))
		if encoding != "" && encoding != "identity" {
			encodings = append(encodings, encoding)
		}
	}
	return encodings
}

// decode undoes one encoding (RFC 9110, section 8.4.1).
func decode(encoding string, body []byte) ([]byte, error) {
	var r io.ReadCloser
	var err error
	switch encoding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		// It is the zlib format. Some senders leave its frame away.
		if r, err = zlib.NewReader(bytes.NewReader(body)); errors.Is(err, zlib.ErrHeader) {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, boathook.Errorf(boathook.Unsupported, "Content-Encoding %q is not taken: gzip and deflate are",
			boathook.Shorten(encoding, maxHeaderValue))
	}
	if err == nil {
		defer r.Close()
		body, err = readLimited(r)
	}
	switch {
	case errors.Is(err, errTooLong):
		return nil, err
	case err != nil:
		return nil, boathook.Errorf(boathook.Invalid, "the body is not %s, though Content-Encoding says so", encoding)
	}
	return body, nil
}

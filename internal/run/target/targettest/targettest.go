// Package targettest helps to test targets that call AWS.
package targettest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// AWS is a configuration of the SDK whose requests a handler answers, on a
// server in AWS's place.
func AWS(t *testing.T, answer http.HandlerFunc) aws.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // as AWS does; else Go's server may reset the connection
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return aws.Config{
		BaseEndpoint: &server.URL,
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// Connections is a target that answers {} to each request, and how many connections
// were made to it.
func Connections(t *testing.T) (url string, made func() int64) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, n.Load
}

// SwitchProtocols answers 101 and then says nothing until the client hangs up.
func SwitchProtocols(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
}

// Log is a [target.Log] that keeps its lines, each behind its stream's name.
type Log struct {
	Lines []string
	Came  func(text string) // hears of each line; nil hears of none
}

// Line implements [target.Log].
func (l *Log) Line(stream, text string) {
	l.Lines = append(l.Lines, stream+": "+text)
	if l.Came != nil {
		l.Came(text)
	}
}

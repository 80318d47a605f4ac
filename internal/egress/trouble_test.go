package egress_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"boathook/internal/egress"
)

// withCertificate serves TLS with a self-signed certificate for 127.0.0.1, and
// gives a client that trusts it.
func withCertificate(t *testing.T, certificate x509.Certificate) (*httptest.Server, *egress.Client) {
	t.Helper()
	certificate.SerialNumber = big.NewInt(1)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &certificate, &certificate, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	client := egress.New(local)
	client.Trust(pool)
	return server, client
}

func TestACertificateIsGoodOnlyInItsTime(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		from, until time.Time
		want        string
	}{
		"good":          {now.Add(-time.Hour), now.Add(time.Hour), ""},
		"expired":       {now.Add(-2 * time.Hour), now.Add(-time.Hour), "certificate has expired or is not yet valid"},
		"not yet valid": {now.Add(time.Hour), now.Add(2 * time.Hour), "certificate has expired or is not yet valid"},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := withCertificate(t, x509.Certificate{
				IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: tc.from, NotAfter: tc.until,
			})
			resp, err := client.Do(get(t, server.URL))
			switch {
			case err == nil:
				resp.Body.Close()
				if tc.want != "" {
					t.Error("it was taken")
				}
			case egress.Explain(err, 0) != tc.want:
				t.Errorf("got %q for %v, want %q", egress.Explain(err, 0), err, tc.want)
			}
		})
	}
}

func TestAResetInTheBodyIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := make(chan struct{}) // the client has what was sent
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Read(make([]byte, 4<<10))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
		<-read
		conn.(*net.TCPConn).SetLinger(0) // closing resets
		conn.Close()
	}()
	resp, err := egress.New(local).Do(get(t, "http://"+l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, half); err != nil {
		t.Fatal(err)
	}
	close(read)
	_, _, err = egress.ReadBody(resp, 1000)
	if got := egress.Explain(err, 0); got != "connection reset" {
		t.Errorf("got %q for %v", got, err)
	}
}

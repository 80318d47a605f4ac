package egress_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

// local lets plain http to this machine out, as `make run` does.
var local = egress.Config{
	AllowHTTP:     true,
	AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
}

// notPublic are hosts that must never be reached, in every way to write them.
var notPublic = []string{
	"127.0.0.1", "127.255.255.254", "127.0.0.1:9001", "169.254.100.1:9001", "169.254.169.254", "0.0.0.0", "0.1.2.3",
	"10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1",
	"224.0.0.1", "240.0.0.1", "255.255.255.255",
	"[::1]", "[::]", "[::127.0.0.1]", "[fe80::1]", "[fd00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
	"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a00:7]", "[0:0:0:0:0:ffff:127.0.0.1]",
	"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::a00:7]", "[64:ff9b::8.8.8.8]",
	"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]",
	"localhost", "LOCALHOST", "localhost.", "sub.localhost",
	"2130706433", "017700000001", "0x7f000001", "0X7F000001", "0177.0.0.1", "0x7f.0.0.1", "0x7f.1", "127.1", "127.0.1", "127.0.0.1.",
	"１２７.0.0.1", "①②⑦.0.0.1",
}

func TestNoFormOfAPrivateAddressIsReached(t *testing.T) {
	client := egress.New(egress.Config{AllowHTTP: true})
	// Like the C library, this DNS reads any number as an IPv4 address. Go's
	// own resolver does not even ask it for names without a letter.
	client.Resolve(dnsOf(func(string) string { return "127.0.0.1" }))
	for _, host := range notPublic {
		resp, err := client.Do(get(t, "http://"+host+"/"))
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s was reached", host)
			continue
		}
		if notAsked := "no such host: the name " + host + " has no address in the DNS"; !isRefused(err) && egress.Explain(err, 0) != notAsked {
			t.Errorf("%s: got %v, want a refusal", host, err)
		}
	}
}

func TestURLsThatCanNeverLeaveAreInvalid(t *testing.T) {
	client := egress.New(egress.Config{})
	var urls []string
	for _, host := range notPublic {
		urls = append(urls, "https://"+host+"/hook")
	}
	for _, url := range append(urls,
		"", " ", "hook", "/hook", "//example.com/hook", "example.com", "example.com:443/hook", "https:", "https://", "https:///hook", "https://:443/",
		"https:example.com", "http://example.com/", "HTTP://example.com/", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)",
		"https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/",
		"https://example.com/#top", "https://example.com/#",
		"https://example.com:0/", "https://example.com:65536/", "https://example.com:port/",
		"https://exa mple.com/", " https://example.com/", "https://example.com\n/", "https://exa%6dple.com/", "https://a..b/", "https://.com/",
		"https://bücher.example/", "https://[::1/", "https://[fe80::1%25eth0]/", "https://[2606:4700::1111%25eth0]/", "https://%00/",
		"https://"+strings.Repeat("a", 64)+".com/", "https://"+strings.Repeat("a.", 127)+"com/",
		"https://example.com/a b", "https://example.com/?q=a b", "https://example.com?q= HTTP/1.1", "https://example.com/?q=a\tb", "https://example.com/?q=\r\nX: y",
		"https://example.com/\x00", "https://example.com/?\x7f", "https://example.com/é", "https://example.com/?q=é", "https://example.com/?q=\xff", "https://example.com/?\u2028",
		"https://example.com/{id}", "https://example.com/a|b", `https://example.com/a\b`, `https://example.com/"a"`, "https://example.com/%zz",
		"https://example.com/"+strings.Repeat("a", egress.MaxURLLength),
	) {
		err := client.CheckURL("target.url", url)
		invalid, ok := errors.AsType[*boathook.Error](err)
		if !ok || invalid.Kind != boathook.Invalid || invalid.Field != "target.url" || invalid.Message == "" {
			t.Errorf("%.60q: got %v, want an Invalid error about target.url", url, err)
		} else if strings.Contains(invalid.Message, "secret") {
			t.Errorf("%q: the error repeats the URL: %s", url, err)
		}
	}
}

func TestURLsOfPublicHostsAreValid(t *testing.T) {
	client := egress.New(egress.Config{})
	for _, url := range []string{
		"https://example.com", "https://example.com/", "HTTPS://EXAMPLE.com/", "https://example.com./hook", "https://example.com:8443/a?b=c",
		"https://xn--bcher-kva.example/", "https://a_b.example.com/", "https://receiver/", "https://1.example.com/", "https://3com.com/",
		"https://8.8.8.8/", "https://8.8.8.8:8443/", "https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]:8443/",
		"https://example.com/?q=a%20b+c", "https://example.com/%20/%C3%A9?q=%", "https://example.com?q=1", "https://example.com/?", "https://example.com//a/../b/./",
		"https://example.com/a:b@c;d=e,f!$&'()*+[]~", "https://example.com/?q={id}|[0]&x=\"<>^`\\",
		"https://example.com/" + strings.Repeat("a", egress.MaxURLLength-20),
	} {
		if err := client.CheckURL("url", url); err != nil {
			t.Errorf("%.60q: %v", url, err)
		}
	}
}

func TestTheAllowListLetsOutWhatItNames(t *testing.T) {
	client := egress.New(local)
	for _, url := range []string{"http://127.0.0.1:9000/", "http://localhost:9000/", "http://[::1]/", "https://example.com/"} {
		if err := client.CheckURL("url", url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"http://10.0.0.7/", "http://[::ffff:127.0.0.1]/", "http://127.1/"} {
		if err := client.CheckURL("url", url); err == nil {
			t.Errorf("%s is not on the list, and valid", url)
		}
	}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	resp, err := client.Do(get(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, err := client.Do(get(t, "http://10.0.0.7/")); !isRefused(err) {
		t.Errorf("got %v, want a refusal of what is not on the list", err)
	}
}

func TestANameIsJudgedByTheAddressItResolvesTo(t *testing.T) {
	client := egress.New(egress.Config{})
	client.Resolve(dnsOf(func(name string) string {
		return map[string]string{"private.test.": "10.0.0.7", "metadata.test.": "169.254.169.254", "six.test.": "::1", "nat.test.": "64:ff9b::a9fe:a9fe"}[name]
	}))
	for host, addr := range map[string]string{"private.test": "10.0.0.7", "metadata.test": "169.254.169.254", "six.test": "::1", "nat.test": "64:ff9b::a9fe:a9fe"} {
		_, err := client.Do(get(t, "https://"+host+"/"))
		if want := "refused: " + addr + " is not a public address"; egress.Explain(err, 0) != want {
			t.Errorf("%s: got %q (%v), want %q", host, egress.Explain(err, 0), err, want)
		}
	}
}

func TestANameThatChangesItsMindIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

	// One address of this machine stands for a public one, another does not.
	client := egress.New(egress.Config{AllowHTTP: true, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	var rebound atomic.Bool
	client.Resolve(dnsOf(func(string) string {
		if rebound.Load() {
			return "127.0.0.2"
		}
		return "127.0.0.1"
	}))
	resp, err := client.Do(get(t, "http://rebind.test:"+port+"/"))
	if err != nil {
		t.Fatalf("before: %v", err)
	}
	resp.Body.Close()
	rebound.Store(true)
	if _, err := client.Do(get(t, "http://rebind.test:"+port+"/")); !isRefused(err) {
		t.Errorf("after: got %v, want a refusal", err)
	}
}

func TestPlainHTTPIsRefusedUnlessAllowed(t *testing.T) {
	_, err := egress.New(egress.Config{}).Do(get(t, "http://example.com/"))
	if got, want := egress.Explain(err, 0), "refused: http is not allowed, only https"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	resp, err := egress.New(local).Do(get(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || asked.Load() != 1 {
		t.Errorf("got status %d after %d requests, want 307 after one", resp.StatusCode, asked.Load())
	}
}

func TestAURLsCredentialsAreSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) }))
	defer server.Close()
	for authorization, want := range map[string]string{"": "Basic YTpi", "Bearer c": "Bearer c"} {
		req := get(t, strings.Replace(server.URL, "://", "://a:b@", 1))
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := egress.New(local).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || string(got) != want || req.Header.Get("Authorization") != authorization {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	client := egress.New(local)
	client.Resolve(dnsOf(func(string) string { return "127.0.0.1" }))
	resp, err := client.Do(get(t, "http://receiver.test:"+port+"/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestReceiversAreSpokenToInHTTP11Only(t *testing.T) {
	for _, noReuse := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if !slices.Equal(hello.SupportedProtos, []string{"http/1.1"}) {
				t.Errorf("the client offers %v", hello.SupportedProtos)
			}
			return nil, nil
		}}
		server.StartTLS()
		defer server.Close()
		cfg := local
		cfg.NoReuse = noReuse
		client := egress.New(cfg)
		client.Trust(poolOf(server))
		resp, err := client.Do(get(t, server.URL))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.Proto != "HTTP/1.1" {
			t.Errorf("got %s", resp.Proto)
		}
	}
}

func TestConnectionsAreReusedUnlessTheyMustNotBe(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, noReuse := range []bool{false, true} {
			addrs := make(chan string, 3)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { addrs <- r.RemoteAddr }))
			server.EnableHTTP2 = true
			if secure {
				server.StartTLS()
			} else {
				server.Start()
			}
			cfg := local
			cfg.NoReuse = noReuse
			client := egress.New(cfg)
			if secure {
				client.Trust(poolOf(server))
			}
			distinct := make(map[string]bool)
			for range 3 {
				resp, err := client.Do(get(t, server.URL))
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				distinct[<-addrs] = true
			}
			if want := map[bool]int{false: 1, true: 3}[noReuse]; len(distinct) != want {
				t.Errorf("TLS %v, NoReuse %v: 3 requests over %d connections, want %d", secure, noReuse, len(distinct), want)
			}
			client.CloseIdle()
			server.Close()
		}
	}
}

func TestAsManyConnectionsAreKeptAsAreToBe(t *testing.T) {
	const atATime = 40
	var opened atomic.Int64
	arrived, answer := make(chan struct{}, atATime), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	cfg := local
	cfg.Keep = atATime
	client := egress.New(cfg)
	defer client.CloseIdle()
	for range 3 {
		var requests errgroup.Group
		for range atATime {
			requests.Go(func() error {
				resp, err := client.Do(get(t, server.URL))
				if err != nil {
					return err
				}
				return resp.Body.Close()
			})
		}
		for range atATime {
			<-arrived
		}
		for range atATime {
			answer <- struct{}{}
		}
		if err := requests.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != atATime {
		t.Errorf("three times %d requests at a time opened %d connections", atATime, n)
	}
}

func TestKeptConnectionsAreClosedInTime(t *testing.T) {
	closed := make(chan struct{}, 10)
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	client := egress.New(local)
	ask := func() {
		t.Helper()
		resp, err := client.Do(get(t, server.URL))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	ask()
	client.Age(egress.MaxIdle - time.Minute/6)
	ask()
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections, of which one was not too old", n)
	}
	client.Age(egress.MaxIdle)
	<-closed
	ask()
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections, of which one was closed", n)
	}
	client.CloseIdle()
	<-closed
}

func TestNoMoreConnectionsAreKeptThanAreToBe(t *testing.T) {
	const hosts, keep = 5, 2
	closed := make(chan int, 2*hosts)
	cfg := local
	cfg.Keep = keep
	client := egress.New(cfg)
	defer client.CloseIdle()
	for host := range hosts {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- host
			}
		}
		server.Start()
		defer server.Close()
		resp, err := client.Do(get(t, server.URL))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if oldest := host - keep; oldest >= 0 {
			if first := <-closed; first != oldest {
				t.Errorf("the connection to host %d was closed, and not the oldest, of %d", first, oldest)
			}
		}
	}
}

func TestWhatHTTPCanNotExpressIsNotSent(t *testing.T) {
	var arrived atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer server.Close()
	client := egress.New(local)
	for name, spoil := range map[string]func(*http.Request){
		"a header's name":  func(r *http.Request) { r.Header["X y"] = []string{"secret"} },
		"a header's value": func(r *http.Request) { r.Header.Set("X", "secret\r\nY: z") },
		"no host":          func(r *http.Request) { r.URL.Host = "" },
		"another scheme":   func(r *http.Request) { r.URL.Scheme = "ftp" },
	} {
		req := get(t, server.URL)
		spoil(req)
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: it was sent", name)
		} else if _, tls := errors.AsType[tls.RecordHeaderError](err); tls {
			t.Errorf("%s: it was tried by TLS: %v", name, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a value: %v", name, err)
		}
	}
	if n := arrived.Load(); n != 0 {
		t.Errorf("%d arrived", n)
	}
}

// BenchmarkRequest sends small requests, sixteen at a time, and reads their answers,
// beside net/http's transport. Its receiver shares the processors.
func BenchmarkRequest(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	b.Cleanup(server.Close)
	body := strings.Repeat("x", 1024)
	cfg := local
	cfg.Keep = 100
	for name, do := range map[string]func(*http.Request) (*http.Response, error){
		"egress":   egress.New(cfg).Do,
		"net http": (&http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}).RoundTrip,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(1, 16/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(next *testing.PB) {
				for next.Next() {
					req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, strings.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					resp, err := do(req)
					if err != nil {
						b.Error(err)
						return
					}
					if _, _, err := egress.ReadBody(resp, 1000); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func TestABodyIsReadUpToTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name      string
		sent      int
		want      int
		truncated bool
	}{
		{"nothing", 0, 0, false},
		{"less than the limit", 999, 999, false},
		{"the limit", 1000, 1000, false},
		{"one byte more", 1001, 1000, true},
		{"a gigabyte", 1 << 30, 1000, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wrote atomic.Int64
			done := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				for chunk := make([]byte, 64<<10); wrote.Load() < int64(tt.sent); {
					n, err := w.Write(chunk[:min(len(chunk), tt.sent-int(wrote.Load()))])
					wrote.Add(int64(n))
					if err != nil {
						return
					}
				}
			}))
			defer server.Close()
			resp, err := egress.New(local).Do(get(t, server.URL))
			if err != nil {
				t.Fatal(err)
			}
			body, truncated, err := egress.ReadBody(resp, 1000)
			if err != nil || len(body) != tt.want || truncated != tt.truncated {
				t.Errorf("got %d bytes, truncated %v, %v; want %d, %v", len(body), truncated, err, tt.want, tt.truncated)
			}
			<-done
			if wrote.Load() > 64<<20 {
				t.Errorf("%d bytes were transferred for a limit of 1000", wrote.Load())
			}
		})
	}
}

func TestAGzipBombIsNotInflated(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 8<<20))
	z.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if accepts := r.Header.Get("Accept-Encoding"); accepts != "" {
			t.Errorf("the client accepts %q", accepts)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	}))
	defer server.Close()
	resp, err := egress.New(local).Do(get(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	body, truncated, err := egress.ReadBody(resp, 16<<10)
	if err != nil || truncated || !bytes.Equal(body, bomb.Bytes()) {
		t.Errorf("got %d bytes, truncated %v, %v; want the %d bytes on the wire", len(body), truncated, err, bomb.Len())
	}
}

func TestASlowBodyEndsWithTheContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "drip")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := egress.New(local).Do(get(t, server.URL).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	body, truncated, err := egress.ReadBody(resp, 1000)
	if !errors.Is(err, context.Canceled) || truncated || !strings.HasPrefix("drip", string(body)) {
		t.Errorf("got %q, truncated %v, %v; want what came, and a cancellation", body, truncated, err)
	}
}

func TestFailuresAreExplainedInAFewWords(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer plain.Close()
	quiet := log.New(io.Discard, "", 0)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	picky := httptest.NewUnstartedServer(nil)
	picky.Config.ErrorLog = quiet
	picky.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	picky.StartTLS()
	defer picky.Close()

	resolver := dnsOf(func(name string) string {
		if name == "gone.test." {
			return ""
		}
		return "127.0.0.1"
	})
	trusting := egress.New(local)
	pool := poolOf(secure)
	pool.AddCert(picky.Certificate())
	trusting.Trust(pool)
	trusting.Resolve(resolver)
	wary := egress.New(local)
	wary.Resolve(resolver)

	for _, tt := range []struct {
		name   string
		client *egress.Client
		url    string
		want   string
	}{
		{"nobody listens", wary, "http://127.0.0.1:1/", "connection refused"},
		{"no such host", wary, "http://gone.test/", "no such host: the name gone.test has no address in the DNS"},
		{"an unknown authority", wary, secure.URL, "certificate signed by an unknown authority"},
		{"another host's certificate", trusting, strings.Replace(secure.URL, "127.0.0.1", "other.test", 1), "certificate is for another host than other.test"},
		{"no TLS", wary, strings.Replace(plain.URL, "http:", "https:", 1), "the server does not speak TLS"},
		{"an alert", trusting, picky.URL, "TLS handshake failed: handshake failure"},
		{"HTTP/2 alone", wary, raw(t, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\n"), "the server does not speak HTTP/1.1, by which requests are sent, but HTTP/2 or something else"},
		{"garbage", wary, raw(t, "200 OK, probably\r\n\r\n"), "no valid HTTP response"},
		{"a negative length", wary, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "no valid HTTP response"},
		{"nothing", wary, raw(t, ""), "connection closed before the response was complete"},
		{"half a header", wary, raw(t, "HTTP/1.1 200 OK\r\nContent-"), "no valid HTTP response"},
		{"huge headers", wary, raw(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n"), "response headers over 65536 bytes"},
		{"endless informational responses", wary, raw(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10_000)), "response headers over 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := tt.client.Do(get(t, tt.url))
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			if got := egress.Explain(err, 0); got != tt.want {
				t.Errorf("got %q for %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestABodyThatBreaksOffIsExplained(t *testing.T) {
	resp, err := egress.New(local).Do(get(t, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")))
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := egress.ReadBody(resp, 100)
	if got, want := egress.Explain(err, 0), "connection closed before the response was complete"; string(body) != "half" || got != want {
		t.Errorf("got %q and %q, want what came and %q", body, got, want)
	}
}

func TestATimeOutNamesItsTime(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	client := egress.New(local)
	_, err := client.Do(get(t, server.URL).WithContext(ctx))
	// The millisecond may pass before the connection is made.
	got := strings.TrimPrefix(egress.Explain(err, 30*time.Second+4*time.Millisecond), "could not connect: ")
	if want := "timed out after 30s"; got != want {
		t.Errorf("got %q for %v, want %q", got, err, want)
	}
}

func TestACancellationIsExplained(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := egress.New(local).Do(get(t, "http://127.0.0.1/").WithContext(ctx))
	if got := egress.Explain(err, 0); got != "canceled" {
		t.Errorf("got %q for %v", got, err)
	}
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*egress.RefusedError](err)
	return ok
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func poolOf(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}

// raw serves the bytes of response, whatever is asked, and hangs up.
func raw(t *testing.T, response string) (url string) {
	t.Helper()
	return answering(t, func() []byte { return []byte(response) })
}

// answering serves the bytes that answer gives, whatever is asked, and hangs up.
func answering(t testing.TB, answer func() []byte) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = conn.Write(answer())
			}
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// dnsOf is a DNS in which answer gives each name's address, or "" for none.
func dnsOf(answer func(name string) string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				resp := reply(query, answer)
				server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(resp))), resp...))
			}
		}()
		return client, nil
	}}
}

// reply makes the DNS message (RFC 1035, section 4) that answers a query.
func reply(query []byte, answer func(name string) string) []byte {
	var name strings.Builder
	i := 12
	for ; query[i] != 0; i += int(query[i]) + 1 {
		name.Write(query[i+1 : i+1+int(query[i])])
		name.WriteByte('.')
	}
	question := query[12 : i+5]
	const typeA, typeAAAA = 1, 28
	asked := binary.BigEndian.Uint16(query[i+1:])

	addr, err := netip.ParseAddr(answer(name.String()))
	header := append(bytes.Clone(query[:2]), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	switch {
	case err != nil:
		header[3] |= 3 // no such name
		return append(header, question...)
	case addr.Is4() && asked == typeA, addr.Is6() && asked == typeAAAA:
		header[7] = 1
		msg := append(header, question...)
		msg = append(msg, 0xc0, 12, 0, byte(asked), 0, 1, 0, 0, 0, 0, 0, byte(len(addr.AsSlice())))
		return append(msg, addr.AsSlice()...)
	}
	return append(header, question...)
}

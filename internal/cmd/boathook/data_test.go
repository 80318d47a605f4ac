package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"boathook/internal/seal"
)

// onFolder starts the program on a folder, gives it to use, and stops it.
func onFolder(t *testing.T, binary, folder string, use func(*killable), variables ...string) {
	t.Helper()
	p := startOn(t, binary, folder, variables...)
	use(p)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v\n%s", err, p.stderr)
	}
}

// refusal is what the program says when it can't start.
func refusal(t *testing.T, folder string, variables ...string) string {
	t.Helper()
	var out bytes.Buffer
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := execute(ctx, around(environment(append(variables, "PORT=0")...), &out), []string{"serve", "--data", folder})
	if err == nil {
		t.Fatalf("it served:\n%s", &out)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	return err.Error()
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	program, folder := binary(t), filepath.Join(t.TempDir(), "new")
	var heard []string
	up := false
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard = append(heard, r.Header.Get("X-Crewship-Delivery"))
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	var path, webhook, run string
	onFolder(t, program, folder, func(p *killable) {
		var trigger string
		path, trigger = p.deployment("echo hello; cat")
		webhook = p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"r","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[1]}}`, receiver.URL), 201)["id"].(string)
		run = p.call("POST", trigger, `{"a":1}`, 202)["run_id"].(string)
		p.retrying(path+"/outgoing-webhooks/"+webhook, 1)
	})
	up = true
	onFolder(t, program, folder, func(p *killable) {
		if got := p.call("GET", "/v1/runs/"+run, "", 200); got["status"] != "succeeded" || fmt.Sprint(got["input"]) != "map[a:1]" {
			t.Errorf("the run is %v", got)
		}
		if d := p.finished(path + "/outgoing-webhooks/" + webhook); len(d["attempts"].([]any)) == 0 {
			t.Errorf("its delivery is %v", d)
		}
		for ctx := patience(t); p.finished(path + "/outgoing-webhooks/" + webhook)["status"] != "succeeded"; {
			if ctx.Err() != nil {
				t.Fatal("the retry was never made")
			}
			time.Sleep(20 * time.Millisecond) // another process: there is nothing to wait on
		}
	})
	if len(heard) != 2 || heard[0] != heard[1] {
		t.Errorf("the receiver heard of %v, want one delivery twice", heard)
	}

	for _, name := range []string{databaseFile, keyFile, internalTokenFile} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want it readable by its owner only", name, info, err)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(folder, adminTokenFile)); err == nil {
		t.Error("a token from the environment was written")
	}

	// The key is gone, another's, or spoiled: told at the start.
	file := filepath.Join(folder, keyFile)
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := seal.NewLocalKey()
	text := base64.StdEncoding.EncodeToString(other[:])
	for name, tc := range map[string]struct {
		file      string
		variables []string
		want      string
	}{
		"gone":                {"", nil, "key is gone"},
		"another's":           {text, nil, "not the key that the database's secrets are sealed with"},
		"spoiled":             {"half of it", nil, "a key is 32 bytes in base64"},
		"another's, told":     {string(key), []string{"BOATHOOK_KEY=" + text}, "BOATHOOK_KEY: it is not the key"},
		"none that was told":  {string(key), []string{"BOATHOOK_KEY=short"}, "BOATHOOK_KEY: a key is 32 bytes in base64"},
		"no certificates":     {string(key), []string{"BOATHOOK_TLS_CERT=none.pem", "BOATHOOK_TLS_KEY=none.pem"}, "--tls-cert: open none.pem"},
		"half of TLS":         {string(key), []string{"BOATHOOK_TLS_CERT=none.pem"}, "one needs the other"},
		"an address in words": {string(key), []string{"PORT=", "BOATHOOK_LISTEN=here"}, "BOATHOOK_LISTEN"},
		"a range in words":    {string(key), []string{"BOATHOOK_ALLOWED_EGRESS=10.0.0.0/8,there"}, "BOATHOOK_ALLOWED_EGRESS: \"there\""},
		"two at once":         {string(key), []string{"BOATHOOK_PUBLIC_URL=there", "BOATHOOK_LOG_LEVEL=loud"}, "BOATHOOK_PUBLIC_URL: \"there\""},
		"a token that is bad": {string(key), []string{"BOATHOOK_ADMIN_TOKEN=short"}, "BOATHOOK_ADMIN_TOKEN"},
	} {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if tc.file != "" {
			if err := os.WriteFile(file, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := refusal(t, folder, tc.variables...); !strings.Contains(got, tc.want) {
			t.Errorf("%s: it says %q, want %q", name, got, tc.want)
		}
	}
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) { // the last of the cases may have had none
		t.Fatal(err)
	}
	onFolder(t, program, folder, func(p *killable) {
		p.call("GET", "/v1/runs/"+run, "", 200)
		if got := refusal(t, folder, "BOATHOOK_KEY="+string(key)); !strings.Contains(got, "another boathook serves this data folder") {
			t.Errorf("a second server says %q", got)
		}
		backup := filepath.Join(t.TempDir(), "backup.db")
		var out bytes.Buffer
		if err := execute(t.Context(), around(environment(), &out), []string{"backup", "--data", folder, backup}); err != nil {
			t.Fatal(err)
		}
		restored := t.TempDir()
		if err := os.Rename(backup, filepath.Join(restored, databaseFile)); err != nil {
			t.Fatal(err)
		}
		onFolder(t, program, restored, func(p *killable) { p.call("GET", "/v1/runs/"+run, "", 200) }, "BOATHOOK_KEY="+strings.TrimSpace(string(key)))
	}, "BOATHOOK_KEY="+strings.TrimSpace(string(key)))
}

// Without --dev nothing of this machine can be reached.
func TestAServerForStrangersReachesNothingOfItsMachine(t *testing.T) {
	program := binary(t)
	cmd := process(t, program, "BOATHOOK_ADMIN_TOKEN="+adminToken)
	cmd.Args = []string{program, "serve", "--data", filepath.Join(t.TempDir(), "data")}
	p := running(t, cmd)
	p.token = adminToken
	if out := p.stdout.String(); strings.Contains(out, adminToken) || strings.Contains(out, "curl") {
		t.Errorf("it prints\n%s", out)
	}
	path := "/v1/deployments/" + p.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
	for _, target := range []string{
		`{"type":"command","argv":["true"]}`, `{"type":"http","url":"http://127.0.0.1:1/"}`, `{"type":"http","url":"https://127.0.0.1:1/"}`,
		`{"type":"http","url":"https://10.0.0.1/"}`, `{"type":"http","url":"http://example.com/"}`,
	} {
		p.call("POST", path+"/versions", `{"environment":"production","target":`+target+`}`, 400)
	}
	p.call("POST", path+"/outgoing-webhooks", `{"name":"r","url":"http://127.0.0.1:1/","events":["run.failed"],"environment":"production"}`, 400)
}

func TestHelpServesNothing(t *testing.T) {
	for _, args := range [][]string{{}, {"help"}, {"--help"}, {"serve", "--help"}, {"backup", "--help"}, {"version"}, {"--version"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}} {
		var out bytes.Buffer
		if err := execute(t.Context(), around(environment(), &out), args); err != nil || out.Len() == 0 {
			t.Errorf("%v: %v\n%s", args, err, &out)
		}
	}
	for _, args := range [][]string{{"serv"}, {"serve", "now"}, {"serve", "--prot=1"}, {"backup"}} {
		var out bytes.Buffer
		if err := execute(t.Context(), around(environment(), &out), args); err == nil || strings.Contains(err.Error(), "\n\n\n") {
			t.Errorf("%v: %v\n%s", args, err, &out)
		}
	}
	if _, err := os.Stat(".data"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made")
	}
}

func TestItServesHTTPS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	program := binary(t)
	cmd := process(t, program)
	cmd.Args = []string{program, "serve", "--data", folder, "--tls-cert", filepath.Join(folder, "cert.pem"), "--tls-key", filepath.Join(folder, "key.pem")}
	p := started(t, cmd)
	url := p.stdout.await(t, `Boathook is at (https://127\.0\.0\.1:\d+)`)[1]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	res, err := client.Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("answered %s", res.Status)
	}
}

// Command invoke invokes a function's real binary with a payload of package
// events, and prints what it answers; what it logs goes to standard error:
//
//	make invoke-manage CASE=create-deployment
//	make invoke-manage                          # lists the cases
//
// The function is built for this machine, told what the template tells it, and
// uses tables, queues, a key and secrets on emulators, which hold what the story
// of the events begins with. Whatever it sends a request to answers 200. It is
// run by the command emulators, at the root of the checkout.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"boathook/events"
	"boathook/internal/cloud"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/store/dynamo"
)

func main() {
	template := flag.String("template", "", "the translated template, a `file`")
	flag.Parse()
	function, name := flag.Arg(0), flag.Arg(1)
	cases, err := casesOf(function)
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(2)
	}
	if !slices.Contains(cases, name) {
		fmt.Fprintf(os.Stderr, "invoke: CASE is to be one of the cases in events/%s:\n\t%s\n", function, strings.Join(cases, "\n\t"))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, *template, function, name)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

// casesOf are the names of a function's payloads.
func casesOf(function string) (names []string, err error) {
	files, err := filepath.Glob(filepath.Join("events", function, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no payloads of a function %q", function)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names, err
}

func run(ctx context.Context, file, function, name string) error {
	payload, err := os.ReadFile(filepath.Join("events", function, name+".json"))
	if err != nil {
		return err
	}
	emulators, err := cloud.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	template, err := cloud.ReadTemplate(file)
	if err != nil {
		return err
	}
	functions := template.Functions()
	i := slices.IndexFunc(functions, func(id string) bool { return strings.EqualFold(id, function+"Function") })
	if i < 0 {
		return fmt.Errorf("there is no function %s, but %s", function, strings.Join(functions, ", "))
	}
	binaries, err := filepath.Abs(".tools/functions")
	if err != nil {
		return err
	}
	if err := cloud.Build(ctx, ".", binaries, runtime.GOARCH, functions[i]); err != nil {
		return err
	}
	stack, err := cloud.Deploy(ctx, cloud.Config{
		Template: template, StackName: "boathook", Binaries: binaries, Emulators: emulators,
		Parameters: map[string]string{"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true", "LogLevel": "debug"},
		Secrets: map[string]string{
			"AdminSecret": events.AdminToken, "InternalSecret": events.InternalToken, "StreamSecret": events.StreamSecret,
		},
		Log: func(string) io.Writer { return os.Stderr },
	})
	if err != nil {
		return err
	}
	defer stack.Close()
	if err := tell(ctx, stack, emulators); err != nil {
		return fmt.Errorf("tell the story: %w", err)
	}
	answer, err := stack.Invoke(ctx, functions[i], payload)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, answer, "", "  ") != nil {
		pretty.Write(answer)
	}
	_, err = fmt.Println(pretty.String())
	return err
}

// tell puts the story into the stack's tables. The whole web is one server.
func tell(ctx context.Context, stack *cloud.Cloud, emulators cloud.Emulators) error {
	sdk, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	var names [3]string
	for i, id := range []string{"ConfigTable", "RecordsTable", "Key"} {
		name, err := stack.Resolve(map[string]any{"Ref": id})
		if err != nil {
			return err
		}
		names[i] = fmt.Sprint(name)
	}
	db := dynamodb.NewFromConfig(sdk, func(o *dynamodb.Options) { o.BaseEndpoint = &emulators.DynamoDB })
	keys := kms.NewFromConfig(sdk, func(o *kms.Options) { o.BaseEndpoint = &emulators.Any })
	store := dynamo.New(db, dynamo.Config{ConfigTable: names[0], RecordsTable: names[1], Retention: 30 * 24 * time.Hour})
	sealer := seal.New(sealkms.Keys{Client: keys, KeyID: names[2]}, store)

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(os.Stderr, r.Method, r.URL)
		io.WriteString(w, `{"ok":true}`) //nolint:errcheck // the function tells
	})}
	go server.Serve(listener) //nolint:errcheck // it ends with the command
	url := "http://" + listener.Addr().String()
	return events.Tell(ctx, store, sealer, url+"/target", url+"/receiver")
}

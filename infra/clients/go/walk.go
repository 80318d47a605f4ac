// Command walk goes from a new deployment to the delivery that its run ends with, by
// a client that oapi-codegen makes from the API's description:
//
//	walk URL TOKEN RECEIVER
//
// The package api is made by `go tool oapi-codegen`, and is not in git.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path"
	"reflect"
	"time"

	"boathook-clients/api"
)

func main() {
	log.SetFlags(0)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := walk(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func walk(ctx context.Context, url, token, receiver string) error {
	client, err := api.NewClientWithResponses(url, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	made, err := client.CreateDeploymentWithResponse(ctx, api.CreateDeploymentJSONRequestBody{Name: "made by Go"})
	if err != nil || made.JSON201 == nil {
		return fmt.Errorf("a deployment: %w %s", err, made.Body)
	}
	deployment := made.JSON201.Id
	version, err := client.CreateVersionWithResponse(ctx, deployment, api.CreateVersionJSONRequestBody{
		Environment: "production",
		Target:      api.Target{Type: "http", Url: new(receiver + "/run")},
	})
	if err != nil || version.JSON201 == nil || version.JSON201.Number != 1 {
		return fmt.Errorf("a version: %w %s", err, version.Body)
	}
	outgoing, err := client.CreateOutgoingWithResponse(ctx, deployment, api.CreateOutgoingJSONRequestBody{
		Name: "told", Url: new(receiver + "/hook"), Events: []api.Event{"run.succeeded"}, Environment: "production",
	})
	if err != nil || outgoing.JSON201 == nil || outgoing.JSON201.SigningSecret == nil {
		return fmt.Errorf("an outgoing webhook: %w %s", err, outgoing.Body)
	}
	incoming, err := client.CreateIncomingWithResponse(ctx, deployment, api.CreateIncomingJSONRequestBody{
		Name: "trigger", Environment: "production",
	})
	if err != nil || incoming.JSON201 == nil || incoming.JSON201.Url == nil {
		return fmt.Errorf("an incoming webhook: %w %s", err, incoming.Body)
	}

	trigger := path.Base(*incoming.JSON201.Url)
	started, err := client.TriggerWithResponse(ctx, trigger, &api.TriggerParams{IdempotencyKey: new("go")}, map[string]any{"from": "Go"})
	if err != nil || started.JSON202 == nil {
		return fmt.Errorf("a run: %w %s", err, started.Body)
	}
	for {
		run, err := client.GetRunWithResponse(ctx, started.JSON202.RunId)
		if err != nil {
			return fmt.Errorf("the run: %w", err)
		}
		if run.JSON200 == nil || run.JSON200.CompletedAt == nil {
			time.Sleep(20 * time.Millisecond) // and ctx ends
			continue
		}
		if run.JSON200.Status != "succeeded" || !reflect.DeepEqual(run.JSON200.Input, map[string]any{"from": "Go"}) {
			return fmt.Errorf("the run is %s", run.Body)
		}
		break
	}
	for {
		page, err := client.ListDeliveriesWithResponse(ctx, deployment, outgoing.JSON201.Id, &api.ListDeliveriesParams{})
		if err != nil || page.JSON200 == nil {
			return fmt.Errorf("deliveries: %w %s", err, page.Body)
		}
		if len(page.JSON200.Data) == 0 || page.JSON200.Data[0].Status != "succeeded" {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		delivery, err := client.GetDeliveryWithResponse(ctx, page.JSON200.Data[0].Id)
		if err != nil || delivery.JSON200 == nil || delivery.JSON200.Attempts == nil || delivery.JSON200.Request == nil {
			return fmt.Errorf("the delivery: %w %s", err, delivery.Body)
		}
		var sent struct{ Event string }
		if err := json.Unmarshal([]byte(delivery.JSON200.Request.Body), &sent); err != nil || delivery.JSON200.Event != "run.succeeded" {
			return fmt.Errorf("the delivery is %s, %v", delivery.Body, err)
		}
		break
	}

	changed, err := client.ChangeOutgoingWithResponse(ctx, deployment, outgoing.JSON201.Id, api.ChangeOutgoingJSONRequestBody{TimeoutSeconds: new(7)})
	if err != nil || changed.JSON200 == nil || changed.JSON200.TimeoutSeconds != 7 || !changed.JSON200.Enabled || changed.JSON200.Format != "raw" {
		return fmt.Errorf("a change: %w %s", err, changed.Body)
	}
	refused, err := client.CreateDeploymentWithResponse(ctx, api.CreateDeploymentJSONRequestBody{})
	if err != nil || refused.JSON400 == nil || refused.JSON400.Error.Field == nil || *refused.JSON400.Error.Field != "name" {
		return fmt.Errorf("an error: %w %s", err, refused.Body)
	}
	return nil
}

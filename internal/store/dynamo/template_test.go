package dynamo_test

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.yaml.in/yaml/v3"

	"boathook/internal/store/dynamo"
)

// template.yaml deploys the tables that this package describes, and that its
// other tests make.
func TestTheTemplatesTablesAreThePackages(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string         `yaml:"Type"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	for _, want := range dynamo.Tables("ConfigTable", "RecordsTable") {
		table := template.Resources[*want.TableName]
		if table.Type != "AWS::DynamoDB::Table" {
			t.Fatalf("the template has no table %s", *want.TableName)
		}
		properties, err := json.Marshal(table.Properties)
		if err != nil {
			t.Fatal(err)
		}
		// The fields of the API's requests are named as CloudFormation's properties.
		var got dynamodb.CreateTableInput
		var expiry dynamodb.UpdateTimeToLiveInput
		for _, v := range []any{&got, &expiry} {
			if err := json.Unmarshal(properties, v); err != nil {
				t.Fatal(err)
			}
		}
		got.TableName, got.Tags, got.SSESpecification = want.TableName, nil, nil
		if !reflect.DeepEqual(&got, want) {
			gotText, _ := json.Marshal(got)
			wantText, _ := json.Marshal(want)
			t.Errorf("%s is\n%s, want\n%s", *want.TableName, gotText, wantText)
		}
		if by := expiry.TimeToLiveSpecification; *want.TableName == "RecordsTable" {
			if by == nil || !*by.Enabled || *by.AttributeName != dynamo.TTLAttribute {
				t.Errorf("records expire by %+v", by)
			}
		} else if by != nil {
			t.Errorf("what users set up expires by %q", *by.AttributeName)
		}
	}
}

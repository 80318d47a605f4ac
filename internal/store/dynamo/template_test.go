package dynamo_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/store/dynamo"
	"boathook/internal/testing/templatetest"
)

// template.yaml deploys the tables that this package describes, and that its
// other tests make.
func TestTheTemplatesTablesAreThePackages(t *testing.T) {
	template := templatetest.Read(t)
	for _, want := range dynamo.Tables("ConfigTable", "RecordsTable") {
		if kind := template.Resources[*want.TableName].Type; kind != "AWS::DynamoDB::Table" {
			t.Fatalf("%s is of the type %q", *want.TableName, kind)
		}
		var table map[string]any
		template.Properties(t, *want.TableName, &table)
		delete(table, "SSESpecification") // by a condition: infra/verify has both its sides
		properties, err := json.Marshal(table)
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
		got.TableName, got.Tags = want.TableName, nil
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

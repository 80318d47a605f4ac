package localaws

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestIntrinsicFunctions(t *testing.T) {
	var template Template
	if err := json.Unmarshal([]byte(`{
		"Parameters": {"Url": {"Type": "String", "Default": ""}, "List": {"Type": "CommaDelimitedList", "Default": "a,b"}, "Days": {"Type": "Number", "Default": 30}},
		"Conditions": {"HasUrl": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Url"}, ""]}]}, "Both": {"Fn::And": [{"Condition": "HasUrl"}, {"Fn::Equals": ["x", "x"]}]}},
		"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Optional": {"Type": "AWS::SQS::Queue", "Condition": "HasUrl"}}
	}`), &template); err != nil {
		t.Fatal(err)
	}
	made := 0
	r, err := newResolver(&template, "s", nil, func(id string) (resource, error) {
		made++
		return resource{"url-of-" + id, map[string]string{"Arn": "arn-of-" + id}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"Ref": "Days"}`:                      `"30"`,
		`{"Ref": "List"}`:                      `["a","b"]`,
		`{"Fn::Join": [",", {"Ref": "List"}]}`: `"a,b"`,
		`{"Fn::Sub": "${AWS::StackName}-${Queue}-${Queue.Arn}-${!Literal}"}`:      `"s-url-of-Queue-arn-of-Queue-${!Literal}"`,
		`{"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}`:      `"s"`,
		`{"Fn::Sub": ["${x}!", {"x": {"Ref": "Queue"}}]}`:                         `"url-of-Queue!"`,
		`{"Fn::Split": [",", {"Fn::Join": ["-x,", {"Ref": "List"}]}]}`:            `["a-x","b"]`,
		`{"Fn::GetAtt": ["Queue", "Arn"]}`:                                        `"arn-of-Queue"`,
		`[{"Fn::If": ["HasUrl", 1, {"Ref": "AWS::NoValue"}]}, 2]`:                 `[2]`,
		`{"a": {"Fn::If": ["Both", 1, {"Ref": "AWS::NoValue"}]}, "b": [true, 1]}`: `{"b":[true,1]}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		value, err := r.value(v)
		got, _ := json.Marshal(value)
		if err != nil || string(got) != want {
			t.Errorf("%s is %s, %v, want %s", text, got, err, want)
		}
	}
	if made != 1 {
		t.Errorf("the queue was made %d times", made)
	}
	if ids := r.resources("AWS::SQS::Queue"); !reflect.DeepEqual(ids, []string{"Queue"}) {
		t.Errorf("the stack has %v", ids)
	}
	for _, text := range []string{
		`{"Ref": "Nobody"}`, `{"Ref": "Optional"}`, `{"Fn::GetAtt": ["Optional", "Arn"]}`, `{"Fn::GetAtt": ["Queue", "Colour"]}`, `{"Fn::Split": [",", {"Ref": "Nobody"}]}`, `{"Fn::Base64": "a"}`,
		`{"Fn::Select": [2, {"Fn::Split": [",", "a,b"]}]}`, `{"Fn::Sub": "${Nobody.Arn}"}`, `{"Fn::If": ["Nobody", 1, 2]}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if value, err := r.value(v); err == nil {
			t.Errorf("%s is %v, want an error", text, value)
		}
	}
}

func TestAConditionThatIsNotUnderstoodDropsNoResource(t *testing.T) {
	for _, condition := range []string{`{"Fn::Equals": [{"Fn::FindInMap": ["Sizes", "small", "rate"]}, "1"]}`, `{"Fn::Equals": [{"Ref": "Queue"}, "x"]}`, `{"Fn::Xor": []}`} {
		var template Template
		if err := json.Unmarshal([]byte(`{"Conditions": {"Maybe": `+condition+`}, "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Condition": "Maybe"}}}`), &template); err != nil {
			t.Fatal(err)
		}
		if r, err := newResolver(&template, "s", nil, nil); err == nil {
			t.Errorf("by %s the stack has %v, want an error", condition, r.resources(""))
		}
	}
}

func TestTheRateOfASchedule(t *testing.T) {
	for expression, want := range map[string]time.Duration{
		"rate(1 minute)": time.Minute, "rate(5 minutes)": 5 * time.Minute, "rate(2 hours)": 2 * time.Hour,
		"rate(0 minutes)": 0, "cron(0 8 * * ? *)": 0, "rate(1 fortnight)": 0, "": 0,
	} {
		got, err := rate(expression)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %s, %v", expression, got, err)
		}
	}
}

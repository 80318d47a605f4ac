package localaws_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"boathook/internal/testing/localaws"
)

// rule is a schedule of ten milliseconds, with the haste that scheduled has.
func rule(properties string) string {
	return `{"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 minute)", ` + properties + `}}`
}

// scheduled is a stack of two functions, which have no binaries, and of sources
// that invoke them.
func scheduled(t *testing.T, invoked func(localaws.Invocation), sources ...string) *localaws.Cloud {
	t.Helper()
	const function = `{"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 1}}`
	text := `{"Resources": {"One": ` + function + `, "Other": ` + function
	for i, source := range sources {
		text += fmt.Sprintf(`, "Source%d": %s`, i, source)
	}
	var template localaws.Template
	if err := json.Unmarshal([]byte(text+`}}`), &template); err != nil {
		t.Fatal(err)
	}
	deployed, err := localaws.Deploy(t.Context(), localaws.Config{Template: &template, StackName: "test", Haste: 6000, Invoked: invoked})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(deployed.Close)
	return deployed
}

func TestARuleThatIsDisabledInvokesNothing(t *testing.T) {
	invoked := make(chan string)
	deployed := scheduled(t, func(i localaws.Invocation) {
		select {
		case invoked <- i.Function:
		case <-t.Context().Done():
		}
	},
		rule(`"State": "DISABLED", "Targets": [{"Arn": {"Fn::GetAtt": ["One", "Arn"]}}]`),
		rule(`"State": "ENABLED", "Targets": [{"Arn": {"Fn::GetAtt": ["Other", "Arn"]}}]`),
	)
	if err := deployed.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if function := <-invoked; function != "Other" {
			t.Errorf("%s was invoked", function)
		}
	}
}

func TestARuleThatLeadsNowhereIsRefused(t *testing.T) {
	deployed := scheduled(t, nil, rule(`"Targets": [{"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:nobody"}]`))
	if err := deployed.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("the error is %v", err)
	}
}

func TestAMappingThatIsDisabledIsNotMade(t *testing.T) {
	for enabled, refused := range map[string]bool{"false": false, "true": true} {
		deployed := scheduled(t, nil, `{"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
			"Enabled": `+enabled+`, "BatchSize": 1, "EventSourceArn": "arn:of:nothing", "FunctionName": {"Ref": "One"}}}`)
		if err := deployed.Run(t.Context()); (err != nil) != refused {
			t.Errorf("enabled %s, of a queue that there is not: %v", enabled, err)
		}
	}
}

func TestEveryMissingEmulatorIsNamed(t *testing.T) {
	_, err := localaws.FromEnv(func(name string) string {
		return map[string]string{"BOATHOOK_TEST_DYNALITE": "http://here"}[name]
	})
	if err == nil || !strings.Contains(err.Error(), "BOATHOOK_TEST_MOTO, BOATHOOK_TEST_FAUXQS") {
		t.Errorf("the error is %v", err)
	}
}

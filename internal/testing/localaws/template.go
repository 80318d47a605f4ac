package localaws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Template is a CloudFormation template, translated from SAM's, in JSON.
type Template struct {
	Parameters map[string]struct {
		Type    string
		Default any
	}
	Conditions map[string]any
	Resources  map[string]Resource
	Outputs    map[string]struct{ Value any }
}

// Resource is a resource of a template; its properties may hold intrinsic
// functions.
type Resource struct {
	Type       string
	Condition  string
	Properties map[string]any
	Metadata   struct{ Template *Template } // a nested stack's
}

// ReadTemplate reads what infra/translate.py has written.
func ReadTemplate(file string) (*Template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var t Template
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &t, nil
}

// Functions are the logical ids of the functions, in alphabetical order.
func (t *Template) Functions() (ids []string) {
	for id, r := range t.Resources {
		if r.Type == "AWS::Lambda::Function" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// All are the resources of a type, with those of the stacks nested in this one.
func (t *Template) All(kind string) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for _, r := range t.Resources {
			if r.Type == kind && !yield(r) {
				return
			}
			if r.Metadata.Template == nil {
				continue
			}
			for nested := range r.Metadata.Template.All(kind) {
				if !yield(nested) {
					return
				}
			}
		}
	}
}

// resource is what a made resource's references stand for.
type resource struct {
	ref        string
	attributes map[string]string
}

// arn is the resource's, which of some types is their reference.
func (r resource) arn() string { return cmp.Or(r.attributes["Arn"], r.ref) }

// resolver gives a template's values in one stack. A resource is made when
// something first refers to it.
type resolver struct {
	template   *Template
	stackName  string
	parameters map[string]string
	existing   map[string]Resource // those whose conditions hold
	make       func(id string) (resource, error)
	made       map[string]resource
}

// newResolver decides which of the template's resources the stack has. A
// condition that is not understood is an error: its resource would be missed by
// nobody.
func newResolver(t *Template, stackName string, parameters map[string]string, create func(id string) (resource, error)) (*resolver, error) {
	r := &resolver{
		template: t, stackName: stackName, parameters: parameters,
		make: create, made: make(map[string]resource),
	}
	existing := make(map[string]Resource)
	for id, resource := range t.Resources {
		holds := resource.Condition == ""
		if !holds {
			var err error
			if holds, err = r.condition(map[string]any{"Condition": resource.Condition}); err != nil {
				return nil, fmt.Errorf("the condition %s of %s: %w", resource.Condition, id, err)
			}
		}
		if holds {
			existing[id] = resource
		}
	}
	r.existing = existing
	return r, nil
}

// omitted is the value of AWS::NoValue: who contains it leaves it out.
type omitted struct{}

// properties decodes a resource's, resolved, into v.
func (r *resolver) properties(id string, v any) error {
	value, err := r.value(r.existing[id].Properties)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// value resolves the intrinsic functions in v.
func (r *resolver) value(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			value, err := r.value(element)
			if err != nil {
				return nil, err
			}
			if _, out := value.(omitted); !out {
				list = append(list, value)
			}
		}
		return list, nil
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return r.call(name, argument)
				}
			}
		}
		object := make(map[string]any, len(v))
		for name, member := range v {
			value, err := r.value(member)
			if err != nil {
				return nil, err
			}
			if _, out := value.(omitted); !out {
				object[name] = value
			}
		}
		return object, nil
	}
	return v, nil
}

// call is the value of an intrinsic function. It is a switch with a case for each that
// the template uses.
func (r *resolver) call(name string, argument any) (any, error) {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		return r.ref(fmt.Sprint(argument))
	case "Fn::GetAtt":
		if len(list) == 2 {
			return r.attribute(fmt.Sprint(list[0]), fmt.Sprint(list[1]))
		}
	case "Fn::Sub":
		return r.substitute(argument)
	case "Fn::If":
		if len(list) == 3 {
			holds, err := r.condition(map[string]any{"Condition": list[0]})
			if err != nil {
				return nil, err
			}
			if holds {
				return r.value(list[1])
			}
			return r.value(list[2])
		}
	case "Fn::Join":
		if len(list) == 2 {
			parts, err := r.strings(list[1])
			return strings.Join(parts, fmt.Sprint(list[0])), err
		}
	case "Fn::Split":
		if len(list) == 2 {
			return r.split(fmt.Sprint(list[0]), list[1])
		}
	case "Fn::Select":
		if len(list) == 2 {
			parts, err := r.strings(list[1])
			if err != nil {
				return nil, err
			}
			if i, ok := list[0].(float64); ok && 0 <= i && int(i) < len(parts) {
				return parts[int(i)], nil
			}
		}
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or":
		return r.condition(map[string]any{name: argument})
	}
	return nil, fmt.Errorf("%s of %v is not known", name, argument)
}

func (r *resolver) split(separator string, v any) (any, error) {
	text, err := r.value(v)
	if err != nil {
		return nil, err
	}
	var list []any
	for part := range strings.SplitSeq(fmt.Sprint(text), separator) {
		list = append(list, part)
	}
	return list, nil
}

func (r *resolver) strings(v any) ([]string, error) {
	value, err := r.value(v)
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%v is no list", value)
	}
	parts := make([]string, len(list))
	for i, element := range list {
		parts[i] = fmt.Sprint(element)
	}
	return parts, nil
}

// ref is what a Ref to a parameter, pseudo parameter or resource gives.
func (r *resolver) ref(name string) (any, error) {
	switch name {
	case "AWS::NoValue":
		return omitted{}, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::Region":
		return region, nil
	case "AWS::AccountId":
		return account, nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	case "AWS::StackName":
		return r.stackName, nil
	case "AWS::StackId":
		return "arn:aws:cloudformation:" + region + ":" + account + ":stack/" + r.stackName + "/" + r.stackName, nil
	}
	if p, ok := r.template.Parameters[name]; ok {
		value, given := r.parameters[name]
		if !given {
			value = fmt.Sprint(p.Default)
		}
		if p.Type == "CommaDelimitedList" {
			var list []any
			for element := range strings.SplitSeq(value, ",") {
				list = append(list, element)
			}
			return list, nil
		}
		return value, nil
	}
	made, err := r.resource(name)
	return made.ref, err
}

func (r *resolver) attribute(id, name string) (any, error) {
	made, err := r.resource(id)
	if err != nil {
		return nil, err
	}
	value, ok := made.attributes[name]
	if !ok {
		return nil, fmt.Errorf("%s has no attribute %s here", id, name)
	}
	return value, nil
}

// resources are the logical ids of the stack's resources of a type, or of all
// types, in alphabetical order.
func (r *resolver) resources(kind string) (ids []string) {
	for id, resource := range r.existing {
		if kind == "" || resource.Type == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// resource makes a resource, unless it is made. As on AWS, nothing may refer to
// one whose condition does not hold.
func (r *resolver) resource(id string) (resource, error) {
	if made, ok := r.made[id]; ok {
		return made, nil
	}
	if _, ok := r.existing[id]; !ok {
		return resource{}, fmt.Errorf("the stack has no %s", id)
	}
	made, err := r.make(id)
	if err != nil {
		return resource{}, fmt.Errorf("%s: %w", id, err)
	}
	r.made[id] = made
	return made, nil
}

var placeholder = regexp.MustCompile(`\$\{[^!}][^}]*\}`)

// substitute is Fn::Sub, of a text or of a text and its own variables.
func (r *resolver) substitute(argument any) (any, error) {
	text, variables := argument, map[string]any{}
	if list, ok := argument.([]any); ok && len(list) == 2 {
		text = list[0]
		variables, _ = list[1].(map[string]any)
	}
	var failure error
	result := placeholder.ReplaceAllStringFunc(fmt.Sprint(text), func(match string) string {
		name := strings.TrimSpace(match[2 : len(match)-1])
		var value any
		var err error
		if own, ok := variables[name]; ok {
			value, err = r.value(own)
		} else if id, attribute, ok := strings.Cut(name, "."); ok {
			value, err = r.attribute(id, attribute)
		} else {
			value, err = r.ref(name)
		}
		if err != nil {
			failure = err
		}
		return fmt.Sprint(value)
	})
	return result, failure
}

// condition evaluates a condition function.
func (r *resolver) condition(v any) (bool, error) {
	object, _ := v.(map[string]any)
	for name, argument := range object {
		list, _ := argument.([]any)
		switch name {
		case "Condition":
			return r.condition(r.template.Conditions[fmt.Sprint(argument)])
		case "Fn::Equals":
			parts, err := r.strings(list)
			return err == nil && len(parts) == 2 && parts[0] == parts[1], err
		case "Fn::Not", "Fn::And", "Fn::Or":
			all, some := true, false
			for _, element := range list {
				holds, err := r.condition(element)
				if err != nil {
					return false, err
				}
				all, some = all && holds, some || holds
			}
			switch name {
			case "Fn::Not":
				return !all, nil
			case "Fn::And":
				return all, nil
			}
			return some, nil
		}
	}
	return false, fmt.Errorf("%v is no condition", v)
}

package cloud

import "fmt"

// Statement is one that a role allows by.
type Statement struct {
	Sid       string
	Actions   []string
	Resources []string // ARNs
}

// Statements are what the role of the function of a logical id allows.
func (d *Cloud) Statements(function string) (statements []Statement, err error) {
	role, _ := d.config.Template.Resources[function].Properties["Role"].(map[string]any)["Fn::GetAtt"].([]any)
	if len(role) != 2 {
		return nil, fmt.Errorf("%s has no role of the template's", function)
	}
	var p struct {
		Policies []struct {
			PolicyDocument struct {
				Statement []struct {
					Sid              string
					Action, Resource any
				}
			}
		}
	}
	if err := d.resolver.properties(fmt.Sprint(role[0]), &p); err != nil {
		return nil, err
	}
	for _, policy := range p.Policies {
		for _, s := range policy.PolicyDocument.Statement {
			statements = append(statements, Statement{s.Sid, oneOrMore(s.Action), oneOrMore(s.Resource)})
		}
	}
	return statements, nil
}

// oneOrMore is a policy's element that may be a text or a list of them.
func oneOrMore(v any) (texts []string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, element := range list {
		texts = append(texts, fmt.Sprint(element))
	}
	return texts
}

"""A template as it is for some values of its parameters: without what its conditions leave out."""

import re
import uuid

_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")
_NOTHING = object()  # AWS::NoValue


class View:
    """Resources and outputs with their values. What only a deployment can know, such as a queue's URL,
    stays a reference; `references` are the names that these name."""

    def __init__(self, template, parameters={}, stack_name="boathook", region="eu-central-1"):
        self.template = template
        self.references = set()
        self.parameters = {name: p.get("Default") for name, p in template["Parameters"].items()} | parameters
        stack_id = uuid.uuid5(uuid.NAMESPACE_URL, stack_name + region)
        self.pseudo = {
            "AWS::StackName": stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:123456789012:stack/{stack_name}/{stack_id}",
            "AWS::Region": region,
            "AWS::AccountId": "123456789012",
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NOTHING,
        }
        self.resources = self._present("Resources")
        self.outputs = self._present("Outputs")

    def refused(self):
        """Why CloudFormation would not take the parameters: what each broken rule says."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if "RuleCondition" not in rule or self._holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._holds(assertion["Assert"])
        ]

    def _present(self, section):
        return {
            name: self.value({k: v for k, v in item.items() if k not in ("Condition", "Metadata")})
            for name, item in self.template.get(section, {}).items()
            if "Condition" not in item or self._holds({"Condition": item["Condition"]})
        }

    def _holds(self, condition):
        ((name, argument),) = condition.items()
        match name:
            case "Condition":
                return self._holds(self.template["Conditions"][argument])
            case "Fn::Equals":
                left, right = (self.value(v) for v in argument)
                return str(left) == str(right)  # CloudFormation compares text
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(self._holds(c) for c in argument)
            case "Fn::Or":
                return any(self._holds(c) for c in argument)
        raise ValueError(f"{name} is no condition")

    def value(self, v):
        if isinstance(v, list):
            return [e for e in map(self.value, v) if e is not _NOTHING]
        if not isinstance(v, dict):
            return v
        if len(v) == 1:
            ((name, argument),) = v.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        values = {k: self.value(e) for k, e in v.items()}
        return {k: e for k, e in values.items() if e is not _NOTHING}

    def _call(self, name, argument):
        match name:
            case "Ref":
                return self._named(argument)
            case "Fn::GetAtt":
                self.references.add(argument[0])
                return "${%s}" % ".".join(argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.value(then if self._holds({"Condition": condition}) else otherwise)
            case "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                return _PLACEHOLDER.sub(lambda m: str(self._placeholder(m[1], own)), text)
            case "Fn::Join":
                return argument[0].join(str(e) for e in self.value(argument[1]))
            case "Fn::Split":
                return self.value(argument[1]).split(argument[0])
            case "Fn::Select":
                return self.value(argument[1])[int(argument[0])]
        raise ValueError(f"{name} is not known")

    def _placeholder(self, name, own):
        if name in own:
            return self.value(own[name])
        resource, _, attribute = name.partition(".")
        return self._call("Fn::GetAtt", [resource, attribute]) if attribute else self._named(name)

    def _named(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        self.references.add(name)
        return "${%s}" % name

"""What parameters may be, and that the template works for all that they may be."""

import itertools
import json
import re
import unittest

from deployed import FUNCTION, QUEUE, RUNTIME, TOPIC, translate
from view import View

CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/3f5c1f0e-1f44-4c39-9c5c-0a4e1f4b8a2e"
LAYER = "arn:aws:lambda:eu-central-1:901920570463:layer:aws-otel-collector-arm64-ver-0-117-0:1"
SUBNETS, GROUP = "subnet-0aaaaaaaaaaaaaaaa,subnet-0bbbbbbbbbbbbbbbb", "sg-0cccccccccccccccc"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0b5e0f3c-2f0e-4b43-9d8e-5d0c2f1f6c11"
DOMAIN = {"DomainName": "hooks.example.com", "CertificateArn": CERTIFICATE}



def long_list(arn, length):
    """ARNs like this one, separated by commas, of so many characters together."""
    arns = ",".join([arn] * (length // (len(arn) + 1)))
    return arns + "x" * (length - len(arns))


# Of each parameter values that are good, and values that are not.
VALUES = {
    "DomainName": (["", "hooks.example.com", "a-b.example"], ["Hooks.example.com", "https://hooks.example.com", "localhost", "-a.example", "a..b", "a" * 64 + ".example"]),
    "CertificateArn": (["", CERTIFICATE], ["certificate", FUNCTION]),
    "HostedZoneId": (["", "Z2FDTNDATAQYW2"], ["/hostedzone/Z2FDTNDATAQYW2", "example.com"]),
    "DisableExecuteApiEndpoint": (["true", "false"], ["", "yes"]),
    "PublicUrl": (["", "https://hooks.example.com", "https://hooks.example.com:8443"], ["https://" + "a" * 121, "http://hooks.example.com", "https://hooks.example.com/", "hooks.example.com"]),
    "AllowedTargets": (["", "http", "http,lambda,agentcore"], ["ftp", "http, lambda", "http;lambda", "http,http,http,http,http"]),
    "AllowedFunctionArns": (["", FUNCTION, FUNCTION + "," + FUNCTION + ":live"], ["report", "*", FUNCTION + "*", FUNCTION + ",", RUNTIME, long_list(FUNCTION, 851)]),
    "AllowedRuntimeArns": (["", RUNTIME, RUNTIME + "," + RUNTIME], ["*", RUNTIME + "/*", "," + RUNTIME, FUNCTION, long_list(RUNTIME, 351)]),
    "AllowedQueueArns": (["", QUEUE, QUEUE + "," + QUEUE + ".fifo"], ["orders", "*", QUEUE + "*", QUEUE + ",", "," + QUEUE, QUEUE + ".fif", FUNCTION, long_list(QUEUE, 251)]),
    "AgentExecution": (["true", "false"], ["", "yes"]),
    "AllowedEgress": (["", "10.0.0.0/8", "10.0.0.0/8,fd00::/8", "192.168.255.0/32,::1/128"],
                      ["10.0.0.1", "10.0.0.0/8 ", "10.0.0.0/33", "999.1.1.1/8", "fd00::/129", "10.0.0.0/8,", "internal", ",".join(["10.20.30.0/24"] * 11)]),
    "AllowHttp": (["true", "false"], ["", "1"]),
    "SubnetIds": (["", SUBNETS, "subnet-0123abcd"], ["vpc-0123abcd", "subnet-0123abcd,", "subnet-0123ABCD", ",".join(["subnet-0123abcd"] * 17)]),
    "SecurityGroupIds": (["", GROUP, GROUP + "," + GROUP], ["default", GROUP + " ", ",".join([GROUP] * 6)]),
    "RetentionDays": (["15", "30", "3653"], ["14", "0", "-1", "30.5", "3654", "month", ""]),
    "LogRetentionDays": (["1", "30", "3653"], ["0", "2", "31", "never"]),
    "LogLevel": (["debug", "info", "warn", "error"], ["trace", "INFO", ""]),
    "WebSocketAccessLog": (["true", "false"], ["", "yes"]),
    "EncryptionKeyArn": (["", KEY, KEY.rpartition("/")[0] + "/mrk-0b5e0f3c2f0e4b439d8e5d0c2f1f6c11"], ["alias/own", KEY.replace("key/", "alias/"), KEY + ","]),
    "RequestRate": (["10", "10000"], ["0", "9", "10001", ""]),
    "RunConcurrency": (["2", "1000"], ["0", "1", "1001", ""]),
    "DeliveryConcurrency": (["2", "1000"], ["0", "1", "1001", ""]),
    "RetryConcurrency": (["2", "1000"], ["0", "1", "1001", ""]),
    "IntakeConcurrency": (["0", "1", "10000"], ["-1", "10001", ""]),
    "Architecture": (["arm64", "x86_64"], ["", "amd64"]),
    "AlarmEmail": (["", "on-call@example.com"], ["on-call", "a@b@c", "a b@example.com", "x" * 250 + "@example.com"]),
    "AlarmTopicArn": (["", TOPIC], ["pager", FUNCTION]),
    "Dashboard": (["true", "false"], ["", "yes"]),
    "OtlpEndpoint": (["", "http://localhost:4318", "https://collector.example.com/otlp"], ["collector.example.com", "https://a.example?key=x", "grpc://a.example", "https://" + "a" * 121]),
    "CollectorLayerArn": (["", LAYER], [LAYER.rpartition(":")[0], FUNCTION]),
    "XRayTracing": (["true", "false"], ["", "Active"]),
}

MAX_ENVIRONMENT = 4096  # bytes of JSON, of Lambda's quotas
ROOM_FOR_STACK_NAME = "n" * 40  # the longest that leaves the lists the room that they may take

# The limits of names, from each service's quotas.
NAME_LIMITS = {
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::KMS::Alias", "AliasName"): 256,
    ("AWS::ApiGatewayV2::Api", "Name"): 128,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
}
# What refers to another name, or is a name among those of its own resource only.
INNER_NAMES = {"DisplayName", "DomainName", "FunctionName", "MetricName", "Name", "StageName"}


def accepts(parameter, value):
    """Whether CloudFormation takes a parameter's value."""
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        return False
    if parameter["Type"] == "Number":
        try:
            number = float(value)
        except ValueError:
            return False
        return parameter.get("MinValue", number) <= number <= parameter.get("MaxValue", number)
    if len(value) > parameter.get("MaxLength", len(value)):
        return False
    return re.fullmatch(parameter.get("AllowedPattern", ".*"), value, re.DOTALL) is not None


class ParametersTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.template = translate()
        cls.nested = {
            name: r["Metadata"]["Template"] for name, r in cls.template["Resources"].items() if r["Type"] == "AWS::CloudFormation::Stack"
        }

    def test_values_out_of_range_are_refused(self):
        self.assertEqual(set(VALUES), set(self.template["Parameters"]))
        for name, (good, bad) in VALUES.items():
            parameter = self.template["Parameters"][name]
            for value in good:
                self.assertTrue(accepts(parameter, value), f"{name}={value!r}")
            for value in bad:
                self.assertFalse(accepts(parameter, value), f"{name}={value!r}")

    def test_a_refusal_says_what_is_wanted(self):
        for name, parameter in self.template["Parameters"].items():
            self.assertTrue(parameter.get("Description"), name)
            self.assertEqual("AllowedPattern" in parameter, "ConstraintDescription" in parameter, name)
            self.assertTrue(accepts(parameter, str(parameter["Default"])), name)

    def test_each_parameter_is_in_a_group_and_has_a_label(self):
        interface = self.template["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(self.template["Parameters"]))
        self.assertEqual(set(interface["ParameterLabels"]), set(self.template["Parameters"]))

    def test_parameters_that_contradict_each_other_are_refused(self):
        for parameters, want in [
            ({}, []),
            (DOMAIN, []),
            (DOMAIN | {"HostedZoneId": "Z2FDTNDATAQYW2"}, []),
            ({"DomainName": "hooks.example.com"}, ["DomainName needs a CertificateArn."]),
            ({"HostedZoneId": "Z2FDTNDATAQYW2"}, ["HostedZoneId is that of a DomainName."]),
            (DOMAIN | {"DisableExecuteApiEndpoint": "true"}, []),
            ({"DisableExecuteApiEndpoint": "true"}, ["DisableExecuteApiEndpoint needs a DomainName, without which the API has no address."]),
            ({"DisableExecuteApiEndpoint": "true", "PublicUrl": "https://front.example.com"},
             ["DisableExecuteApiEndpoint needs a DomainName, without which the API has no address."]),
            ({"SubnetIds": SUBNETS, "SecurityGroupIds": GROUP}, []),
            ({"SubnetIds": SUBNETS}, ["SubnetIds needs SecurityGroupIds."]),
            ({"SecurityGroupIds": GROUP}, ["SecurityGroupIds needs SubnetIds."]),
            ({"AlarmEmail": "a@example.com"}, []),
            ({"AlarmTopicArn": TOPIC}, []),
            ({"AlarmEmail": "a@example.com", "AlarmTopicArn": TOPIC},
             ["AlarmEmail subscribes to the stack's own topic, so AlarmTopicArn must be empty."]),
        ]:
            with self.subTest(parameters):
                self.assertEqual(View(self.template, parameters).refused(), want)

    def test_conditions_work_in_every_combination(self):
        choices = [
            [{}, DOMAIN, DOMAIN | {"HostedZoneId": "Z2FDTNDATAQYW2"}, DOMAIN | {"DisableExecuteApiEndpoint": "true"}],
            [{}, {"PublicUrl": "https://front.example.com"}],
            [{}, {"AllowedFunctionArns": FUNCTION + "," + FUNCTION + ":live"}],
            [{}, {"AllowedRuntimeArns": RUNTIME}],
            [{}, {"AllowedQueueArns": QUEUE + "," + QUEUE + ".fifo"}],
            [{}, {"AlarmEmail": "a@example.com"}, {"AlarmTopicArn": TOPIC}],
            [{}, {"Dashboard": "false"}],
        ]
        seen = set()
        for combination in itertools.product(*choices):
            parameters = {k: v for choice in combination for k, v in choice.items()}
            root = View(translate(parameters=parameters), parameters)
            views = {"": root}
            for name, template in self.nested.items():
                given = root.resources[name]["Properties"]["Parameters"]
                self.assertEqual(set(given), set(template["Parameters"]))
                views[name] = View(template, given, stack_name="nested")
            for name, view in views.items():
                with self.subTest(name, parameters=parameters):
                    self.assertEqual(view.references - set(view.resources), set())
                    self.assertNotIn("NoValue", json.dumps([view.resources, view.outputs]))
                    for output in view.outputs.values():
                        self.assertTrue(output["Value"] and output["Description"], output)
            seen.add(tuple(sorted(r for view in views.values() for r in view.resources)))
        self.assertEqual(len(seen), 3 * 3 * 2)  # resources: the domain's, the topic's, the dashboard

    def test_traces_go_where_they_are_asked_to(self):
        """By an endpoint, a collector's layer or X-Ray; nowhere, and by no grant, unless asked."""
        own = "https://collector.example.com"
        for endpoint, layer, xray in itertools.product(["", own], ["", LAYER], ["false", "true"]):
            parameters = {"OtlpEndpoint": endpoint, "CollectorLayerArn": layer, "XRayTracing": xray}
            view = View(translate(parameters=parameters), parameters)
            with self.subTest(parameters=parameters):
                self.assertNotIn("NoValue", json.dumps(view.resources))
                functions = {n: r["Properties"] for n, r in view.resources.items() if r["Type"] == "AWS::Lambda::Function"}
                self.assertEqual(len(functions), 7)
                for name, properties in functions.items():
                    wanted = endpoint or ("http://localhost:4318" if layer else None)
                    self.assertEqual(properties["Environment"]["Variables"].get("OTEL_EXPORTER_OTLP_ENDPOINT"), wanted)
                    self.assertEqual(properties["Layers"], [layer] if layer else [])
                    self.assertEqual(properties["TracingConfig"], {"Mode": "Active" if xray == "true" else "PassThrough"})
                    (policy,) = view.resources[name.replace("Function", "Role")]["Properties"]["Policies"]
                    granted = [s["Action"] for s in policy["PolicyDocument"]["Statement"] if s["Sid"] == "WriteTraces"]
                    self.assertEqual(granted, [["xray:PutTraceSegments", "xray:PutTelemetryRecords"]] if layer or xray == "true" else [])

    def test_the_queues_leave_a_small_account_room_for_requests(self):
        """Of 50 concurrent executions by default, and of 10 where each is set to the least."""
        queues = [self.template["Parameters"][name] for name in ("RunConcurrency", "DeliveryConcurrency", "RetryConcurrency")]
        self.assertLessEqual(sum(p["Default"] for p in queues), 40)
        self.assertLessEqual(sum(p["MinValue"] for p in queues), 6)

    def test_intake_has_a_reserved_concurrency_only_where_that_is_asked_for(self):
        for parameters, want in [({}, None), ({"IntakeConcurrency": "0"}, None), ({"IntakeConcurrency": "25"}, "25")]:
            view = View(translate(parameters=parameters), parameters)
            reserved = {n: r["Properties"].get("ReservedConcurrentExecutions") for n, r in view.resources.items() if r["Type"] == "AWS::Lambda::Function"}
            self.assertEqual(reserved.pop("IntakeFunction"), want)
            self.assertEqual(set(reserved.values()), {None})

    def test_what_sends_is_in_a_vpc_where_that_is_asked_for(self):
        for parameters in {}, {"SubnetIds": SUBNETS, "SecurityGroupIds": GROUP}:
            view = View(translate(parameters=parameters), parameters)
            placed = {n: r["Properties"].get("VpcConfig") for n, r in view.resources.items() if r["Type"] == "AWS::Lambda::Function"}
            policies = {n: r["Properties"].get("ManagedPolicyArns") for n, r in view.resources.items() if r["Type"] == "AWS::IAM::Role"}
            self.assertEqual(view.references - set(view.resources), set())
            self.assertNotIn("NoValue", json.dumps(view.resources))
            if not parameters:
                self.assertEqual((set(placed.values()), [p for p in policies.values() if p]), ({None}, []))
                self.assertNotIn("ec2:", json.dumps(view.resources))
                continue
            network = {"SubnetIds": SUBNETS.split(","), "SecurityGroupIds": [GROUP]}
            self.assertEqual({n for n, p in placed.items() if p}, {"ExecuteFunction", "DeliverFunction"})
            self.assertEqual((placed["ExecuteFunction"], placed["DeliverFunction"]), (network, network))
            self.assertEqual({n: p for n, p in policies.items() if p}, {"ExecuteRole": ["${NetworkPolicy}"], "DeliverRole": ["${NetworkPolicy}"]})
            statements = {s["Sid"]: s for s in view.resources["NetworkPolicy"]["Properties"]["PolicyDocument"]["Statement"]}
            # An interface is made in these subnets with these groups only, and never by a function's own code.
            self.assertEqual({sid: s["Condition"] for sid, s in statements.items() if "Condition" in s}, {
                "InTheseSubnets": {"StringEquals": {"ec2:SubnetID": SUBNETS.split(",")}},
                "WithTheseSecurityGroups": {"StringEquals": {"ec2:SecurityGroupID": [GROUP]}},
                "NotTheFunctionsThemselves": {"Null": {"lambda:SourceFunctionArn": "false"}},
            })
            self.assertEqual({sid for sid, s in statements.items() if s["Effect"] == "Deny"}, {"NotTheFunctionsThemselves"})
            resources = [s["Resource"].partition(":eu-central-1:")[2] for s in statements.values() if s["Action"] == "ec2:CreateNetworkInterface"]
            self.assertEqual(resources, ["123456789012:network-interface/*", "*:subnet/*", "*:security-group/*"])

    def test_the_domain_is_what_webhook_urls_are_shown_with(self):
        for parameters, want, api in [
            ({}, "", "https://${Api}.execute-api.eu-central-1.amazonaws.com"),
            (DOMAIN, "https://hooks.example.com", "https://hooks.example.com"),
            (DOMAIN | {"PublicUrl": "https://front.example.com"}, "https://front.example.com", "https://front.example.com"),
        ]:
            view = View(self.template, parameters)
            for function in "ManageFunction", "ConsoleFunction", "IntakeFunction":
                self.assertEqual(view.resources[function]["Properties"]["Environment"]["Variables"]["BOATHOOK_PUBLIC_URL"], want)
            self.assertEqual(view.outputs["ApiUrl"]["Value"], api)
            self.assertEqual(view.outputs["ConsoleUrl"]["Value"], api + "/console/")
        view = View(self.template, DOMAIN | {"HostedZoneId": "Z2FDTNDATAQYW2"})
        self.assertEqual(view.outputs["DomainTarget"]["Value"], "${Domain.RegionalDomainName}")
        self.assertEqual(view.resources["DomainRecord"]["Properties"]["AliasTarget"]["DNSName"], "${Domain.RegionalDomainName}")
        self.assertEqual(
            view.resources["DomainMapping"]["Properties"],
            {"DomainName": "${Domain}", "ApiId": "${Api}", "Stage": "${ApiApiGatewayDefaultStage}"},
        )
        (configuration,) = view.resources["Domain"]["Properties"]["DomainNameConfigurations"]
        self.assertEqual((configuration["CertificateArn"], configuration["SecurityPolicy"]), (CERTIFICATE, "TLS_1_2"))

    def test_the_api_is_at_its_domain_alone_where_that_is_asked_for(self):
        for parameters, want in [
            ({}, False), (DOMAIN, False), (DOMAIN | {"DisableExecuteApiEndpoint": "false"}, False),
            (DOMAIN | {"DisableExecuteApiEndpoint": "true"}, True),
        ]:
            view = View(translate(parameters=parameters), parameters)
            (server,) = view.resources["Api"]["Properties"]["Body"]["servers"]
            # A boolean: of "false", as a parameter has it, one can't be sure.
            self.assertIs(server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"], want)
            self.assertEqual("execute-api" in view.outputs["ApiUrl"]["Value"], not parameters)

    def names(self, stack_name, region="eu-central-1"):
        """The names that the templates give, of what shares its names with the whole account: (type, property) and name."""
        root = View(self.template, {}, stack_name, region)
        views = [root] + [View(t, root.resources[n]["Properties"]["Parameters"], "nested", region) for n, t in self.nested.items()]
        for view in views:
            for resource in view.resources.values():
                for key, value in resource.get("Properties", {}).items():
                    kind = resource["Type"], key
                    if kind in NAME_LIMITS:
                        yield kind, value
                    elif key.endswith("Name"):
                        self.assertIn(key, INNER_NAMES, resource)

    def test_a_topic_of_another_region_is_refused(self):
        for topic, want in [
            ("", []), (TOPIC, []),
            (TOPIC.replace("eu-central-1", "us-east-1"), ["AlarmTopicArn has to be a topic of the stack's own region."]),
        ]:
            given = View(self.template, {"AlarmTopicArn": topic}).resources["Monitoring"]["Properties"]["Parameters"]
            self.assertEqual(View(self.nested["Monitoring"], given).refused(), want, topic)

    def longest(self):
        """The longest value that each parameter may have."""
        for name, parameter in self.template["Parameters"].items():
            if "AllowedValues" in parameter or parameter["Type"] == "Number":
                yield name, str(max(map(str, parameter.get("AllowedValues", [parameter.get("MaxValue")])), key=len))
            elif "MaxLength" in parameter:
                yield name, "x" * parameter["MaxLength"]

    def test_environments_fit_even_if_all_lists_are_as_long_as_they_may_be(self):
        region = "ap-southeast-1"  # none has a longer name
        kinds = {name: r["Type"] for name, r in self.template["Resources"].items()}

        def made(name):  # what CloudFormation names it at most
            return {
                "AWS::DynamoDB::Table": f"{ROOM_FOR_STACK_NAME}-{name}-" + "x" * 13,
                "AWS::SQS::Queue": f"https://sqs.{region}.amazonaws.com/123456789012/" + "x" * 80,
                "AWS::KMS::Key": "x" * 36,
                "AWS::SecretsManager::Secret": f"arn:aws-us-gov:secretsmanager:{region}:123456789012:secret:{name}-" + "x" * 12 + "-123456",
                "AWS::ApiGatewayV2::Api": "x" * 10,
            }[kinds[name]]

        view = View(self.template, dict(self.longest()), ROOM_FOR_STACK_NAME, region)
        sizes = {}
        for name, resource in view.resources.items():
            if resource["Type"] == "AWS::Lambda::Function":
                given = {k: re.sub(r"\$\{(\w+)\}", lambda m: made(m[1]), str(v)) for k, v in resource["Properties"]["Environment"]["Variables"].items()}
                sizes[name] = len(json.dumps(given, separators=(",", ":")))
        self.assertEqual(len(sizes), 7)
        self.assertLessEqual(max(sizes.values()), MAX_ENVIRONMENT, sizes)
        self.assertGreater(max(sizes.values()), MAX_ENVIRONMENT - 200, sizes)  # nor is room given away

    def test_names_stay_within_limits_for_a_stack_name_of_full_length(self):
        name = "n" * 128
        found = list(self.names(name))
        self.assertEqual({kind for kind, _ in found}, set(NAME_LIMITS))
        for kind, value in found:
            self.assertLessEqual(len(value), NAME_LIMITS[kind], (kind, value))
        self.assertLessEqual(len(f"Boathook/{name}"), 255)  # the metrics' namespace
        for function in (r for r in self.template["Resources"].values() if r["Type"] == "AWS::Lambda::Function"):
            self.assertNotIn("FunctionName", function["Properties"])  # CloudFormation makes one of at most 64

    def test_two_stacks_of_one_account_share_no_name(self):
        one, two = (set(self.names(stack)) for stack in ("one", "two"))
        self.assertEqual(one & two, set())

    def test_stacks_of_one_name_in_two_regions_share_no_dashboard(self):
        here, there = (dict(self.names("one", region)) for region in ("eu-central-1", "us-east-1"))
        dashboard = "AWS::CloudWatch::Dashboard", "DashboardName"
        self.assertNotEqual(here[dashboard], there[dashboard])
        self.assertIn(there[dashboard], View(self.template, {}, "one", "us-east-1").outputs["DashboardUrl"]["Value"])


if __name__ == "__main__":
    unittest.main()

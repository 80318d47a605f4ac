"""Which requests reach which function."""

import json
import re
import unittest

from deployed import ROOT, DeployedTest

ROUTES = {
    "POST /webhooks/runs/{token}": "Intake",
    "GET /webhooks/runs/{token}": "Intake",
    "HEAD /webhooks/runs/{token}": "Intake",
    "OPTIONS /webhooks/runs/{token}": "Intake",
    "POST /api/v1/webhooks/{crew}/{agent}/trigger": "Intake",
    "GET /api/v1/webhooks/{crew}/{agent}/trigger": "Intake",
    "HEAD /api/v1/webhooks/{crew}/{agent}/trigger": "Intake",
    "OPTIONS /api/v1/webhooks/{crew}/{agent}/trigger": "Intake",
    "ANY /api/v1/{proxy+}": "Manage",
    "ANY /v1/{proxy+}": "Manage",
    "ANY /repos/{proxy+}": "Manage",
    "ANY /api/v3/{proxy+}": "Manage",
    "GET /": "Manage",
    "GET /openapi.json": "Manage",
    "GET /healthz": "Manage",
    "GET /console": "Console",
    "ANY /console/{proxy+}": "Console",
    "GET /portal": "Console",
    "ANY /portal/{proxy+}": "Console",
}


class RoutesTest(DeployedTest):
    @property
    def routes(self):
        routes = {}
        for path, methods in self.properties("Api")["Body"]["paths"].items():
            for method, operation in methods.items():
                verb = {"x-amazon-apigateway-any-method": "ANY"}.get(method, method.upper())
                integration = operation["x-amazon-apigateway-integration"]
                self.assertEqual(integration["payloadFormatVersion"], "2.0")
                (function,) = [f for f in self.functions if f + "Function" in json.dumps(integration["uri"])]
                routes[f"{verb} {path}"] = function
        return routes

    def test_routes_lead_to_their_functions(self):
        self.assertEqual(self.routes, ROUTES)

    def test_what_openapi_describes_is_routed_and_nothing_is_routed_that_it_does_not(self):
        document = json.loads((ROOT / "internal/api/openapi/openapi.json").read_text())
        methods = {"get", "put", "post", "delete", "options", "head", "patch"}
        reached = set()
        for path, item in document["paths"].items():
            for method in methods & set(item):
                route = self.route(method.upper(), path)
                self.assertIsNotNone(route, f"{method} {path} reaches no function")
                reached.add(route)
                if path.startswith("/repos/"):  # its tag says that each is there twice
                    reached.add(self.route(method.upper(), "/api/v3" + path))
        self.assertEqual(reached, {r for r, function in self.routes.items() if function != "Console"})  # which has pages

    def route(self, method, path):
        """The route of a request, as API Gateway chooses it: a whole match before a greedy one, the longest of those."""
        matching = [
            route for route in self.routes
            if route.partition(" ")[0] in (method, "ANY") and re.fullmatch(pattern(route.partition(" ")[2]), path)
        ]
        return max(matching, key=lambda r: ("+}" not in r, len(r)), default=None)

    def test_the_access_log_holds_no_path_or_query(self):
        stages = {s["Properties"]["StageName"]: s for s in self.of_type("AWS::ApiGatewayV2::Stage").values()}
        self.assertEqual(set(stages), {"$default", "live"})
        # Of a WebSocket, whose query holds a token: none, unless it is asked for.
        self.assertNotIn("AccessLogSettings", self.view.resources["StreamStage"]["Properties"])
        _, settings, otherwise = stages["live"]["Properties"]["AccessLogSettings"]["Fn::If"]
        self.assertEqual(otherwise, {"Ref": "AWS::NoValue"})
        self.assertEqual(
            set(json.loads(settings["Format"]).values()),
            {"$context.requestId", "$context.requestTime", "$context.identity.sourceIp", "$context.routeKey", "$context.eventType",
             "$context.connectionId", "$context.status", "$context.integrationStatus", "$context.integrationErrorMessage"},
        )
        line = json.loads(stages["$default"]["Properties"]["AccessLogSettings"]["Format"])
        self.assertEqual(
            set(line.values()),
            {"$context.requestId", "$context.requestTime", "$context.identity.sourceIp", "$context.routeKey",
             "$context.status", "$context.responseLength", "$context.responseLatency", "$context.integrationStatus",
             "$context.integration.status", "$context.integrationErrorMessage"},
        )

    def test_a_flood_is_throttled(self):
        (settings,) = [
            s["Properties"]["DefaultRouteSettings"] for s in self.view.resources.values()
            if s["Type"] == "AWS::ApiGatewayV2::Stage" and s["Properties"]["StageName"] == "$default"
        ]
        self.assertEqual((settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]), (500, 500))

    def test_web_sockets_lead_to_the_stream(self):
        self.assertEqual(self.properties("StreamApi")["ProtocolType"], "WEBSOCKET")
        routes = {r["Properties"]["RouteKey"]: r["Properties"]["Target"] for r in self.of_type("AWS::ApiGatewayV2::Route").values()}
        target = {"Fn::Sub": "integrations/${StreamIntegration}"}
        self.assertEqual(routes, {"$connect": target, "$disconnect": target, "$default": target})
        self.assertIn("${StreamFunction.Arn}/invocations", self.properties("StreamIntegration")["IntegrationUri"]["Fn::Sub"])
        self.assertIn("${StreamApi}/live/*", self.properties("StreamPermission")["SourceArn"]["Fn::Sub"])
        self.assertTrue(self.properties("StreamStage")["AutoDeploy"])
        self.assertEqual(self.view.outputs["WebSocketUrl"]["Value"], "wss://${StreamApi}.execute-api.eu-central-1.amazonaws.com/live")


def pattern(path):
    """The paths of a route: a parameter is a segment, a greedy one is all that follows."""
    parts = re.split(r"(\{\w+\+?\})", path)
    return "".join(".+" if p.endswith("+}") else "[^/]+" if p.startswith("{") else re.escape(p) for p in parts)


if __name__ == "__main__":
    unittest.main()

"""An outside client of Crewship's deployments: it shares no code with Boathook.

It walks the wire format over HTTP against a running system, with receivers and
an HMAC of its own. Usage: python3 crewship.py URL ADMIN_TOKEN
"""

import hashlib
import hmac
import json
import re
import time
import unittest
import uuid

from outside import TOKEN, Gate, Receiver, call, eventually, later, request

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class Deployment:
    def __init__(self, script="cat", environment="production", **target):
        self.id = call("POST", "/v1/deployments", {"name": "walk"}, 201)["id"]
        self.path = f"/v1/deployments/{self.id}"
        self.version = self.add_version(script, environment, **target)

    def add_version(self, script, environment="production", **target):
        target = {"type": "command", "argv": ["sh", "-c", script], **target}
        return call("POST", self.path + "/versions", {"environment": environment, "target": target}, 201)

    def incoming(self, environment="production", **more):
        return call("POST", self.path + "/incoming-webhooks", {"name": "in", "environment": environment, **more}, 201)

    def outgoing(self, url, **more):
        body = {"name": "out", "url": url, "events": ["run.succeeded", "run.failed"], "environment": "production", **more}
        return call("POST", self.path + "/outgoing-webhooks", body, 201)

    def deliveries(self, webhook, query=""):
        return call("GET", f"{self.path}/outgoing-webhooks/{webhook['id']}/deliveries{query}")["data"]


def trigger(webhook, body=b"{}", want=202, **headers):
    status, _, text = request("POST", webhook["url"], body, headers, token=None)
    assert status == want, f"{status} {text}, want {want}"
    return json.loads(text)


def over(run_id):
    def look():
        run = call("GET", f"/v1/runs/{run_id}")
        return run if run["status"] in ("succeeded", "failed", "canceled") else None

    return eventually(look, f"run {run_id} is over")


def expected(secret, headers, body):
    message = headers["X-Crewship-Timestamp"].encode() + b"." + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class Triggers(unittest.TestCase):
    def test_the_202_is_as_documented_and_the_run_executes(self):
        gate = Gate(self)
        d = Deployment(gate.script + "; cat")
        answer = trigger(d.incoming(wait_for_start_ms=10_000), b'{"a":1}')
        self.assertEqual(list(answer), ["run_id", "version_id", "version_number", "status"])
        self.assertEqual((answer["version_id"], answer["version_number"], answer["status"]), (d.version["id"], 1, "running"))
        gate.open()
        self.assertEqual(over(answer["run_id"])["status"], "succeeded")

    def test_the_body_is_the_input(self):
        hook = Deployment().incoming()
        for body, want in {
            b'{"b":1,"a":123456789012345678901234567890}': b'"input":{"b":1,"a":123456789012345678901234567890}',
            b"[1,2]": b'"input":[1,2]',
            b'"text"': b'"input":"text"',
            b"": b'"input":{}',
        }.items():
            run = trigger(hook, body, **{"Content-Type": "application/x-www-form-urlencoded"})
            over(run["run_id"])
            _, _, text = request("GET", f"/v1/runs/{run['run_id']}")
            self.assertIn(want, text)

    def test_refusals_are_plain_error_objects_in_the_documented_order(self):
        d = Deployment()
        hook = d.incoming()
        disabled = d.incoming()
        call("PATCH", f"{d.path}/incoming-webhooks/{disabled['id']}", {"enabled": False})
        staging = d.incoming("staging")
        large = b'"' + b"x" * (512 << 10) + b'"'
        unknown = {"url": hook["url"][:-10] + "AAAAAAAAAA"}
        answers = {(trigger(h, body, 404)["error"]["message"]) for h in (unknown, disabled) for body in (b"{}", large, b"no")}
        self.assertEqual(len(answers), 1)
        self.assertIn("512 KiB", trigger(hook, large, 413)["error"]["message"])
        self.assertIn("512 KiB", trigger(staging, large, 413)["error"]["message"])
        for bad in (b"{", b"a=1", b'{"a":"\xff"}', b"[" * 100_000):
            self.assertEqual(list(trigger(hook, bad, 400)), ["error"])
            self.assertEqual(list(trigger(staging, bad, 400)), ["error"])
        self.assertEqual(trigger(staging, b"{}", 409), {"error": {"message": "No running version found for staging environment"}})

    def test_an_idempotency_key_starts_one_run(self):
        hook = Deployment().incoming()
        first = trigger(hook, b'{"a":1}', **{"Idempotency-Key": "k"})
        over(first["run_id"])
        again = trigger(hook, b'{"a":1}', **{"Idempotency-Key": "k"})
        self.assertEqual(first["run_id"], again["run_id"])
        trigger(hook, b'{"a":2}', 409, **{"Idempotency-Key": "k"})

    def test_rotating_and_deleting_end_a_url(self):
        d = Deployment()
        hook = d.incoming()
        fresh = call("POST", f"{d.path}/incoming-webhooks/{hook['id']}/rotate")
        trigger(hook, want=404)
        trigger(fresh)
        call("DELETE", f"{d.path}/incoming-webhooks/{hook['id']}", want=204)
        trigger(fresh, want=404)

    def test_a_version_is_live_per_environment_and_can_be_rolled_back(self):
        d = Deployment("echo '{\"v\":1}'")
        second = d.add_version("echo '{\"v\":2}'")
        hook = d.incoming()
        run = trigger(hook)
        self.assertEqual((run["version_number"], over(run["run_id"])["output"]), (2, {"v": 2}))
        call("POST", f"{d.path}/versions/{d.version['id']}/activate")
        run = trigger(hook)
        self.assertEqual((run["version_number"], over(run["run_id"])["output"]), (1, {"v": 1}))
        self.assertEqual([v["number"] for v in call("GET", d.path + "/versions")["data"]], [2, 1])
        self.assertEqual(second["number"], 2)


class Runs(unittest.TestCase):
    def test_a_run_has_the_documented_fields(self):
        d = Deployment("echo '{\"ok\":true}'")
        answer = call("POST", "/v1/runs", {"deployment_id": d.id, "input": {"x": 1}}, 202)
        run = over(answer["run_id"])
        self.assertEqual(list(run), ["id", "version_id", "deployment_id", "environment", "trigger", "status", "input", "output",
                                     "error_message", "created_at", "started_at", "completed_at"])
        self.assertEqual((run["environment"], run["status"], run["input"], run["output"], run["error_message"]),
                         ("production", "succeeded", {"x": 1}, {"ok": True}, None))
        for field in ("created_at", "started_at", "completed_at"):
            self.assertRegex(run[field], TIME)
        call("POST", f"/v1/runs/{run['id']}/cancel", want=409)

    def test_failures_say_why(self):
        d = Deployment("echo oops >&2; exit 3")
        run = over(call("POST", "/v1/runs", {"deployment_id": d.id}, 202)["run_id"])
        self.assertEqual((run["status"], run["output"]), ("failed", None))
        self.assertIn("3", run["error_message"])
        d.add_version("sleep 30", timeout_seconds=1)
        run = over(call("POST", "/v1/runs", {"deployment_id": d.id}, 202)["run_id"])
        self.assertEqual((run["status"], run["error_message"]), ("failed", "time limit of 1s exceeded"))
        d.add_version("true")
        run = over(call("POST", "/v1/runs", {"deployment_id": d.id}, 202)["run_id"])
        self.assertEqual((run["status"], run["output"]), ("succeeded", None))

    def test_a_running_run_is_canceled(self):
        d = Deployment(Gate(self).script)
        run = trigger(d.incoming())
        call("POST", f"/v1/runs/{run['run_id']}/cancel", want=202)
        self.assertEqual(over(run["run_id"])["status"], "canceled")

    def test_lists_select_and_page(self):
        d = Deployment()
        ids = [later(call("POST", "/v1/runs", {"deployment_id": d.id, "input": i}, 202)["run_id"]) for i in range(5)]
        for run in ids:
            over(run)
        found, cursor = [], ""
        while cursor is not None:
            page = call("GET", f"/v1/runs?deployment_id={d.id}&environment=production&status=succeeded&limit=2&cursor={cursor}")
            self.assertEqual(list(page), ["runs", "next_cursor"])
            found += [r["id"] for r in page["runs"]]
            cursor = page["next_cursor"]
        self.assertEqual(found, ids[::-1])
        self.assertEqual(call("GET", f"/v1/runs?deployment_id={d.id}&status=failed")["runs"], [])
        call("GET", "/v1/runs?cursor=nonsense", want=400)

    def test_events_are_server_sent_and_resume(self):
        d = Deployment("echo one; echo two >&2; echo '{}'")
        run = over(trigger(d.incoming())["run_id"])
        status, headers, text = request("GET", f"/v1/runs/{run['id']}/events")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/event-stream"))
        events = self.parse(text)
        self.assertEqual([e["type"] for _, e in events], ["run.started", "log", "log", "log", "run.completed", "complete"])
        self.assertEqual([i for i, _ in events], list(range(1, 7)))
        _, _, rest = request("GET", f"/v1/runs/{run['id']}/events", headers={"Last-Event-ID": "3"})
        self.assertEqual(self.parse(rest), events[3:])
        status, _, _ = request("GET", f"/v1/runs/{run['id']}/events", headers={"Last-Event-ID": "6"})
        self.assertEqual(status, 204)

    def test_a_running_runs_events_carry_on(self):
        gate = Gate(self)
        d = Deployment(f"echo early; {gate.script}; echo late")
        run = trigger(d.incoming())["run_id"]
        seen, last = [], 0
        while not seen or seen[-1] != "complete":
            _, _, text = request("GET", f"/v1/runs/{run}/events", headers={"Last-Event-ID": str(last)} if last else {})
            for number, event in self.parse(text):
                seen.append(event["type"])
                last = number or last
            if "heartbeat" in seen:
                gate.open()
            if seen[-1] != "complete":
                self.assertTrue(text.endswith(b"retry: 1000\n\n"), text)
                time.sleep(0.2)
        self.assertEqual([s for s in seen if s != "heartbeat"], ["run.started", "log", "log", "run.completed", "complete"])
        self.assertIn("heartbeat", seen)

    @staticmethod
    def parse(text):
        events = []
        for block in text.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in fields:
                events.append((int(fields["id"]) if "id" in fields else None, json.loads(fields["data"])))
        return events


class Deliveries(unittest.TestCase):
    def test_the_end_of_a_run_is_delivered_signed(self):
        receiver = Receiver(lambda *_: (200, b"thanks"))
        d = Deployment("echo '{\"ok\":true}'")
        hook = d.outgoing(receiver.url)
        before = int(time.time())
        run = over(trigger(d.incoming(), b'{"n":123456789012345678901234567890}')["run_id"])
        headers, body = receiver.next()

        payload = json.loads(body)
        self.assertEqual(list(payload), ["event", "run_id", "deployment_id", "version_id", "version_number", "environment", "status",
                                         "input", "output", "error_message", "created_at", "started_at", "completed_at"])
        self.assertIn(b'"input":{"n":123456789012345678901234567890}', body)
        for field in ("status", "output", "error_message", "created_at", "started_at", "completed_at"):
            self.assertEqual(payload[field], run[field])
        self.assertEqual((payload["event"], payload["run_id"], payload["version_number"]), ("run.succeeded", run["id"], 1))

        self.assertTrue(hook["signing_secret"].startswith("whsec_"))
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertTrue(headers["User-Agent"].startswith("Boathook/"))
        self.assertEqual(headers["X-Crewship-Event"], "run.succeeded")
        self.assertEqual(str(uuid.UUID(headers["X-Crewship-Delivery"])), headers["X-Crewship-Delivery"])
        self.assertTrue(before <= int(headers["X-Crewship-Timestamp"]) <= time.time(), headers["X-Crewship-Timestamp"])
        self.assertEqual(headers["X-Crewship-Signature"], expected(hook["signing_secret"], headers, body))
        self.assertIsNone(headers["Transfer-Encoding"])
        self.assertIsNone(headers["Idempotency-Key"])

        delivery = eventually(lambda: d.deliveries(hook), "the delivery is in the log")[0]
        self.assertEqual((delivery["id"], delivery["status"]), (headers["X-Crewship-Delivery"], "succeeded"))
        detail = call("GET", f"/v1/deliveries/{delivery['id']}")
        self.assertEqual(detail["request"]["body"].encode(), body)
        self.assertEqual(detail["request"]["headers"]["X-Crewship-Signature"], headers["X-Crewship-Signature"])
        (attempt,) = detail["attempts"]
        self.assertEqual((attempt["number"], attempt["response_status"], attempt["response_body"], attempt["error"]), (1, 200, "thanks", None))
        self.assertRegex(attempt["sent_at"], TIME)

        call("POST", f"/v1/deliveries/{delivery['id']}/resend", want=202)
        again, same = receiver.next()
        self.assertEqual((same, again["X-Crewship-Delivery"]), (body, delivery["id"]))
        self.assertEqual(again["X-Crewship-Signature"], expected(hook["signing_secret"], again, same))
        eventually(lambda: len(call("GET", f"/v1/deliveries/{delivery['id']}")["attempts"]) == 2, "the resend is in the log")

    def test_a_failed_run_is_told(self):
        receiver = Receiver()
        d = Deployment("exit 1")
        d.outgoing(receiver.url, events=["run.failed"])
        trigger(d.incoming())
        headers, body = receiver.next()
        payload = json.loads(body)
        self.assertEqual((headers["X-Crewship-Event"], payload["status"], payload["output"]), ("run.failed", "failed", None))
        self.assertTrue(payload["error_message"])

    def test_only_the_webhooks_that_want_it_hear_of_it(self):
        d = Deployment()
        wants, other_event, other_environment, disabled = Receiver(), Receiver(), Receiver(), Receiver()
        d.outgoing(wants.url)
        d.outgoing(other_event.url, events=["run.failed"])
        d.outgoing(other_environment.url, environment="staging")
        hook = d.outgoing(disabled.url)
        call("PATCH", f"{d.path}/outgoing-webhooks/{hook['id']}", {"enabled": False})
        incoming = d.incoming()
        for _ in range(3):  # who is wrongly told of the first is told while the others are on their way
            trigger(incoming)
            wants.next()
        self.assertEqual([r.count for r in (wants, other_event, other_environment, disabled)], [3, 0, 0, 0])

    def test_receivers_in_trouble(self):
        redirecting = Receiver(lambda *_: (302, b""))
        huge = Receiver(lambda *_: (500, b"x" * (8 << 20)))
        garbage = Receiver(lambda handler, _: handler.wfile.write(b"\x00\x01garbage\r\n") and None)
        slow = Receiver(lambda *_: time.sleep(3600) or (204, b""))
        down = Receiver()
        down.server.shutdown()
        down.server.server_close()
        d = Deployment()
        hooks = {name: d.outgoing(r.url, timeout_seconds=1 if name == "slow" else 30, retry={"schedule_seconds": []})
                 for name, r in {"redirect": redirecting, "huge": huge, "garbage": garbage, "slow": slow, "down": down}.items()}
        trigger(d.incoming())
        attempts = {}
        for name, hook in hooks.items():
            (delivery,) = eventually(lambda hook=hook: d.deliveries(hook, "?status=failed"), name)
            (attempts[name],) = call("GET", f"/v1/deliveries/{delivery['id']}")["attempts"]
        self.assertEqual((attempts["redirect"]["response_status"], redirecting.count), (302, 1))
        self.assertEqual((len(attempts["huge"]["response_body"]), attempts["huge"]["response_truncated"]), (16 << 10, True))
        for name in ("garbage", "slow", "down"):
            self.assertIsNone(attempts[name]["response_status"])
        self.assertIn("timed out", attempts["slow"]["error"])
        self.assertIn("refused", attempts["down"]["error"])

    def test_a_failure_is_retried_with_the_same_id_and_body(self):
        receiver = Receiver(lambda _, number: (503, b"") if number == 1 else (204, b""))
        d = Deployment()
        hook = d.outgoing(receiver.url, retry={"schedule_seconds": [1]})
        trigger(d.incoming())
        first, second = receiver.next(), receiver.next()
        self.assertEqual(first[1], second[1])
        self.assertEqual(first[0]["X-Crewship-Delivery"], second[0]["X-Crewship-Delivery"])
        (delivery,) = eventually(lambda: d.deliveries(hook, "?status=succeeded"), "it succeeded")
        self.assertEqual([a["response_status"] for a in call("GET", f"/v1/deliveries/{delivery['id']}")["attempts"]], [503, 204])

    def test_rotation_with_and_without_overlap(self):
        receiver = Receiver()
        d = Deployment()
        hook = d.outgoing(receiver.url)
        rotate = f"{d.path}/outgoing-webhooks/{hook['id']}/rotate-secret"
        second = call("POST", rotate, {"overlap_seconds": 3600})["signing_secret"]
        trigger(d.incoming())
        headers, body = receiver.next()
        self.assertEqual(headers["X-Crewship-Signature"],
                         expected(second, headers, body) + "," + expected(hook["signing_secret"], headers, body))
        third = call("POST", rotate)["signing_secret"]
        trigger(d.incoming())
        headers, body = receiver.next()
        self.assertEqual(headers["X-Crewship-Signature"], expected(third, headers, body))
        _, _, text = request("GET", f"{d.path}/outgoing-webhooks")
        for secret in (hook["signing_secret"], second, third):
            self.assertNotIn(secret.encode(), text)

    def test_a_test_event_can_be_sent(self):
        receiver = Receiver()
        d = Deployment()
        hook = d.outgoing(receiver.url)
        call("POST", f"{d.path}/outgoing-webhooks/{hook['id']}/test", want=202)
        headers, body = receiver.next()
        self.assertEqual(headers["X-Crewship-Signature"], expected(hook["signing_secret"], headers, body))


class Access(unittest.TestCase):
    def test_without_a_token_nothing_is_told(self):
        for token in (None, "", "bh_wrong", TOKEN + "x"):
            status, _, text = request("GET", "/v1/runs", token=token)
            self.assertEqual((status, json.loads(text)["error"]["code"]), (401, "unauthorized"))

    def test_roles_and_workspaces(self):
        viewer = call("POST", "/v1/tokens", {"name": "v", "role": "viewer"}, 201)["token"]
        call("GET", "/v1/deployments", token=viewer)
        call("POST", "/v1/deployments", {"name": "x"}, 403, token=viewer)
        other = call("POST", "/v1/workspaces", {"name": "other"}, 201)["token"]
        d = Deployment()
        call("GET", d.path, want=404, token=other)
        run = trigger(d.incoming())["run_id"]
        call("GET", f"/v1/runs/{run}", want=404, token=other)
        call("POST", "/v1/workspaces", {"name": "third"}, 403, token=other)

    def test_bad_input_names_the_field(self):
        d = Deployment()
        for body, field in (
            ({"name": "x", "url": "ftp://example.com", "events": ["run.succeeded"], "environment": "production"}, "url"),
            ({"name": "x", "url": "https://10.0.0.7/", "events": ["run.succeeded"], "environment": "production"}, "url"),
            ({"name": "x", "url": "https://example.com", "events": ["run.paused"], "environment": "production"}, "events"),
            ({"name": "x", "url": "https://example.com", "events": ["run.succeeded"], "environment": "moon"}, "environment"),
            ({"name": "x" * 101, "url": "https://example.com", "events": ["run.succeeded"], "environment": "production"}, "name"),
            ({"name": "x", "url": "https://example.com", "events": ["run.succeeded"], "environment": "production", "colour": 1}, "colour"),
        ):
            error = call("POST", d.path + "/outgoing-webhooks", body, 400)["error"]
            self.assertEqual((error["code"], error["field"]), ("invalid", field))
            self.assertTrue(error["request_id"])


unittest.main(verbosity=1)

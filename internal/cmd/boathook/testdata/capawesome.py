"""An outside client of Capawesome Cloud's webhooks: it shares no code with Boathook.

It registers an app, manages its webhooks in Capawesome Cloud's own shapes, and
receives deliveries with an HMAC of its own. Usage: python3 capawesome.py URL ADMIN_TOKEN
"""

import datetime
import hashlib
import hmac
import json
import time
import unittest

from outside import Receiver, call, eventually, request

# The example of Capawesome Cloud's documentation.
JOB = json.loads("""{
  "id": "16555c02-a320-4bec-a14a-52754d783970", "appBuildId": "647d1fe4-9cb7-4f25-afaf-7a0c13a1bb8c", "appDeploymentId": null,
  "appId": "70922e93-0944-48cc-a560-61135ab291ad", "canceledAt": 1771143284003, "canceledBy": "f624e455-b19c-4f17-8282-e4a7a02597f3",
  "finishedAt": 1771143284003, "inProgressAt": 1771143275311, "inProgressTimeInSeconds": 8,
  "organizationId": "a7249949-a705-4952-a293-a06df84950dc", "pendingAt": 1771143256381, "pendingTimeInSeconds": 18,
  "queuedAt": null, "queueTimeInSeconds": null, "stack": "macos-tahoe", "status": "canceled", "totalTimeInSeconds": 27,
  "createdAt": 1771143256161, "createdBy": "f624e455-b19c-4f17-8282-e4a7a02597f3"
}""")


class App:
    def __init__(self):
        self.id = call("POST", "/v1/apps", {"name": "My app"}, 201)["id"]
        self.webhooks = f"/v1/apps/{self.id}/webhooks"

    def webhook(self, url, **more):
        return call("POST", self.webhooks, {"name": "CI", "url": url, "events": ["job_finished"], **more}, 201)

    def finish(self, job=JOB):
        (event,) = call("POST", "/v1/events", {"source": self.id, "type": "job_finished", "data": job}, 202)["events"]
        return event


def signed(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhooks(unittest.TestCase):
    def test_a_webhook_lives_in_the_documented_shape(self):
        app = App()
        before = int(time.time() * 1000)
        made = app.webhook("http://127.0.0.1:1/", signingSecret="s3cret")
        self.assertEqual(list(made), ["id", "appId", "name", "url", "events", "format", "enabled", "hasSigningSecret", "createdAt", "updatedAt"])
        self.assertEqual((made["appId"], made["events"], made["format"], made["enabled"]), (app.id, ["job_finished"], "raw", True))
        created = datetime.datetime.fromisoformat(made["createdAt"].replace("Z", "+00:00")).timestamp() * 1000
        self.assertTrue(before <= round(created) <= time.time() * 1000, made["createdAt"])
        self.assertTrue(made["hasSigningSecret"])
        path = f"{app.webhooks}/{made['id']}"
        self.assertEqual((call("GET", path), call("GET", app.webhooks)), (made, [made]))
        changed = call("PATCH", path, {"enabled": False, "events": ["job_created", "job_finished"], "signingSecret": None})
        self.assertEqual((changed["enabled"], changed["events"], changed["hasSigningSecret"]), (False, ["job_created", "job_finished"], False))
        self.assertEqual(call("GET", app.webhooks + "?query=nothing"), [])
        call("DELETE", path, want=204)
        self.assertEqual(call("GET", path, want=404), {"message": "Webhook not found."})

    def test_errors_are_as_documented(self):
        app = App()
        self.assertEqual(call("GET", "/v1/apps/none/webhooks", want=404), {"message": "App not found."})
        for body, paths in (
            ({}, [["name"], ["url"], ["events"]]),
            ({"name": "x", "url": "https://example.com", "events": []}, [["events"]]),
            ({"name": "x", "url": "https://10.0.0.7/", "events": ["job_created", "x"]}, [["events", 1], ["url"]]),
            ({"name": "x", "url": "https://example.com", "events": ["job_created"], "signing_secret": "s3cret"}, [["signing_secret"]]),
        ):
            error = call("POST", app.webhooks, body, 400)
            self.assertEqual((list(error), list(error["error"])), (["error"], ["issues"]))
            self.assertEqual([issue["path"] for issue in error["error"]["issues"]], paths)
        self.assertEqual(call("GET", app.webhooks), [])


class Deliveries(unittest.TestCase):
    def test_the_documents_example_arrives_signed(self):
        receiver = Receiver()
        app = App()
        app.webhook(receiver.url, signingSecret="s3cret")
        self.assertEqual(app.finish()["deliveries"], 1)
        headers, body = receiver.next()
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-Signature"], signed("s3cret", body))
        in_order = {"object_pairs_hook": list}
        self.assertEqual(json.loads(body, **in_order), json.loads(json.dumps({"event": "job_finished", "data": JOB}), **in_order))

    def test_without_a_secret_nothing_is_signed(self):
        receiver = Receiver()
        app = App()
        hook = app.webhook(receiver.url, signingSecret="s3cret")
        call("PATCH", f"{app.webhooks}/{hook['id']}", {"signingSecret": None})
        app.finish()
        headers, _ = receiver.next()
        self.assertIsNone(headers["X-Signature"])

    def test_each_attempt_is_in_the_history_and_can_be_resent(self):
        receiver = Receiver(lambda _, number: (500, b"no") if number == 1 else (200, b"thanks"))
        app = App()
        path = f"{app.webhooks}/{app.webhook(receiver.url, signingSecret='s3cret')['id']}"
        app.finish()
        _, body = receiver.next()
        (first,) = eventually(lambda: call("GET", path + "/deliveries"), "the attempt is in the log")
        self.assertEqual(list(first), ["id", "event", "requestBody", "responseStatusCode", "responseBody", "sentAt"])
        self.assertEqual((first["event"], first["requestBody"], first["responseStatusCode"], first["responseBody"]),
                         ("job_finished", body.decode(), 500, "no"))
        call("POST", f"{path}/deliveries/{first['id']}/resend", want=202)
        headers, same = receiver.next()
        self.assertEqual((same, headers["X-Signature"]), (body, signed("s3cret", body)))
        second, _ = eventually(lambda: len(a := call("GET", path + "/deliveries")) > 1 and a, "the resend is in the log")[:2]
        self.assertEqual((second["id"], second["responseStatusCode"]), (first["id"] + ":2", 200))
        call("POST", f"{path}/deliveries/{second['id']}/resend", want=202)
        self.assertEqual(receiver.next()[1], body)

    def test_a_test_can_be_sent(self):
        receiver = Receiver()
        app = App()
        hook = app.webhook(receiver.url, signingSecret="s3cret")
        call("POST", f"{app.webhooks}/{hook['id']}/test", want=202)
        headers, body = receiver.next()
        self.assertEqual((json.loads(body)["event"], headers["X-Signature"]), ("job_finished", signed("s3cret", body)))

    def test_an_event_with_an_id_is_delivered_once(self):
        receiver = Receiver()
        app = App()
        app.webhook(receiver.url)
        event = {"id": f"job-{time.time_ns()}", "source": app.id, "type": "job_finished", "data": JOB}
        for _ in range(2):
            call("POST", "/v1/events", {"events": [event]}, 202)
        call("POST", "/v1/events", {**event, "data": {**JOB, "stack": "another"}}, 409)
        receiver.next()
        for n in range(2):  # who is wrongly told again is told while these are on their way
            call("POST", "/v1/events", {**event, "id": f"{event['id']}-{n}"}, 202)
            receiver.next()
        self.assertEqual(receiver.count, 3)


class Chats(unittest.TestCase):
    def test_a_format_is_the_services_own_message(self):
        app = App()
        for form, shape in {
            "slack": lambda m: (m["text"], m["blocks"][0]["text"]["text"]),
            "discord": lambda m: (m["embeds"][0]["title"], m["allowed_mentions"]["parse"] == []),
            "teams": lambda m: (m["type"] == "message", m["attachments"][0]["content"]["body"][0]["text"]),
        }.items():
            receiver = Receiver()
            hook = app.webhook(receiver.url, format=form)
            self.assertEqual(hook["format"], form)
            app.finish()
            _, body = receiver.next()
            self.assertTrue(all(shape(json.loads(body))), body)
            self.assertIn(b"canceled", body.lower())


class Catalogue(unittest.TestCase):
    def test_examples_of_the_catalogue_can_be_published(self):
        _, _, text = request("GET", "/v1/event-types")
        types = {t["type"]: t for t in json.loads(text)["data"] if t["source"] == "app"}
        self.assertEqual(set(types), {"app_build_created", "app_deployment_created", "job_created", "job_finished"})
        self.assertEqual(types["job_finished"]["example"], JOB)
        app = App()
        for name, t in types.items():
            call("POST", "/v1/events", {"source": app.id, "type": name, "data": t["example"]}, 202)


unittest.main(verbosity=1)

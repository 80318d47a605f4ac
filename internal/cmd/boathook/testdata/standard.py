"""An outside client of Standard Webhooks, with a verifier of its own.

Usage: python3 standard.py URL ADMIN_TOKEN
"""

import base64
import hashlib
import hmac
import json
import time
import unittest

from outside import Receiver, call, eventually


class App:
    def __init__(self):
        self.id = call("POST", "/v1/apps", {"name": "standard"}, 201)["id"]
        self.webhooks = f"/v1/apps/{self.id}/outgoing-webhooks"
        (self.example,) = [t["example"] for t in call("GET", "/v1/event-types")["data"] if (t["source"], t["type"]) == ("app", "job_finished")]

    def webhook(self, url, **more):
        return call("POST", self.webhooks, {"name": "standard", "url": url, "events": ["job_finished"], "dialect": "standard", **more}, 201)

    def publish(self):
        call("POST", "/v1/events", {"source": self.id, "type": "job_finished", "data": self.example}, 202)


def signed(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


class Standard(unittest.TestCase):
    def test_a_delivery_verifies(self):
        receiver = Receiver()
        app = App()
        hook = app.webhook(receiver.url)
        before = int(time.time())
        app.publish()
        headers, body = receiver.next()
        self.assertTrue(before <= int(headers["webhook-timestamp"]) <= time.time(), headers["webhook-timestamp"])
        self.assertEqual(headers["webhook-signature"], signed(hook["signing_secret"], headers, body))
        payload = json.loads(body)
        self.assertEqual(list(payload), ["type", "timestamp", "data"])
        self.assertEqual((payload["type"], payload["data"]), ("job_finished", app.example))

    def test_a_retry_has_the_same_id_and_body(self):
        receiver = Receiver(lambda _, number: (500, b"") if number == 1 else (204, b""))
        app = App()
        app.webhook(receiver.url, retry={"schedule_seconds": [1]})
        app.publish()
        first, second = receiver.next(), receiver.next()
        self.assertEqual((first[0]["webhook-id"], first[1]), (second[0]["webhook-id"], second[1]))

    def test_a_rotation_overlaps(self):
        receiver = Receiver()
        app = App()
        hook = app.webhook(receiver.url)
        rotated = call("POST", f"{app.webhooks}/{hook['id']}/rotate-secret")
        self.assertTrue(rotated["previous_secret_expires_at"])
        app.publish()
        headers, body = receiver.next()
        self.assertEqual(headers["webhook-signature"].split(" "),
                         [signed(secret, headers, body) for secret in (rotated["signing_secret"], hook["signing_secret"])])

    def test_a_resend_and_a_test(self):
        receiver = Receiver()
        app = App()
        hook = app.webhook(receiver.url)
        call("POST", f"{app.webhooks}/{hook['id']}/test", want=202)
        headers, body = receiver.next()
        self.assertEqual(headers["webhook-signature"], signed(hook["signing_secret"], headers, body))
        eventually(lambda: call("GET", f"{app.webhooks}/{hook['id']}/deliveries")["data"], "the delivery is in the log")
        call("POST", f"/v1/deliveries/{headers['webhook-id']}/resend", want=202)
        again, same = receiver.next()
        self.assertEqual((again["webhook-id"], same), (headers["webhook-id"], body))
        self.assertEqual(again["webhook-signature"], signed(hook["signing_secret"], again, same))


unittest.main(verbosity=1)

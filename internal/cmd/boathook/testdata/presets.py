"""Outside senders of incoming webhooks: GitHub, GitLab, Stripe, Slack, Shopify, Grafana and others, each with its own HMAC.

Usage: python3 presets.py URL ADMIN_TOKEN
"""

import base64
import hashlib
import hmac
import json
import time
import unittest
import urllib.parse
import uuid

from outside import call, request

SECRET = "a secret that both sides know"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"24 bytes and then some more").decode()
MISMATCH = "signature is over another body or with another secret"


def digest(secret, message, algorithm=hashlib.sha256):
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, message, algorithm)


def github(secret, body):
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4()), "Content-Type": "application/json",
            "X-Hub-Signature-256": "sha256=" + digest(secret, body).hexdigest()}


def gitlab(secret, body):
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": str(uuid.uuid4()), "X-Gitlab-Token": secret}


def stripe(secret, body, at=None):
    at = str(at or int(time.time()))
    return {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={digest(secret, at.encode() + b'.' + body).hexdigest()}"}


def slack(secret, body, at=None):
    at = str(at or int(time.time()))
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": "v0=" + digest(secret, b"v0:" + at.encode() + b":" + body).hexdigest()}


def shopify(secret, body):
    return {"X-Shopify-Topic": "orders/create", "X-Shopify-Webhook-Id": str(uuid.uuid4()),
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest(secret, body).digest()).decode()}


def standard(secret, body, at=None):
    at = str(at or int(time.time()))
    id = "msg_" + uuid.uuid4().hex
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(digest(key, f"{id}.{at}.".encode() + body).digest()).decode()
    return {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": "v1,b3RoZXI= v1," + signature}


def grafana(secret, body):
    return {"X-Grafana-Alerting-Signature": digest(secret, body).hexdigest()}


def grafana_timestamped(secret, body, at=None):
    at = str(at or int(time.time()))
    return {"X-At": at, "X-Sig": digest(secret, at.encode() + b":" + body).hexdigest()}


def own(secret, body):
    return {"X-Signature": "sha512:" + digest(secret, body, hashlib.sha512).hexdigest(), "X-Id": str(uuid.uuid4())}


class Webhook:
    def __init__(self, verification=None, **more):
        path = "/v1/deployments/" + call("POST", "/v1/deployments", {"name": "presets"}, 201)["id"]
        target = {"type": "command", "argv": ["cat"]}
        call("POST", path + "/versions", {"environment": "production", "target": target}, 201)
        if verification:
            more["verification"] = verification
        made = call("POST", path + "/incoming-webhooks", {"name": "in", "environment": "production", **more}, 201)
        self.url, self.path = made["url"], f"{path}/incoming-webhooks/{made['id']}"
        self.shown = made

    def send(self, body, headers, want):
        status, _, text = request("POST", self.url, body, headers, token=None)
        assert status == want, f"{status} {text}, want {want}"
        return json.loads(text)

    def requests(self, query=""):
        return call("GET", self.path + "/requests" + query)["data"]


class Presets(unittest.TestCase):
    def walk(self, verification, sign, body, missing, secret=SECRET, mismatch=MISMATCH):
        hook = Webhook({**verification, "secret": secret})
        self.assertEqual(hook.shown["verification"], verification)
        self.assertNotIn(secret, json.dumps(hook.shown))
        body = json.dumps(body).encode()
        good = sign(secret, body)
        run = hook.send(body, good, 202)["run_id"]
        self.assertEqual(call("GET", f"/v1/runs/{run}")["input"], json.loads(body))

        other = "whsec_" + base64.b64encode(b"x" * 32).decode() if secret == STANDARD_SECRET else "another secret"
        reasons = [hook.send(body, {k: v for k, v in good.items() if k != missing}, 401)]
        reasons.append(hook.send(body, sign(other, body), 401))
        if mismatch == MISMATCH:  # else the body is not signed
            reasons.append(hook.send(body + b" ", good, 401))
        if sign.__code__.co_argcount == 3:  # it signs the time
            reasons.append(hook.send(body, sign(secret, body, int(time.time()) - 1000), 401))
        reasons = [r["error"]["message"] for r in reasons]
        self.assertEqual(reasons[:3], [missing + " is missing"] + [mismatch] * (2 if mismatch == MISMATCH else 1))
        for stale in reasons[3:]:
            self.assertRegex(stale, r"^timestamp is 100\d s old, 300 allowed$")

        log = hook.requests()
        self.assertEqual(sorted(r["reason"] for r in log if r["outcome"] == "rejected"), sorted(reasons))
        self.assertEqual([r["run_id"] for r in log if r["outcome"] == "accepted"], [run])
        self.assertNotIn(secret, json.dumps(log))
        self.assertNotIn(good[missing], json.dumps(log))
        return hook, body, good, run

    def repeats(self, walked):
        hook, body, good, run = walked
        self.assertEqual(hook.send(body, good, 202)["run_id"], run)
        (repeated,) = hook.requests("?outcome=repeated")
        self.assertEqual((repeated["run_id"], repeated["status"]), (run, 202))
        self.assertEqual(repeated["sender"]["body_sha256"], hashlib.sha256(body).hexdigest())

    def test_github(self):
        self.repeats(self.walk({"preset": "github"}, github, {"ref": "refs/heads/main"}, "X-Hub-Signature-256"))

    def test_gitlab(self):
        self.repeats(self.walk({"preset": "gitlab"}, gitlab, {"ref": "refs/heads/main"}, "X-Gitlab-Token",
                               mismatch="X-Gitlab-Token is not the webhook's secret"))

    def test_stripe(self):
        self.repeats(self.walk({"preset": "stripe"}, stripe, {"id": "evt_1", "type": "invoice.paid"}, "Stripe-Signature"))

    def test_slack(self):
        self.repeats(self.walk({"preset": "slack"}, slack, {"type": "event_callback", "event_id": "Ev1"}, "X-Slack-Signature"))

    def test_shopify(self):
        self.repeats(self.walk({"preset": "shopify"}, shopify, {"id": 820982911946154508}, "X-Shopify-Hmac-Sha256"))

    def test_standard_webhooks(self):
        self.repeats(self.walk({"preset": "standard"}, standard, {"type": "x", "data": {}}, "webhook-signature", STANDARD_SECRET))

    def test_grafana(self):
        self.walk({"preset": "grafana"}, grafana, {"status": "firing"}, "X-Grafana-Alerting-Signature")
        self.walk({"preset": "grafana", "header": "X-Sig", "timestamp_header": "X-At"}, grafana_timestamped, {"status": "firing"}, "X-Sig")

    def test_a_sender_of_ones_own(self):
        settings = {"preset": "hmac", "header": "X-Signature", "algorithm": "sha512", "encoding": "hex", "prefix": "sha512:",
                    "delivery_header": "X-Id"}
        self.repeats(self.walk(settings, own, {"event": "x"}, "X-Signature"))

    def test_handshakes_are_answered_once_they_verify(self):
        hook = Webhook({"preset": "slack", "secret": SECRET})
        body = b'{"type":"url_verification","token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"}'
        hook.send(body, slack("another secret", body), 401)
        self.assertEqual(hook.send(body, slack(SECRET, body), 200), {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"})
        self.assertEqual(sorted(r["outcome"] for r in hook.requests()), ["answered", "rejected"])

    def test_forms_hold_the_payload(self):
        payload = json.dumps({"type": "block_actions", "value": "a+b & ü"})
        body = urllib.parse.urlencode({"payload": payload}).encode()
        for preset, sign in (("slack", slack), ("github", github)):
            hook = Webhook({"preset": preset, "secret": SECRET})
            headers = {**sign(SECRET, body), "Content-Type": "application/x-www-form-urlencoded"}
            status, _, text = request("POST", hook.url, body, headers, token=None)
            if preset == "slack":  # which takes nothing else for an answer
                self.assertEqual((status, text), (200, b""))
            else:
                self.assertEqual(status, 202)
            (run,) = [r["run_id"] for r in hook.requests("?outcome=accepted")]
            self.assertEqual(call("GET", f"/v1/runs/{run}")["input"], json.loads(payload))

    def test_a_filter_chooses(self):
        hook = Webhook({"preset": "github", "secret": SECRET},
                       filter={"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"})
        main, other = b'{"ref":"refs/heads/main"}', b'{"ref":"refs/heads/other"}'
        run = hook.send(main, github(SECRET, main), 202)["run_id"]
        self.assertEqual(hook.send(other, github(SECRET, other), 200), {"status": "ignored", "reason": '/ref is not "refs/heads/main"'})
        star = {**github(SECRET, main), "X-GitHub-Event": "star"}
        self.assertEqual(hook.send(main, star, 200)["reason"], 'the event "star" is not one that the filter names')
        self.assertEqual([r["run_id"] for r in hook.requests("?outcome=accepted")], [run])
        self.assertEqual(len(hook.requests("?outcome=ignored")), 2)
        call("PATCH", hook.path, {"filter": {}})
        hook.send(other, github(SECRET, other), 202)

    def test_a_flood_hides_no_good_request(self):
        hook = Webhook({"preset": "github", "secret": SECRET})
        good = hook.send(b"{}", github(SECRET, b"{}"), 202)["run_id"]
        for _ in range(100):
            hook.send(b"{}", {}, 401)
        self.assertLessEqual(len(hook.requests("?outcome=rejected&limit=200")), 20)  # ten a minute, in two minutes at most
        self.assertEqual([r["run_id"] for r in hook.requests("?outcome=accepted")], [good])
        pages, cursor = [], ""
        while cursor is not None:
            page = call("GET", f"{hook.path}/requests?limit=3{cursor and '&cursor=' + cursor}")
            pages += page["data"]
            cursor = page["next_cursor"]
        self.assertEqual(pages, hook.requests("?limit=200"))
        self.assertEqual(len({r["id"] for r in pages}), len(pages))

    def test_a_secret_changes_at_once_and_a_verification_ends(self):
        hook = Webhook({"preset": "github", "secret": SECRET})
        call("PATCH", hook.path, {"verification": {"preset": "github", "secret": "another secret"}})
        hook.send(b"{}", github(SECRET, b"{}"), 401)
        hook.send(b"{}", github("another secret", b"{}"), 202)
        call("PATCH", hook.path, {"verification": {"preset": "none"}})
        hook.send(b"{}", {}, 202)
        error = call("PATCH", hook.path, {"verification": {"preset": "github"}}, 400)["error"]
        self.assertEqual(error["field"], "verification.secret")


unittest.main(verbosity=1)

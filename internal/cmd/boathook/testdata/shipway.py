"""An outside client of Shipway's hooks: what a client of GitHub's hooks API does.

It registers a repository, manages its hooks by GitHub's paths and shapes, and
receives deliveries with an HMAC of its own. Usage: python3 shipway.py URL ADMIN_TOKEN
"""

import hashlib
import hmac
import json
import re
import unittest
import uuid

from outside import TOKEN, Receiver, call, eventually, request

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

# The example of Shipway's documentation.
BUILD = json.loads("""{
  "build": {"build_num": 14, "created_at": "2014-12-18T10:44:22+00:00", "dockerfile_dir": "/", "exit_code": 0, "status": "succeeded",
            "finished_at": "2014-12-18T10:47:42+00:00", "updated_at": "2014-12-18T10:44:22+00:00"},
  "commit": {"author": {"login": "grosskur", "name": "Alan Grosskurth"}, "message": "Revert test commit",
             "sha": "88d543e33a67d669e917bb178d63fba838d9cf2e"},
  "image_tags": [{"full_name": "shipway.io/grosskur/docker-hello:latest",
                  "id": "4cdd9808a0d64fc04e92be2832895ab2de9bf86dd60cf6d846e886904925186d", "name": "latest"}],
  "images": [{"id": "4cdd9808a0d64fc04e92be2832895ab2de9bf86dd60cf6d846e886904925186d", "pushed": true},
             {"id": "aab4e5cb6c913c9801d1e0872f930d97b665edeb1344e01dd6e57daa9eefed15", "pushed": true},
             {"id": "d76986f1db3e3d98364088b98384d612ba5f8207cdf0575e5512da55d53c4490", "pushed": true},
             {"id": "60dbd5ce6f07db5d392da675f6ab1fadcea5c129d9853058dd487d55b3a655d3", "pushed": false},
             {"id": "fcf984186c72de37469b8a049f6bb4a3f128e9b60f3b3e279a9abbce689f6274", "pushed": false}],
  "repository": {"clone_url": "https://github.com/grosskur/docker-hello.git", "id": 27844253, "name": "docker-hello",
                 "owner": {"id": 40483, "login": "grosskur"}}
}""")


def github(method, path, body=None, want=200):
    """A call as GitHub's older clients make it: their scheme is "token"."""
    return call(method, path, body, want, token=None, headers={"Authorization": "token " + TOKEN})


class Repository:
    def __init__(self):
        name = "docker-hello-" + uuid.uuid4().hex
        self.id = call("POST", "/v1/repositories", {"owner": "grosskur", "name": name}, 201)["id"]
        self.hooks = f"/repos/grosskur/{name}/hooks"

    def hook(self, url, **config):
        return github("POST", self.hooks, {
            "name": "web", "active": True, "events": ["build_finish"],
            "config": {"url": url, "content_type": "json", "insecure_ssl": "0", **config}}, 201)

    def finish(self, build=BUILD, want=1):
        (event,) = call("POST", "/v1/events", {"source": self.id, "type": "build_finish", "data": build}, 202)["events"]
        assert event["deliveries"] == want, event


def signed(secret, body):
    return "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


class Hooks(unittest.TestCase):
    def test_a_hook_lives_as_githubs_do(self):
        r = Repository()
        hook = r.hook("http://127.0.0.1:1/a", secret="s3cret")
        self.assertIsInstance(hook["id"], int)
        self.assertLess(hook["id"], 1 << 31)
        self.assertEqual((hook["name"], hook["active"], hook["events"]), ("web", True, ["build_finish"]))
        self.assertEqual(hook["config"], {"url": "http://127.0.0.1:1/a", "content_type": "json", "insecure_ssl": "0", "secret": "********"})
        self.assertRegex(hook["created_at"], TIME)
        path = f"{r.hooks}/{hook['id']}"
        self.assertEqual((github("GET", path), github("GET", hook["url"])), (hook, hook))
        (listed,) = github("GET", r.hooks)
        self.assertEqual({**listed, "last_response": hook["last_response"]}, hook)
        changed = github("PATCH", path, {"active": False, "config": {"url": "http://127.0.0.1:1/b", "secret": "********"}})
        self.assertEqual((changed["active"], changed["config"]["url"], changed["config"]["secret"]), (False, "http://127.0.0.1:1/b", "********"))
        github("DELETE", path, want=204)
        self.assertEqual(github("GET", path, want=404)["message"], "Not Found")

    def test_errors_are_githubs(self):
        r = Repository()
        error = github("POST", r.hooks, {"config": {"url": "https://10.0.0.7/"}}, 422)
        self.assertEqual((error["message"], error["errors"][0]["resource"], error["errors"][0]["field"]), ("Validation Failed", "Hook", "config.url"))
        self.assertIn("message", github("POST", r.hooks, "{", 400))
        status, _, text = request("GET", r.hooks, token="bh_wrong")
        self.assertEqual((status, json.loads(text)["message"]), (401, "Bad credentials"))
        self.assertIn("documentation_url", github("GET", r.hooks + "/unknown/path", want=404))

    def test_lists_have_githubs_pages(self):
        r = Repository()
        ids = [r.hook(f"http://127.0.0.1:1/{i}")["id"] for i in range(5)]
        found, url = [], r.hooks + "?per_page=2"
        while url:
            status, headers, text = request("GET", url)
            self.assertEqual(status, 200)
            found += [hook["id"] for hook in json.loads(text)]
            url = next(iter(re.findall(r'<([^>]+)>; rel="next"', headers.get("Link", ""))), None)
        self.assertEqual(sorted(found), sorted(ids))  # those of one millisecond have no order


class Deliveries(unittest.TestCase):
    def test_the_documents_example_arrives_signed(self):
        receiver = Receiver(lambda *_: (200, b"thanks"))
        r = Repository()
        r.hook(receiver.url, secret="s3cret")
        r.finish()
        headers, body = receiver.next()
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Content-Length"], str(len(body)))
        self.assertIsNone(headers["Transfer-Encoding"])
        self.assertTrue(headers["User-Agent"].startswith("Shipway-Hookshot/"))
        self.assertEqual(headers["X-Shipway-Event"], "build_finish")
        self.assertEqual(str(uuid.UUID(headers["X-Shipway-Delivery"])), headers["X-Shipway-Delivery"])
        self.assertEqual(headers["X-Shipway-Signature"], signed("s3cret", body))
        in_order = {"object_pairs_hook": list}
        self.assertEqual(json.loads(body, **in_order), json.loads(json.dumps(BUILD), **in_order))

    def test_without_a_secret_nothing_is_signed(self):
        receiver = Receiver()
        r = Repository()
        r.hook(receiver.url)
        r.finish()
        headers, _ = receiver.next()
        self.assertIsNone(headers["X-Shipway-Signature"])
        self.assertEqual(headers["X-Shipway-Event"], "build_finish")

    def test_a_delivery_is_listed_and_sent_again(self):
        receiver = Receiver(lambda *_: (200, b"thanks"))
        r = Repository()
        path = f"{r.hooks}/{r.hook(receiver.url, secret='s3cret')['id']}"
        r.finish()
        headers, body = receiver.next()
        (listed,) = eventually(lambda: github("GET", path + "/deliveries"), "the delivery is in the log")
        self.assertEqual((listed["guid"], listed["event"], listed["status"], listed["status_code"], listed["redelivery"]),
                         (headers["X-Shipway-Delivery"], "build_finish", "OK", 200, False))
        self.assertIsInstance(listed["id"], int)
        self.assertIsInstance(listed["duration"], (int, float))  # of a fast machine 0 ms, which JSON writes without a point
        self.assertRegex(listed["delivered_at"], TIME)
        detail = github("GET", f"{path}/deliveries/{listed['id']}")
        self.assertEqual({k: detail[k] for k in listed}, listed)
        self.assertEqual((detail["request"]["payload"], detail["response"]["payload"]), (BUILD, "thanks"))
        self.assertEqual(detail["request"]["headers"]["X-Shipway-Signature"], headers["X-Shipway-Signature"])

        self.assertEqual(github("POST", f"{path}/deliveries/{listed['id']}/attempts", want=202), {})
        again, same = receiver.next()
        self.assertEqual((same, again["X-Shipway-Delivery"]), (body, headers["X-Shipway-Delivery"]))
        self.assertEqual(again["X-Shipway-Signature"], signed("s3cret", same))
        eventually(lambda: github("GET", path + "/deliveries")[0]["redelivery"], "the redelivery is in the log")

    def test_a_failure_is_listed_with_its_status(self):
        receiver = Receiver(lambda *_: (500, b"no"))
        r = Repository()
        path = f"{r.hooks}/{r.hook(receiver.url)['id']}"
        r.finish()
        (listed,) = eventually(lambda: github("GET", path + "/deliveries"), "the delivery is in the log")
        self.assertEqual(listed["status_code"], 500)
        self.assertIn("500", listed["status"])

    def test_a_test_can_be_sent(self):
        receiver = Receiver()
        r = Repository()
        hook = r.hook(receiver.url, secret="s3cret")
        github("POST", f"{r.hooks}/{hook['id']}/tests", want=204)
        headers, body = receiver.next()
        self.assertEqual((json.loads(body), headers["X-Shipway-Signature"]), (BUILD, signed("s3cret", body)))

    def test_data_that_is_no_build_is_refused_by_its_place(self):
        r = Repository()
        build = {**BUILD, "build": {**BUILD["build"], "exit_code": "none"}}
        error = call("POST", "/v1/events", {"source": r.id, "type": "build_finish", "data": build}, 400)["error"]
        self.assertEqual(error["field"], "/data/build/exit_code")

    def test_an_inactive_hook_hears_nothing(self):
        r = Repository()
        hook = r.hook("http://127.0.0.1:1/")
        github("PATCH", f"{r.hooks}/{hook['id']}", {"active": False})
        r.finish(want=0)


unittest.main(verbosity=1)

"""Clients of GitHub's hooks API, unchanged but for their base URL: PyGithub and github3.py.

Usage: python3 github_clients.py URL ADMIN_TOKEN, by a Python that has them.
"""

import hashlib
import hmac
import json
import unittest
import uuid

import github
import github3
from github import Auth
from outside import BASE, TOKEN, Receiver, call, eventually

CLIENTS = {
    "plain": (BASE, Auth.Token(TOKEN)),
    "enterprise": (BASE + "/api/v3", Auth.Token(TOKEN)),
    "basic": (BASE, Auth.Login("somebody", TOKEN)),
}
EVENTS = ["build_finish"]
DUPLICATE = [{"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}]


def new_repository():
    name = "docker-hello-" + uuid.uuid4().hex
    call("POST", "/v1/repositories", {"owner": "grosskur", "name": name}, 201)
    return name


class PyGithub(unittest.TestCase):
    def repositories(self):
        for name, (url, auth) in CLIENTS.items():
            with self.subTest(name):
                # Boathook has no limit that needs a second between two writes.
                client = github.Github(base_url=url, auth=auth, seconds_between_requests=None, seconds_between_writes=None, retry=None)
                self.addCleanup(client.close)
                yield url, client.get_repo("grosskur/" + new_repository())

    def test_a_hook_lives(self):
        for url, repository in self.repositories():
            self.assertEqual(repository.hooks_url, f"{url}/repos/{repository.full_name}/hooks")
            self.assertEqual((repository.owner.login, repository.permissions.admin), ("grosskur", True))
            config = {"url": "http://127.0.0.1:1/a", "content_type": "json", "insecure_ssl": "0", "secret": "s3cret"}
            hook = repository.create_hook("web", config, events=EVENTS, active=True)
            self.assertEqual(hook.config, {**config, "secret": "********"})
            self.assertEqual((hook.name, hook.type, hook.active, hook.events), ("web", "Repository", True, EVENTS))
            self.assertEqual(hook.url, f"{repository.hooks_url}/{hook.id}")
            self.assertEqual((hook.test_url, hook.ping_url, hook.deliveries_url),
                             (hook.url + "/tests", hook.url + "/pings", hook.url + "/deliveries"))
            self.assertEqual((hook.last_response.code, hook.last_response.status), (None, "unused"))

            (listed,) = repository.get_hooks()
            self.assertEqual((listed.id, listed.created_at), (hook.id, hook.created_at))
            listed.edit("web", {**config, "url": "http://127.0.0.1:1/b"}, events=["*"], active=False)
            got = repository.get_hook(hook.id)
            self.assertEqual((got.active, got.events, got.config["url"], got.config["secret"]), (False, ["*"], "http://127.0.0.1:1/b", "********"))
            got.edit("web", {"url": "http://127.0.0.1:1/b"}, remove_events=["*"], add_events=EVENTS, active=True)
            self.assertEqual((got.events, got.config.get("secret")), (EVENTS, None))

            with self.assertRaises(github.GithubException) as refused:
                repository.create_hook("web", {"url": "http://127.0.0.1:1/b"}, events=EVENTS)
            self.assertEqual((refused.exception.status, refused.exception.data["errors"]), (422, DUPLICATE))
            got.delete()
            self.assertEqual(list(repository.get_hooks()), [])
            with self.assertRaises(github.UnknownObjectException):
                repository.get_hook(hook.id)
            with self.assertRaises(github.UnknownObjectException) as unknown:
                repository.get_branch("main")
            self.assertIn("documentation_url", unknown.exception.data)

    def test_deliveries_are_listed_and_read(self):
        for _, repository in self.repositories():
            receiver = Receiver(lambda *_: (200, b"thanks"))
            hook = repository.create_hook("web", {"url": receiver.url, "secret": "s3cret"}, events=EVENTS)
            (listed,) = repository.get_hooks()
            listed.ping()
            headers, body = receiver.next()
            self.assertEqual((headers["X-Shipway-Event"], json.loads(body)["hook_id"]), ("ping", hook.id))
            self.assertEqual(headers["X-Shipway-Signature"], "sha1=" + hmac.new(b"s3cret", body, hashlib.sha1).hexdigest())
            hook.test()
            headers, body = receiver.next()
            self.assertEqual(headers["X-Shipway-Event"], "build_finish")

            def both():
                found = list(repository.get_hook_deliveries(hook.id))
                return found if len(found) == 2 else None

            deliveries = {d.event: d for d in eventually(both, "both deliveries are in the log")}
            sent = deliveries["build_finish"]
            self.assertEqual((sent.guid, sent.status, sent.status_code, sent.redelivery, sent.repository_id),
                             (headers["X-Shipway-Delivery"], "OK", 200, False, repository.id))
            whole = repository.get_hook_delivery(hook.id, sent.id)
            self.assertEqual((whole.request.payload, whole.response.payload, whole.url), (json.loads(body), "thanks", receiver.url))
            self.assertEqual(whole.request.headers["X-Shipway-Signature"], headers["X-Shipway-Signature"])
            self.assertEqual((repository.get_hook(hook.id).last_response.code, repository.get_hook(hook.id).last_response.status), (200, "active"))


class Github3(unittest.TestCase):
    def repositories(self):
        plain = github3.GitHub(token=TOKEN)
        plain.session.base_url = BASE
        for name, client in {
            "plain": plain, "enterprise": github3.GitHubEnterprise(BASE, token=TOKEN),
            "basic": github3.enterprise_login("somebody", TOKEN, url=BASE),
        }.items():
            with self.subTest(name):
                yield client.repository("grosskur", new_repository())

    def test_a_hook_lives(self):
        for repository in self.repositories():
            receiver = Receiver()
            hook = repository.create_hook("web", {"url": receiver.url, "secret": "s3cret"}, events=EVENTS)
            self.assertEqual([h.id for h in repository.hooks()], [hook.id])
            self.assertEqual(repository.hook(hook.id).config, {"url": receiver.url, "content_type": "json", "insecure_ssl": "0", "secret": "********"})
            self.assertTrue(hook.edit(active=False))  # with an empty config
            self.assertEqual((hook.active, hook.config["secret"]), (False, "********"))
            self.assertTrue(hook.edit(config={"url": receiver.url + "/b"}, events=["*"], active=True))
            self.assertEqual((hook.active, hook.events, hook.config.get("secret")), (True, ["*"], None))
            self.assertTrue(hook.edit(add_events=EVENTS, rm_events=["*"]))
            self.assertEqual(hook.events, EVENTS)
            self.assertTrue(hook.ping())
            self.assertEqual(receiver.next()[0]["X-Shipway-Event"], "ping")
            self.assertTrue(hook.test())
            self.assertEqual(receiver.next()[0]["X-Shipway-Event"], "build_finish")
            with self.assertRaises(github3.exceptions.UnprocessableEntity) as refused:
                repository.create_hook("web", {"url": receiver.url + "/b"}, events=EVENTS)
            self.assertEqual(refused.exception.errors, DUPLICATE)
            self.assertTrue(hook.delete())
            self.assertEqual(list(repository.hooks()), [])


unittest.main(verbosity=1)

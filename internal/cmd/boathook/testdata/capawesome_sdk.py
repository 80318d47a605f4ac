"""Capawesome Cloud's own SDK for Python, unchanged but for its base URL.

Usage: python3 capawesome_sdk.py URL ADMIN_TOKEN, by a Python that has the SDK.
"""

import contextlib
import datetime
import hashlib
import hmac
import json
import unittest

from capawesome_cloud import CapawesomeCloud, CapawesomeCloudError
from outside import BASE, TOKEN, Receiver, call, later

EXAMPLES = {t["type"]: t["example"] for t in call("GET", "/v1/event-types")["data"] if t["source"] == "app"}


class SDK(unittest.TestCase):
    def setUp(self):
        self.client = CapawesomeCloud(token=TOKEN, base_url=BASE, max_retries=0)
        self.addCleanup(self.client.close)

    @contextlib.contextmanager
    def refused(self, status, message):
        with self.assertRaises(CapawesomeCloudError) as context:
            yield
        self.assertEqual((context.exception.status, context.exception.message), (status, message))

    def test_an_app_lives(self):
        apps = self.client.apps
        made = apps.create(name="Shop", type="capacitor")
        self.assertEqual((made.name, made.type), ("Shop", "capacitor"))
        self.assertIsInstance(made.created_at, datetime.datetime)
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - made.created_at), datetime.timedelta(minutes=1))
        self.assertEqual(apps.get(made.id), made)
        self.assertEqual(apps.update(made.id, name="Store", type="ios").name, "Store")
        changed = apps.get(made.id, relations="appChannel")
        self.assertEqual((changed.name, changed.type), ("Store", "ios"))
        organization = made.organizationId
        self.assertEqual([app.id for app in apps.list(name="Store", organization_id=organization)], [made.id])
        in_it = apps.create(name="In it", organization_id=organization)
        self.assertEqual(in_it.type, "capacitor")
        apps.delete(made.id)
        with self.refused(404, "App not found."):
            apps.get(made.id)

    def test_every_page_of_apps_is_listed(self):
        apps = self.client.apps
        made = [later(apps.create(name=f"Page {i}").id) for i in range(7)]
        self.assertEqual([app.id for app in apps.list(query="page", page_size=3)], made[::-1])
        self.assertEqual([app.id for app in apps.list_page(query="page", limit=2, offset=1)], made[::-1][1:3])
        self.assertEqual(apps.list(organization_id="another").to_list(), [])
        self.assertGreaterEqual(len(apps.list().to_list()), 7)

    def test_a_webhook_lives_and_its_deliveries_are_signed(self):
        receiver = Receiver()
        app = self.client.apps.create(name="CI")
        webhooks = self.client.apps.webhooks
        made = webhooks.create(app.id, name="Hook", url=receiver.url, events=("job_finished",), signing_secret="s3cret")
        self.assertEqual((made.name, made.url, made.events, made.format, made.enabled), ("Hook", receiver.url, ["job_finished"], "raw", True))
        self.assertTrue(made.hasSigningSecret)
        self.assertIsInstance(made.updated_at, datetime.datetime)
        self.assertEqual((webhooks.get(app.id, made.id), webhooks.list(app.id, query="hook").to_list()), (made, [made]))
        self.assertEqual((webhooks.list_page(app.id, limit=1, offset=1), webhooks.list(app.id, page_size=1).to_list()), ([], [made]))

        job = EXAMPLES["job_finished"]
        call("POST", "/v1/events", {"source": app.id, "type": "job_finished", "data": job}, 202)
        headers, body = receiver.next()
        self.assertEqual(headers["X-Signature"], hmac.new(b"s3cret", body, hashlib.sha256).hexdigest())
        self.assertEqual(json.loads(body), {"event": "job_finished", "data": job})

        changed = webhooks.update(app.id, made.id, name="Renamed", events=["job_created"], format="slack", enabled=False, signing_secret=None)
        self.assertEqual((changed.name, changed.events, changed.format, changed.enabled), ("Renamed", ["job_created"], "slack", False))
        self.assertFalse(changed.hasSigningSecret)
        webhooks.delete(app.id, made.id)
        self.assertEqual(webhooks.list(app.id).to_list(), [])

    def test_the_user_is_the_token(self):
        token = call("POST", "/v1/tokens", {"name": "deploys", "role": "viewer"}, 201)
        with CapawesomeCloud(token=token["token"], base_url=BASE) as client:
            me = client.users.me()
            self.assertEqual((me.id, me.name), (token["id"], "deploys"))
            with self.refused(403, "this needs a token with the role member"):
                client.apps.create(name="x")

    def test_all_faults_are_told_with_their_paths(self):
        app = self.client.apps.create(name="Faults")
        with self.refused(400, "events.0: must be one of app_build_created, app_deployment_created, job_created, job_finished, not \"build_done\"; "
                               "url: not an absolute URL: it must begin with https://; format: must be raw, slack, discord or teams"):
            self.client.apps.webhooks.create(app.id, name="x", url="ftp://example.com", events=["build_done"], format="irc")
        with self.refused(400, "type: must be one of android, capacitor, cordova, ios"):
            self.client.apps.create(name="x", type="web")
        with self.refused(404, "Organization not found."):
            self.client.apps.create(name="x", organization_id="another")
        with self.refused(404, "Webhook not found."):
            self.client.apps.webhooks.get(app.id, "none")
        with CapawesomeCloud(token="wrong", base_url=BASE) as client, self.assertRaises(CapawesomeCloudError) as wrong:
            client.apps.list_page()
        self.assertEqual(wrong.exception.status, 401)

    def test_what_is_not_here_is_said_to_be_missing(self):
        app = self.client.apps.create(name="Missing")
        with self.refused(404, "there is no such path"):
            self.client.apps.channels.list_page(app.id)


unittest.main(verbosity=1)

"""An outside client with receivers that misbehave: it shares no code with Boathook.

It publishes to them over HTTP through a running system and looks at what arrives
and at the delivery log. Usage: python3 trouble.py URL ADMIN_TOKEN
"""

import concurrent.futures
import datetime
import email.utils
import http.client
import json
import socket
import struct
import threading
import time
import unittest
import urllib.parse
import zlib

from outside import BASE, TOKEN, eventually, patience

local = threading.local()  # a connection for each thread


def call(method, path, body=None, want=200):
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(urllib.parse.urlsplit(BASE).netloc, timeout=patience())
    local.connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": "Bearer " + TOKEN})
    response = local.connection.getresponse()
    text = response.read()
    assert response.status == want, f"{method} {path}: {response.status} {text}, want {want}"
    return json.loads(text) if text else None


class Receiver:
    """A TCP server that hands each request's connection to a function, which may misbehave.

    It goes on with the connection if the function says so.
    """

    def __init__(self, answer):
        self.answer = answer
        self.arrived = []  # (time, delivery) in their order
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while stream.readline():
                    headers = http.client.parse_headers(stream)
                    stream.read(int(headers["Content-Length"]))
                    with self.lock:
                        self.arrived.append((time.time(), headers["X-Crewship-Delivery"]))
                    if not self.answer(connection):
                        return
        except OSError:
            pass  # Boathook hangs up on those that talk too much

    def deliveries(self):
        with self.lock:
            return [delivery for _, delivery in self.arrived]


def status(code, **headers):
    lines = [f"HTTP/1.1 {code} X", "Content-Length: 0"] + [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    text = ("\r\n".join(lines) + "\r\n\r\n").encode()

    def answer(connection):
        connection.sendall(text)
        return True

    return answer


OK = status(204)


class Webhook:
    """A deployment's outgoing webhook."""

    def __init__(self, url, deployment=None, **more):
        self.deployment = deployment or "/v1/deployments/" + call("POST", "/v1/deployments", {"name": "trouble"}, 201)["id"]
        body = {"name": "out", "url": url, "events": ["run.succeeded"], "environment": "production", **more}
        self.path = self.deployment + "/outgoing-webhooks/" + call("POST", self.deployment + "/outgoing-webhooks", body, 201)["id"]

    def send(self):
        return call("POST", self.path + "/test", want=202)["delivery_id"]

    def send_many(self, n):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.send(), range(n)))

    def get(self):
        return call("GET", self.path)

    def first_attempt(self):
        """Sends one, and gives its delivery and first attempt once that is made."""
        path = "/v1/deliveries/" + self.send()

        def look():
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(BASE).netloc)
            connection.request("GET", path, headers={"Authorization": "Bearer " + TOKEN})
            response = connection.getresponse()
            delivery = json.loads(response.read())
            connection.close()
            return delivery if response.status == 200 and delivery["attempts"] else None

        delivery = eventually(look, "the attempt is recorded")
        return delivery, delivery["attempts"][0]

    def count(self, state):
        n, cursor = 0, ""
        while cursor is not None:
            page = call("GET", f"{self.path}/deliveries?limit=200&status={state}&cursor={cursor}")
            n, cursor = n + len(page["data"]), page["next_cursor"]
        return n


NEVER = {"schedule_seconds": []}
HOURLY = {"schedule_seconds": [3600]}


class Isolation(unittest.TestCase):
    def test_healthy_deliveries_arrive_though_more_hang_than_the_program_makes_at_a_time(self):
        hanging = Receiver(lambda connection: time.sleep(3600))
        healthy = Receiver(OK)
        sick, well = Webhook(hanging.url, retry=NEVER), Webhook(healthy.url)
        sick.send_many(1100)
        eventually(lambda: len(hanging.deliveries()) >= 60, "as many hang as may at a time")
        sent = well.send_many(50)
        eventually(lambda: set(healthy.deliveries()) >= set(sent), "all 50 have arrived")
        # Sooner than the first request that hangs is given up, after 30 s.
        self.assertEqual(sick.count("failed"), 0, "they have waited until others timed out")

    def test_5000_published_to_a_flaky_receiver_are_each_delivered(self):
        lock, taken = threading.Lock(), []

        def answer(connection):
            with lock:
                taken.append(None)
                n = len(taken)
            if n % 20 == 0:
                return False  # hangs up
            connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (500 if n % 10 == 1 else 200))
            return True

        flaky = Receiver(answer)
        webhook = Webhook(flaky.url, retry={"schedule_seconds": [1] * 8})
        sent = webhook.send_many(5000)
        self.assertEqual(len(set(sent)), 5000)
        eventually(lambda: webhook.count("succeeded") == 5000, "each is delivered")
        self.assertEqual(set(flaky.deliveries()), set(sent))


class Answers(unittest.TestCase):
    def attempt(self, answer, **more):
        webhook = Webhook(Receiver(answer).url, **{"retry": HOURLY, **more})
        return webhook.first_attempt()

    def test_a_redirect_is_a_failure_and_not_followed(self):
        elsewhere = Receiver(OK)
        for code in (301, 302, 307, 308):
            delivery, attempt = self.attempt(status(code, Location=elsewhere.url))
            self.assertEqual((delivery["status"], attempt["response_status"]), ("retrying", code))
            self.assertIn("redirects are not followed", attempt["error"])
        self.assertEqual(elsewhere.deliveries(), [])

    def test_an_endless_answer_is_cut(self):
        def endless(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

        delivery, attempt = self.attempt(endless)
        self.assertEqual((delivery["status"], len(attempt["response_body"]), attempt["response_truncated"]), ("succeeded", 16 << 10, True))

    def test_a_compressed_bomb_does_not_go_off(self):
        deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(256)) + deflate.flush()

        def answer(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)

        delivery, attempt = self.attempt(answer)
        self.assertEqual((delivery["status"], attempt["response_truncated"]), ("succeeded", True))
        self.assertLessEqual(len(attempt["response_body"]), 16 << 10)

    def test_a_byte_a_second_is_not_waited_for(self):
        def drip(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                connection.sendall(b".")
                time.sleep(1)

        delivery, attempt = self.attempt(drip)
        self.assertEqual((delivery["status"], attempt["response_truncated"]), ("succeeded", True))
        self.assertLess(attempt["duration_ms"], 500_000)

    def test_headers_a_byte_a_second_time_out(self):
        def drip(connection):
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(1)

        delivery, attempt = self.attempt(drip, timeout_seconds=2)
        self.assertEqual((delivery["status"], attempt["response_status"]), ("retrying", None))
        self.assertIn("timed out", attempt["error"])

    def test_a_reset_is_a_failure_before_the_status_and_none_after_it(self):
        def reset(connection):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def before(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
            reset(connection)

        def after(seconds):
            def answer(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
                time.sleep(seconds)
                reset(connection)

            return answer

        delivery, attempt = self.attempt(before)
        self.assertEqual((delivery["status"], attempt["response_status"]), ("retrying", None))
        self.assertTrue(attempt["error"])
        # A reset takes along what the other side has not read: nobody can tell whether it has.
        for seconds in (0.1, 1, 4):
            delivery, attempt = self.attempt(after(seconds))
            if attempt["response_status"]:
                break
        self.assertEqual((delivery["status"], attempt["response_body"], attempt["response_truncated"]), ("succeeded", "half", True))

    def test_nobody_who_listens_is_a_failure(self):
        webhook = Webhook("http://127.0.0.1:9/", retry=HOURLY)
        delivery, attempt = webhook.first_attempt()
        self.assertEqual((delivery["status"], attempt["error"]), ("retrying", "connection refused"))


class RetryAfter(unittest.TestCase):
    def wait(self, code, value):
        """How long the next attempt is after the first one, and after it was seen."""
        webhook = Webhook(Receiver(status(code, Retry_After=value)).url, retry={"schedule_seconds": [10]})
        delivery, attempt = webhook.first_attempt()
        parse = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        return parse(delivery["next_attempt_at"]) - parse(attempt["sent_at"]), parse(delivery["next_attempt_at"]) - time.time()

    def test_it_is_honoured_within_reason(self):
        for code, value, least, most in (
            (429, "100", 100, 100),
            (503, email.utils.formatdate(time.time() - 200, usegmt=True), 8, 12),
            (429, "-100", 8, 12),
            (429, "soon", 8, 12),
            (503, "9" * 40, 86400, 86400),
            (500, "100", 8, 12),
        ):
            with self.subTest(code=code, value=value):
                after_sent, after_seen = self.wait(code, value)
                self.assertTrue(least <= after_sent and after_seen <= most, (after_sent, after_seen))

    def test_a_date_is_honoured(self):
        at = int(time.time()) + 3600
        _, after_seen = self.wait(503, email.utils.formatdate(at, usegmt=True))
        self.assertAlmostEqual(time.time() + after_seen, at, delta=60)


class Webhooks(unittest.TestCase):
    def test_gone_disables_and_tells(self):
        listener = Receiver(OK)
        gone = Webhook(Receiver(status(410)).url)
        Webhook(listener.url, gone.deployment, events=["webhook.disabled"])
        delivery, _ = gone.first_attempt()
        self.assertEqual(delivery["status"], "failed")
        webhook = gone.get()
        self.assertFalse(webhook["enabled"])
        self.assertIn("410", webhook["disabled_reason"])
        self.assertTrue(webhook["disabled_at"] and webhook["failing_since"])
        eventually(lambda: len(listener.deliveries()) == 1, "the other webhook hears of it")
        call("POST", gone.path + "/test", want=409)
        webhook = call("PATCH", gone.path, {"enabled": True})
        self.assertEqual((webhook["enabled"], webhook["disabled_reason"], webhook["disabled_at"], webhook["failing_since"]), (True, None, None, None))

    def test_a_rate_limit_spreads_requests(self):
        receiver = Receiver(OK)
        webhook = Webhook(receiver.url, rate_limit={"per_second": 10})
        begun = time.time()
        sent = webhook.send_many(60)
        eventually(lambda: set(receiver.deliveries()) == set(sent), "all have arrived")
        times = sorted(at for at, _ in receiver.arrived)
        self.assertEqual(len(times), 60)
        for i, at in enumerate(times):  # a second's ten at once, then one each tenth: a busy machine may be later
            self.assertGreaterEqual(at - begun, (i - 10) / 10)

    def test_recover_resends_each_failed_delivery_once(self):
        up = threading.Event()
        receiver = Receiver(lambda connection: (OK if up.is_set() else status(500))(connection))
        webhook = Webhook(receiver.url, retry=NEVER)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        sent = webhook.send_many(150)
        eventually(lambda: webhook.count("failed") == 150, "all have failed")
        up.set()
        answer = call("POST", webhook.path + "/recover", {"since": since}, 202)
        self.assertEqual((answer["queued"], answer["next_cursor"]), (150, None))
        eventually(lambda: webhook.count("succeeded") == 150, "all have succeeded")
        arrived = receiver.deliveries()
        self.assertEqual(sorted(arrived), sorted(sent * 2))
        self.assertEqual(call("POST", webhook.path + "/recover", {"since": since}, 202)["queued"], 0)


class Redrive(unittest.TestCase):
    def test_queues_and_moves_are_shown(self):
        queues = call("GET", "/v1/admin/redrive")["data"]
        self.assertEqual([q["queue"] for q in queues], ["runs", "deliveries", "retries"])
        answer = call("POST", "/v1/admin/redrive", {"queue": "runs"}, 202)
        self.assertEqual((answer["queue"], answer["move"]["status"], answer["move"]["moved"]), ("runs", "completed", 0))
        self.assertEqual(call("POST", "/v1/admin/redrive", {"queue": "other"}, 400)["error"]["field"], "queue")


unittest.main(verbosity=1)

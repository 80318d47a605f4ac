"""What the outside clients share: HTTP against a running system, and receivers.

None of it is Boathook's code. Each client is run as: python3 CLIENT.py URL ADMIN_TOKEN

A client waits for what it needs, however busy the machine is: until DEADLINE, the
Unix time at which its caller gives it up. Without one, that is in ten minutes.
"""

import http.client
import http.server
import json
import os
import queue
import sys
import tempfile
import threading
import time
import urllib.parse

BASE, TOKEN = sys.argv.pop(1), sys.argv.pop(1)
DEADLINE = float(os.environ.get("DEADLINE") or time.time() + 600)


def patience():
    """The seconds until DEADLINE."""
    return max(1, DEADLINE - time.time())


def request(method, url, body=None, headers=None, token=TOKEN):
    parts = urllib.parse.urlsplit(url if url.startswith("http") else BASE + url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=patience())
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = "Bearer " + token
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    path = parts.path + ("?" + parts.query if parts.query else "")
    connection.request(method, path, body.encode() if isinstance(body, str) else body, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, response.headers, text


def call(method, url, body=None, want=200, **kwargs):
    status, _, text = request(method, url, body, **kwargs)
    assert status == want, f"{method} {url}: {status} {text}, want {want}"
    return json.loads(text) if text else None


def later(made):
    """Gives what was made, once the clock shows another millisecond: what is made in one has no order of its own."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass
    return made


class Receiver:
    """Takes deliveries, and answers them by a function of the request's number."""

    def __init__(self, answer=lambda handler, number: (204, b"")):
        self.requests = queue.Queue()
        receiver = self
        self.count = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.count += 1
                receiver.requests.put((self.headers, body))
                answer_ = answer(self, receiver.count)
                if answer_ is None:
                    return
                status, text = answer_
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", receiver.url + "/elsewhere")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # Boathook hangs up on those that talk too much
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.requests.get(timeout=patience())


class Gate:
    """Holds scripts up until it is opened, at the end of a test at the latest."""

    def __init__(self, test):
        self.path = os.path.join(tempfile.mkdtemp(), "open")
        self.script = f"until test -e {self.path}; do sleep 0.05; done"
        test.addCleanup(self.open)

    def open(self):
        open(self.path, "w").close()


def eventually(look, what):
    while time.time() < DEADLINE:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")
